//! Which clock a cell waits for.
//!
//! A cell that rests in a call until a timer fires is alive, and nothing else tells it from one that
//! waits for what never comes. So the functions of `wasi:clocks` that begin such a wait are linked a
//! second time, over the library's: each notes when it would end, and then does what it did.

use std::time::Duration;

use cyte_organism::Nanos;
use wasmtime::{StoreContextMut, component::Linker};
use wasmtime_wasi::{clocks::WasiClocksView, p2::bindings::clocks::monotonic_clock::Host as _};

use crate::state::CellState;

/// Links the waits of `wasi:clocks` 0.2 over those of the library.
pub(crate) fn add_to_linker(linker: &mut Linker<CellState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.2.12")?;
    clock.func_wrap(
        "subscribe-duration",
        |mut store: StoreContextMut<'_, CellState>, (duration,): (u64,)| {
            let state = store.data_mut();
            state.vitals.waits_for_clock(Nanos(duration));
            Ok((state.clocks().subscribe_duration(duration)?,))
        },
    )?;
    clock.func_wrap("subscribe-instant", |mut store: StoreContextMut<'_, CellState>, (when,): (u64,)| {
        let state = store.data_mut();
        let rest = when.saturating_sub(state.clocks().now()?);
        state.vitals.waits_for_clock(Nanos(rest));
        Ok((state.clocks().subscribe_instant(when)?,))
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// The same for `wasi:clocks` 0.3.
pub(crate) fn add_concurrent_to_linker(linker: &mut Linker<CellState>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut clock = linker.instance("wasi:clocks/monotonic-clock@0.3.0")?;
    clock.func_wrap_concurrent("wait-for", |accessor, (duration,): (u64,)| {
        accessor.with(|mut store| store.get().vitals.waits_for_clock(Nanos(duration)));
        Box::pin(async move {
            rest(duration).await;
            Ok(())
        })
    })?;
    clock.func_wrap_concurrent("wait-until", |accessor, (when,): (u64,)| {
        let left = accessor.with(|mut store| {
            let state = store.get();
            let left = when.saturating_sub(state.clocks().now()?);
            state.vitals.waits_for_clock(Nanos(left));
            Ok::<_, wasmtime::Error>(left)
        });
        Box::pin(async move {
            rest(left?).await;
            Ok(())
        })
    })?;
    linker.allow_shadowing(false);
    Ok(())
}

/// As the library does: no time at all is no reason to come back later.
async fn rest(nanos: u64) {
    if nanos > 0 {
        tokio::time::sleep(Duration::from_nanos(nanos)).await;
    }
}
