//! The order of loading (seed 002): who judges the DNA, then what makes code of its genes, then the
//! genes.
//!
//! Each step needs what the one before gave: a host grows only from [`Admitted`] DNA, which only
//! [`trust::admit`](crate::state::trust::admit) hands out, and a gene gets its code from the [`Loader`]
//! alone. So the order is no convention, and what is told here has happened. A loader never decides
//! whether a gene may run; it is found and told after that is decided.

use std::time::Duration;

use cyte_engine::compile::Compiler;

use crate::codes::Code;
use crate::error::CliError;
use crate::event::{EventLog, Happening};
use crate::state::trust::Admitted;

/// What makes code of genes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Loader {
    /// Takes code that this host kept, compiles in a child where there is none, and keeps that.
    #[default]
    BuiltIn,
    /// Takes only code that this host kept under its own key, and never compiles.
    Cached,
}

/// The first argument by which this program runs as a compiler of one gene.
pub const COMPILE_CHILD: &str = "compile-child";

/// This program as a compiler; a compilation may use `cpu`, where that is not the usual.
///
/// # Errors
/// Where this program is cannot be found out.
pub fn compiler(cpu: Option<Duration>) -> Result<Compiler, CliError> {
    let program = std::env::current_exe().map_err(|error| {
        let what = "cannot find this program, which compiles genes as well";
        CliError::new(Code::Machine, what, error.to_string())
    })?;
    Ok(Compiler { command: vec![program.into(), COMPILE_CHILD.into()], cpu })
}

impl Loader {
    /// As `--loader` names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built-in",
            Self::Cached => "cached",
        }
    }

    fn does(self) -> &'static str {
        match self {
            Self::BuiltIn => "takes what this host compiled before, compiles the rest",
            Self::Cached => "takes only what this host compiled before",
        }
    }

    /// The compiler, where this one compiles at all.
    #[must_use]
    pub fn compiler(self, compiler: Compiler) -> Option<Compiler> {
        (self == Self::BuiltIn).then_some(compiler)
    }
}

/// Tells who judged the DNA, and what was accepted.
pub fn record_security(events: &EventLog, admitted: &Admitted) {
    let manifest = admitted.dna.manifest();
    let germline = &manifest.germline;
    let keys: Vec<String> = germline.keys().iter().map(|key| key.id().to_string()).collect();
    let (digest, threshold) = (germline.digest(), germline.threshold());
    tracing::info!("security: germline {}, {threshold} of {} keys", digest.short(), keys.len());
    events.record(Happening::Security {
        provider: "germline".into(),
        germline: digest.to_string(),
        keys,
        threshold,
    });
    events.record(Happening::DnaAccepted {
        organism: manifest.organism.to_string(),
        dna_version: manifest.version,
        digest: admitted.dna.digest().to_string(),
        standing: admitted.dna.standing(),
    });
}

/// Tells which loader makes code from here on.
pub fn record_loader(events: &EventLog, loader: Loader) {
    let (name, does) = (loader.as_str(), loader.does());
    tracing::info!("loader: {name}, {does}");
    events.record(Happening::Loader { name: name.into(), does: does.into() });
}
