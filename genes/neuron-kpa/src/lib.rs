//! The standard neuron that scales as Knative does.
//!
//! A stable and a panic window over mean concurrency: cells are what the wanted utilisation asks
//! for; when the panic window asks for twice what serves, the larger number holds, and nothing
//! shrinks for a stable window after. Up by a factor of 1,000 at most, down by half at most a tick.
//!
//! # Configuration
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `tick-ms` | how often it decides | `2000` |
//! | `stable-ms` | the window of calm decisions, at most 1,000 ticks | `60000` |
//! | `panic-ms` | the window that calls for a hurry | `6000` |
//! | `utilisation-permille` | share of its slots that a cell should use, in thousandths | `700` |
//!
//! # What it never does
//!
//! It gives targets only, so it needs `neuron = "replace"`; one that may only advise is not heard.

use cyte_organism::Nanos;
use cyte_organism::neuron as rules;
use cyte_sdk::neuron::{Look, Order};
use cyte_sdk::prelude::*;
use neuron_parts::number;

/// Knative's rule, with the times of the configuration.
struct Kpa(rules::Kpa);

impl Neuron for Kpa {
    fn born() -> Result<Self, Error> {
        let usual = rules::KpaTimes::default();
        let span = |key: &str, usual: Nanos| number(key, usual.as_millis()).map(Nanos::from_millis);
        let times = rules::KpaTimes {
            tick: span("tick-ms", usual.tick)?,
            stable: span("stable-ms", usual.stable)?,
            panic: span("panic-ms", usual.panic)?,
            utilisation_permille: number("utilisation-permille", usual.utilisation_permille)?,
        };
        Ok(Kpa(rules::Kpa::new(times)?))
    }

    fn watch(&mut self, look: &Look) -> Result<Vec<Order>, Error> {
        Ok(neuron_parts::look(&mut self.0, look))
    }
}

cyte_sdk::neuron!(Kpa);

#[cfg(test)]
mod tests {
    use cyte_sdk::neuron::{Host, Sample};
    use cyte_sdk::testing;

    use super::*;

    /// A class that has 56 messages in eight slots each all the time.
    fn look(ms: u64) -> Look {
        let host = Host { now_us: ms * 1_000, ..Host::default() };
        let class = Sample {
            gene: "web".into(),
            ready: 1,
            slots: 8,
            most: 64,
            concurrency_us: 56_000 * ms,
            ..Sample::default()
        };
        Look { host, classes: vec![class] }
    }

    #[test]
    fn the_times_are_those_of_the_configuration() {
        let mut usual = testing::Watched::<Kpa>::default();
        let first = usual.watch(&look(0));
        assert_eq!(usual.watch(&look(1_980)), first, "it has not ticked yet");
        assert_eq!(usual.watch(&look(2_000)), [look(0).classes[0].target(10)]);
        for (key, value) in [("tick-ms", "100"), ("stable-ms", "1000"), ("panic-ms", "200")] {
            testing::set_config(key, value);
        }
        testing::set_config("utilisation-permille", "350");
        let mut quick = testing::Watched::<Kpa>::default();
        quick.watch(&look(0));
        assert_eq!(quick.watch(&look(100)), [look(0).classes[0].target(20)]);
    }

    #[test]
    fn a_configuration_that_cannot_be_meant_is_said_and_orders_nothing() {
        testing::set_config("tick-ms", "soon");
        let mut neuron = testing::Watched::<Kpa>::default();
        assert!(neuron.watch(&look(0)).is_empty());
        testing::set_config("tick-ms", "7000");
        assert!(neuron.watch(&look(0)).is_empty());
        let errors = testing::take_errors();
        assert_eq!(errors[0], "config `tick-ms`: `soon` is no number that fits");
        assert!(errors[1].contains("the panic window a tick or more"), "{errors:?}");
    }
}
