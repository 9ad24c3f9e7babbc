//! The standard neuron that runs the host's own hormone law, compiled to Wasm.
//!
//! The same code as the host's ([`cyte_organism::law`]), over counts instead of cells: a place to
//! start from for a law of one's own, and the proof that the exchange loses nothing. On the same
//! looks it gives the same orders as natively, to the last one.
//!
//! # Configuration
//!
//! | key | meaning | default |
//! |---|---|---|
//! | `seed` | where its draws come from | `0` |
//!
//! It gives targets only, so it needs `neuron = "replace"`.

use cyte_organism::constants::Constants;
use cyte_organism::neuron as rules;
use cyte_sdk::neuron::{Look, Order};
use cyte_sdk::prelude::*;
use neuron_parts::number;

/// The law for all classes of the host.
struct Calculus(rules::Calculus);

impl Neuron for Calculus {
    fn born() -> Result<Self, Error> {
        Ok(Calculus(rules::Calculus::new(Constants::default(), number("seed", 0)?)))
    }

    fn watch(&mut self, look: &Look) -> Result<Vec<Order>, Error> {
        Ok(neuron_parts::look(&mut self.0, look))
    }
}

cyte_sdk::neuron!(Calculus);

#[cfg(test)]
mod tests {
    use cyte_sdk::neuron::{Host, Sample};
    use cyte_sdk::testing;

    use super::*;

    #[test]
    fn a_standing_queue_makes_it_grow() {
        let class = |ms: u64| Sample {
            gene: "web".into(),
            ready: 1,
            slots: 1,
            inflight: 1,
            queued: 5,
            head_wait_us: 20_000,
            service_us: 10_000,
            activation_us: 1_000,
            most: 64,
            wait_target_ms: 25,
            weight: 1,
            arrived: ms,
            ..Sample::default()
        };
        let mut neuron = testing::Watched::<Calculus>::default();
        let mut look = |ms: u64| {
            let host = Host { now_us: ms * 1_000, stems: 16, room: 100, ..Host::default() };
            neuron.watch(&Look { host, classes: vec![class(ms)] })
        };
        let told: Vec<_> = (1_000..1_200).step_by(20).flat_map(&mut look).collect();
        assert_eq!(told.len(), 10);
        assert!(told.contains(&class(0).target(2)), "a report doubles a class at most: {told:?}");
    }
}
