//! The standard neuron that does what most servers do: a cell for whoever finds none free, and what
//! the last second's peak did not need retires.
//!
//! It has no configuration, and gives targets only, so it needs `neuron = "replace"`.

use cyte_organism::neuron as rules;
use cyte_sdk::neuron::{Look, Order};
use cyte_sdk::prelude::*;

/// The rule for all classes of the host.
struct OnDemand(rules::OnDemand);

impl Neuron for OnDemand {
    fn born() -> Result<Self, Error> {
        Ok(OnDemand(rules::OnDemand::default()))
    }

    fn watch(&mut self, look: &Look) -> Result<Vec<Order>, Error> {
        Ok(neuron_parts::look(&mut self.0, look))
    }
}

cyte_sdk::neuron!(OnDemand);

#[cfg(test)]
mod tests {
    use cyte_sdk::neuron::Sample;
    use cyte_sdk::testing;

    use super::*;

    #[test]
    fn who_waits_gets_a_cell() {
        let class = Sample {
            gene: "web".into(),
            ready: 2,
            slots: 1,
            queued: 3,
            most: 64,
            peak: 5,
            ..Sample::default()
        };
        let look = Look { classes: vec![class.clone()], ..Look::default() };
        let mut neuron = testing::Watched::<OnDemand>::default();
        assert_eq!(neuron.watch(&look), [class.target(5)]);
    }
}
