//! A cell: one store, one instance, one place in its tissue. It takes one message at a time, and
//! it ends as a unit: nothing of it is ever repaired.

use std::sync::Arc;

use wasmtime::{Store, StoreContextMut, UpdateDeadline, component::Instance};
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi_http::{p2::bindings::Proxy, p3::bindings::Service};

use crate::{
    crowd::Slot,
    error::Breach,
    genome::{CellPre, DoorPre},
    lifecycle::Lifecycle,
    limiter::MemoryBudget,
    receptor::Receptor,
    state::CellState,
    tissue::Place,
    vitals::{Tick, Vitals},
};

/// The way into an instance: the exports that the host calls.
pub(crate) enum Door {
    Http02(Proxy),
    Http03(Service),
}

/// A live instance of a gene. Fields are dropped in order: the store before the place is free.
pub(crate) struct Cell {
    pub(crate) store: Store<CellState>,
    pub(crate) door: Door,
    /// Where its gene exports one. Boxed: most have none.
    pub(crate) receptor: Option<Box<Receptor>>,
    /// The same.
    pub(crate) lifecycle: Option<Box<Lifecycle>>,
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) uses_left: u32,
    pub(crate) place: Place,
}

/// What a request is put into: a cell that is there, a place where one is made at once, or a slot
/// of a cell that takes several.
pub(crate) enum Vessel {
    Ready(Box<Cell>),
    Stem(Place),
    Slot(Slot),
}

impl Vessel {
    /// The vital signs that the driver watches, known before the cell is.
    pub(crate) fn vitals(&self) -> Arc<Vitals> {
        match self {
            Self::Ready(cell) => cell.vitals.clone(),
            Self::Stem(place) => place.vitals().clone(),
            // The cell's own are its task's business; the request watches only itself.
            Self::Slot(slot) => Arc::new(slot.visitor()),
        }
    }

    /// The cell; a stem differentiates now, for good. Runs guest code (its start functions).
    pub(crate) async fn embody(
        self,
        pre: &CellPre,
        memory: &Arc<MemoryBudget>,
    ) -> wasmtime::Result<Box<Cell>> {
        match self {
            Self::Ready(cell) => Ok(cell),
            Self::Stem(place) => differentiate(pre, place, memory).await,
            Self::Slot(_) => wasmtime::bail!("a shared cell is driven by its own task"),
        }
    }
}

async fn differentiate(
    pre: &CellPre,
    place: Place,
    memory: &Arc<MemoryBudget>,
) -> wasmtime::Result<Box<Cell>> {
    let vitals = place.vitals().clone();
    let mut store = store(pre, &vitals, memory, None)?;
    let (mut receptor, mut lifecycle) = (None, None);
    let door = match &pre.door {
        DoorPre::Http02(door) if pre.listens() => {
            let instance = door.instance_pre().instantiate_async(&mut store).await?;
            (receptor, lifecycle) = ears(pre, &mut store, &instance).await?;
            Door::Http02(Proxy::new(&mut store, &instance)?)
        }
        DoorPre::Http03(door) if pre.listens() => {
            let instance = door.instance_pre().instantiate_async(&mut store).await?;
            (receptor, lifecycle) = ears(pre, &mut store, &instance).await?;
            Door::Http03(Service::new(&mut store, &instance)?)
        }
        DoorPre::Http02(pre) => Door::Http02(pre.instantiate_async(&mut store).await?),
        DoorPre::Http03(pre) => Door::Http03(pre.instantiate_async(&mut store).await?),
        DoorPre::Task02(_) | DoorPre::Task03(_) => wasmtime::bail!("a task takes no requests"),
        DoorPre::Neuron(_) => wasmtime::bail!("a neuron takes no requests"),
        DoorPre::Policy(_) => wasmtime::bail!("a policy takes no requests"),
    };
    place.is_settled();
    Ok(Box::new(Cell { store, door, receptor, lifecycle, vitals, uses_left: pre.reuse, place }))
}

type Ears = (Option<Box<Receptor>>, Option<Box<Lifecycle>>);

/// What the host tells a cell of this gene through; one that wants to hear of its life hears its
/// beginning.
async fn ears(pre: &CellPre, store: &mut Store<CellState>, instance: &Instance) -> wasmtime::Result<Ears> {
    let (mut receptor, mut lifecycle) = (None, None);
    if pre.has_receptor() {
        receptor = Some(Box::new(Receptor::new(store, instance)?));
    }
    if pre.has_lifecycle() {
        lifecycle = Some(Box::new(Lifecycle::begin(store, instance).await?));
    }
    Ok((receptor, lifecycle))
}

/// A store with every limit on.
pub(crate) fn store(
    pre: &CellPre,
    vitals: &Arc<Vitals>,
    memory: &Arc<MemoryBudget>,
    stdio: Option<WasiCtxBuilder>,
) -> wasmtime::Result<Store<CellState>> {
    let mut store = Store::new(&pre.engine, CellState::new(&pre.context, vitals, memory, stdio)?);
    store.limiter(|state| &mut state.limiter);
    store.set_hostcall_fuel(pre.context.limits.host_call);
    store.set_max_component_handles(pre.context.limits.handles);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(pulse);
    Ok(store)
}

/// Runs in the guest's place at each tick that finds it in Wasm.
///
/// The stock yield would wake itself at once and starve I/O and timers of the same thread
/// (measured: 479 ms against 11 ms for a healthy request beside two that spin).
fn pulse(state: StoreContextMut<'_, CellState>) -> wasmtime::Result<UpdateDeadline> {
    match state.data().vitals.tick() {
        Tick::Stay => Ok(UpdateDeadline::Continue(1)),
        Tick::Leave | Tick::Share => Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))),
        Tick::Spent => Err(Breach::Cpu.into()),
    }
}
