//! One engine with everything that a gene may import.
//!
//! Its pool is the longest step of a host's start (a guard page for each of its stacks), so the
//! first one is made by an [`Incubator`] while the host reads its state and judges its DNA.

use std::thread::{self, JoinHandle};

use wasmtime::{Engine, component::Linker};

use crate::{
    capability::{clocks, control, files, identity},
    engines::{self, Geometry, Kind},
    state::CellState,
};

/// One of the two engines with everything that a gene may import.
pub(crate) struct Side {
    pub(crate) engine: Engine,
    pub(crate) linker: Linker<CellState>,
}

impl Side {
    pub(crate) fn make(kind: Kind, geometry: Geometry) -> wasmtime::Result<Self> {
        let engine = engines::pooled(kind, geometry)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        files::add_to_linker(&mut linker)?;
        clocks::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        wasmtime_wasi_config::add_to_linker(&mut linker, CellState::config)?;
        identity::add_to_linker(&mut linker)?;
        control::add_to_linker(&mut linker)?;
        if kind == Kind::Concurrent {
            wasmtime_wasi::p3::add_to_linker(&mut linker)?;
            files::add_read_only_to_linker(&mut linker)?;
            clocks::add_concurrent_to_linker(&mut linker)?;
            wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        }
        Ok(Self { engine, linker })
    }
}

/// The plain engine, being made on a thread of its own. Holds nothing of any gene.
#[derive(Debug)]
pub struct Incubator {
    geometry: Geometry,
    making: JoinHandle<wasmtime::Result<Side>>,
}

impl Incubator {
    /// Begins an engine whose pool has this geometry.
    ///
    /// # Errors
    ///
    /// If there is no thread to be had.
    pub fn start(geometry: Geometry) -> std::io::Result<Self> {
        let make = move || Side::make(Kind::Plain, geometry);
        let making = thread::Builder::new().name("incubator".into()).spawn(make)?;
        Ok(Self { geometry, making })
    }

    /// The engine, as soon as it is there. One of another geometry than is wanted by now is let go
    /// and made anew.
    pub(crate) fn hatch(self, wanted: Geometry) -> wasmtime::Result<Side> {
        if self.geometry != wanted {
            return Side::make(Kind::Plain, wanted);
        }
        self.making.join().unwrap_or_else(|_| wasmtime::bail!("the thread that made the engine ended early"))
    }
}

impl std::fmt::Debug for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Side").finish_non_exhaustive()
    }
}
