//! A neuron that does what the name of a class says: `trap`, `spin`, `garbage` (orders that no host
//! obeys), `heir` (as many cells as died, and one, while cells have memory and there is more). For any
//! other class it orders a cell more at each look.

use std::hint::black_box;

use cyte_sdk::neuron::{Advice, Look, Order};
use cyte_sdk::prelude::*;

#[derive(Default)]
struct Odd {
    looks: u32,
}

impl Neuron for Odd {
    fn born() -> Result<Self, Error> {
        Ok(Self::default())
    }

    fn watch(&mut self, look: &Look) -> Result<Vec<Order>, Error> {
        self.looks += 1;
        let mut orders = Vec::new();
        for class in &look.classes {
            match class.gene.as_str() {
                "trap" => std::process::abort(),
                "spin" => spin_for_ever(),
                "garbage" => {
                    orders.push(Order { gene: "nobody".into(), advice: Advice::Target(1) });
                    orders.push(Order { gene: "nobody".into(), advice: Advice::Bias(i32::MAX) });
                }
                "heir" => {
                    let has_memory = class.memory > 0 && look.host.memory >= class.memory;
                    if has_memory && look.host.memory < look.host.memory_max {
                        orders.push(class.target(class.died as u32 + 1));
                    }
                }
                _ => orders.push(class.target(self.looks)),
            }
        }
        Ok(orders)
    }
}

#[inline(never)]
fn spin_for_ever() -> ! {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

cyte_sdk::neuron!(Odd);
