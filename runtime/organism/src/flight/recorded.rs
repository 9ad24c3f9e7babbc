//! A law that remembers what it was told.

use std::ops::Deref;

use super::{Stimulus, Tape};
use crate::Nanos;
use crate::constants::{ClassSpec, ConstantError};
use crate::endocrine::ReleaseError;
use crate::law::{Advice, ClassId, ClassSample, Decision, HostSample, Law};
use crate::lineage::Niche;

/// A law and its tape. Whoever reads sees the law; whoever would move it has to come through here,
/// so that nothing that moves it can be forgotten. What the law refuses is not recorded: it changed
/// nothing.
#[derive(Debug)]
pub struct Recorded {
    law: Law,
    tape: Tape,
}

impl Deref for Recorded {
    type Target = Law;

    /// The law, to be read.
    fn deref(&self) -> &Law {
        &self.law
    }
}

impl Recorded {
    /// A law that is recorded from here on.
    #[must_use]
    pub fn new(law: Law, tape: Tape) -> Self {
        Self { law, tape }
    }

    /// What it was told.
    #[must_use]
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// As [`Law::set_class`].
    ///
    /// # Errors
    /// As there.
    pub fn set_class(&mut self, class: ClassId, spec: ClassSpec) -> Result<(), ConstantError> {
        self.tape.open(&self.law);
        self.law.set_class(class, spec)?;
        self.tape.write(&Stimulus::Class(class, spec));
        Ok(())
    }

    /// As [`Law::remove_class`].
    pub fn remove_class(&mut self, class: ClassId) {
        self.tape.open(&self.law);
        self.law.remove_class(class);
        self.tape.write(&Stimulus::Forget(class));
    }

    /// As [`Law::release`].
    ///
    /// # Errors
    /// As there.
    pub fn release(&mut self, class: ClassId, niche: Niche, strength: f64) -> Result<(), ReleaseError> {
        self.tape.open(&self.law);
        self.law.release(class, niche, strength)?;
        self.tape.write(&Stimulus::Release(class, niche, strength));
        Ok(())
    }

    /// As [`Law::command`].
    ///
    /// # Errors
    /// As there.
    pub fn command(&mut self, class: ClassId, strength: f64) -> Result<(), ReleaseError> {
        self.tape.open(&self.law);
        self.law.command(class, strength)?;
        self.tape.write(&Stimulus::Command(class, strength));
        Ok(())
    }

    /// As [`Law::advise`].
    pub fn advise(&mut self, now: Nanos, class: ClassId, advice: Advice) {
        self.tape.open(&self.law);
        self.law.advise(now, class, advice);
        self.tape.write(&Stimulus::Advise(now, class, advice));
    }

    /// As [`Law::run`].
    pub fn run(
        &mut self,
        now: Nanos,
        host: HostSample,
        samples: &[ClassSample<'_>],
        decisions: &mut Vec<Decision>,
    ) {
        self.tape.open_for_look(now, &self.law);
        let before = decisions.len();
        self.law.run(now, host, samples, decisions);
        self.tape.look(now, host, samples, decisions.get(before..).unwrap_or_default());
    }
}
