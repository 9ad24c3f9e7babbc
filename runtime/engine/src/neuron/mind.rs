//! A neuron's cell: its store and its one export, called with the plain structs of `organism`.

use std::sync::Arc;

use cyte_organism::neuron::{Advice, Look, Order};
use wasmtime::Store;

use super::Held;
use crate::{
    cell, genome::CellPre, genome::DoorPre, limiter::MemoryBudget, state::CellState, vitals::Vitals,
};

mod generated {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package cyte:host;
            world mind {
                export cyte:cell/homeostasis@0.1.0;
            }
        ",
        world: "cyte:host/mind",
        exports: { default: async },
    });
}

use generated::exports::cyte::cell::homeostasis as wit;
pub(crate) use generated::{Mind as Door, MindPre as NeuronPre};

/// A live instance of a neuron. Fields are dropped in order: the store before the place is free.
pub(super) struct Mind {
    store: Store<CellState>,
    door: Door,
    pub(super) vitals: Arc<Vitals>,
    pub(super) uses_left: u32,
    _place: Held,
}

impl Mind {
    /// A fresh cell. Runs guest code (its start functions).
    pub(super) async fn embody(
        pre: &CellPre,
        vitals: &Arc<Vitals>,
        memory: &Arc<MemoryBudget>,
        place: Held,
    ) -> wasmtime::Result<Box<Self>> {
        let DoorPre::Neuron(door) = &pre.door else { wasmtime::bail!("it is no neuron") };
        let mut store = cell::store(pre, vitals, memory, None)?;
        let door = door.instantiate_async(&mut store).await?;
        Ok(Box::new(Self { store, door, vitals: vitals.clone(), uses_left: pre.reuse, _place: place }))
    }

    /// One look.
    pub(super) async fn watch(&mut self, look: &Look) -> wasmtime::Result<Vec<Order>> {
        self.uses_left = self.uses_left.saturating_sub(1);
        self.vitals.count_use();
        self.store.set_epoch_deadline(1);
        let classes: Vec<wit::Sample> = look.classes.iter().map(shown).collect();
        let host = look.host;
        let host = wit::Host {
            now_us: host.now_us,
            stems: host.stems,
            room: host.room,
            run_delay_us: host.run_delay_us,
            busy_permille: host.busy_permille,
            cores: host.cores,
            warm_mib: host.warm_mib,
            memory: host.memory,
            memory_max: host.memory_max,
        };
        let said = self.door.cyte_cell_homeostasis().call_watch(&mut self.store, host, &classes).await?;
        Ok(said.into_iter().map(heard).collect())
    }
}

fn shown(class: &cyte_organism::neuron::Sample) -> wit::Sample {
    wit::Sample {
        gene: class.gene.clone(),
        ready: class.ready,
        pending: class.pending,
        draining: class.draining,
        queued: class.queued,
        head_wait_us: class.head_wait_us,
        inflight: class.inflight,
        arrived: class.arrived,
        retired: class.retired,
        service_us: class.service_us,
        computing_us: class.computing_us,
        activation_us: class.activation_us,
        slots: class.slots,
        least: class.least,
        most: class.most,
        wait_target_ms: class.wait_target_ms,
        weight: class.weight,
        core: class.core,
        peak: class.peak,
        concurrency_us: class.concurrency_us,
        stalled: class.stalled,
        signal: class.signal,
        memory: class.memory,
        resting_mib: class.resting_mib,
        died: class.died,
    }
}

fn heard(order: wit::Order) -> Order {
    let advice = match order.advice {
        wit::Advice::Bias(permille) => Advice::Bias(permille),
        wit::Advice::Target(cells) => Advice::Target(cells),
    };
    Order { gene: order.gene, advice }
}
