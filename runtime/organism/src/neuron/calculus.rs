//! The hormone law as a neuron: the very code that a host runs, over counts instead of cells.
//!
//! A look holds sums, so the law is run with exact counts ([`Transport::Central`]) over cells that
//! stand for those counted: as many, equally busy. What it decides for a class comes out as the
//! number of cells that the class would then have.

use std::collections::BTreeMap;

use super::{Host, Look, Order, Sample, Watch, nanos};
use crate::Nanos;
use crate::constants::{ClassSpec, Constants};
use crate::family::{Phase, Reading};
use crate::law::{Act, ClassId, ClassSample, Decision, Law, Transport};
use crate::lineage::Niche;

/// The law for all classes of a host.
#[derive(Debug)]
pub struct Calculus {
    law: Law,
    classes: BTreeMap<String, Stand>,
    next: u32,
    decisions: Vec<Decision>,
}

/// Cells that stand for those of a class.
#[derive(Debug)]
struct Stand {
    id: ClassId,
    cells: Vec<Reading>,
    born: u64,
}

impl Calculus {
    /// The law with these constants; its draws come from `seed`.
    pub fn new(constants: Constants, seed: u64) -> Self {
        let law = Law::new(constants, Transport::Central, seed);
        Self { law, classes: BTreeMap::new(), next: 0, decisions: Vec::new() }
    }

    /// Forgets classes that are gone, learns those that are new, and brings the others in line.
    fn follow(&mut self, look: &Look) {
        let (classes, law) = (&mut self.classes, &mut self.law);
        classes.retain(|gene, stand| {
            let is_there = look.classes.iter().any(|class| class.gene == *gene);
            if !is_there {
                law.remove_class(stand.id);
            }
            is_there
        });
        for class in &look.classes {
            let stand = classes.entry(class.gene.clone()).or_insert_with(|| {
                self.next = self.next.wrapping_add(1);
                Stand { id: ClassId(self.next), cells: Vec::new(), born: 0 }
            });
            // A class that the law refuses (more slots than there can be) stays with the host's own.
            if law.set_class(stand.id, spec(class)).is_ok() {
                stand.follow(look.host.now(), class);
            }
        }
    }

    fn decide(&mut self, host: Host, look: &Look) {
        let samples: Vec<ClassSample<'_>> = look
            .classes
            .iter()
            .filter_map(|class| Some(self.classes.get(&class.gene)?.sample(host.now(), class)))
            .collect();
        self.decisions.clear();
        self.law.run(host.now(), host.sample(), &samples, &mut self.decisions);
    }

    /// Cells that a class has when all that was decided is done.
    fn after(&self, class: &Sample, id: ClassId) -> u32 {
        let of = |is: fn(&Act) -> bool| {
            let cells = self.decisions.iter().filter(
                |decision| matches!(decision, Decision::Cell { class, act, .. } if *class == id && is(act)),
            );
            super::cells(cells.count())
        };
        let deaths = of(|act| matches!(act, Act::Die { .. }));
        let births = of(|act| !matches!(act, Act::Die { .. }));
        class.living().saturating_add(births).saturating_sub(deaths)
    }
}

impl Watch for Calculus {
    fn watch(&mut self, look: &Look) -> Vec<Order> {
        self.follow(look);
        self.decide(look.host, look);
        let known = look.classes.iter().filter_map(|class| {
            let stand = self.classes.get(&class.gene)?;
            self.law.view(stand.id)?;
            Some(Order::target(&class.gene, self.after(class, stand.id)))
        });
        known.collect()
    }
}

fn spec(class: &Sample) -> ClassSpec {
    ClassSpec {
        slots: class.slots,
        min: class.least,
        max: class.most,
        wait_target_ms: class.wait_target_ms,
        weight: class.weight,
        core: class.core,
    }
}

impl Stand {
    /// As many cells as were counted, the oldest serving and equally busy.
    fn follow(&mut self, now: Nanos, class: &Sample) {
        let (ready, living) = (class.ready as usize, class.living() as usize);
        let placed = living.saturating_add(class.draining as usize);
        self.cells.truncate(placed);
        while self.cells.len() < placed {
            self.born += 1;
            let first = self.cells.first().map(|first| first.niche);
            self.cells.push(Reading {
                niche: Niche(self.born),
                mother: first,
                phase: Phase::Pending,
                inflight: 0,
                since: now,
            });
        }
        let share = class.inflight.checked_div(ready as u64).unwrap_or(0);
        let rest = class.inflight.checked_rem(ready as u64).unwrap_or(0);
        for (at, cell) in self.cells.iter_mut().enumerate() {
            let phase = match at {
                at if at < ready => Phase::Ready,
                at if at < living => Phase::Pending,
                _ => Phase::Draining,
            };
            if phase == Phase::Ready && cell.phase != Phase::Ready {
                cell.since = now;
            }
            cell.phase = phase;
            let inside = if phase == Phase::Ready { share + u64::from((at as u64) < rest) } else { 0 };
            cell.inflight = u32::try_from(inside).unwrap_or(u32::MAX);
        }
    }

    fn sample(&self, now: Nanos, class: &Sample) -> ClassSample<'_> {
        let head = Nanos(now.0.saturating_sub(nanos(class.head_wait_us).0));
        ClassSample {
            class: self.id,
            cells: &self.cells,
            queued: class.queued,
            peak: class.peak,
            head: (class.queued > 0).then_some(head),
            arrived: class.arrived,
            service: nanos(class.service_us),
            computing: nanos(class.computing_us),
            stalled: class.stalled,
            activation: nanos(class.activation_us),
            retired: class.retired,
            signal: class.signal,
            resting_mib: class.resting_mib,
        }
    }
}
