//! What is hot is told, and what has cooled: see `cyte_organism::hot`.

use cyte_dna::limits;
use cyte_organism::Nanos;
use cyte_organism::constants::{BUSY_MAX, RUN_DELAY_MAX};
use cyte_organism::hot::Part;

use super::{Governor, homeostasis};
use crate::event::{Happening, Heat};

/// How soon an otherwise idle organism is looked at while something is hot.
const WHILE_HOT: Nanos = Nanos::from_millis(100);

/// One number, and the mark above which it is hot.
struct Measured {
    class: Option<usize>,
    part: Part,
    number: u64,
    mark: u64,
}

impl Governor {
    /// Measures every part, tells which became hot or has cooled, and looks again while one may.
    pub(super) fn feel_heat(&mut self, now: Nanos) {
        let mut measured = self.host_heat();
        self.class_heat(now, &mut measured);
        for Measured { class, part, number, mark } in measured {
            let id = class.map(homeostasis::class);
            let Some(turn) = self.thermometer.feel(now, id, part, number, mark) else { continue };
            let population = class.and_then(|at| self.populations.get(at));
            let signal =
                population.and_then(|population| population.signal()).filter(|_| part == Part::Signal);
            let heat = Heat {
                gene: population.map(|population| population.gene().to_string()),
                part: signal.map_or(part.as_str(), |signal| signal.name.as_str()).to_owned(),
                number: turn.number,
                mark,
                unit: part.unit().to_owned(),
            };
            self.events.record(if turn.is_hot { Happening::Hot(heat) } else { Happening::Cooled(heat) });
        }
        if self.thermometer.is_warm() {
            self.look_by(now + WHILE_HOT);
        }
    }

    fn host_heat(&self) -> Vec<Measured> {
        let host = self.levels.host();
        let (used, most) = self.ground.memory();
        let measured = |part, number, mark| Measured { class: None, part, number, mark };
        vec![
            measured(Part::Cores, host.busy_permille.into(), (BUSY_MAX * 1e3) as u64),
            measured(Part::RunDelay, host.run_delay.0 / 1_000, RUN_DELAY_MAX.0 / 1_000),
            measured(Part::Memory, used, most / 100 * limits::HOT_MEMORY_PERCENT),
        ]
    }

    fn class_heat(&self, now: Nanos, into: &mut Vec<Measured>) {
        for (at, (population, seen)) in self.populations.iter().zip(self.homeostasis.seen()).enumerate() {
            let tally = &seen.tally;
            let wait = tally.head.map_or(Nanos(0), |head| now.since(head));
            let class = Some(at);
            into.push(Measured {
                class,
                part: Part::Queue,
                number: wait.0 / 1_000,
                mark: tally.target.0 / 1_000,
            });
            let Some(signal) = population.signal() else { continue };
            // Above what as many cells as there may be are made for.
            let mark = u64::from(signal.per_cell).saturating_mul(tally.most.into());
            let number = tally.signal.map_or(0, |now| now.amount);
            into.push(Measured { class, part: Part::Signal, number, mark });
        }
    }
}
