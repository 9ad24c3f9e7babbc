//! What is in a cell's store: one type for every role and both engines, so that a prepared place
//! can become anything.

use std::sync::Arc;

use cyte_dna::{Gene, limits};
use cyte_organism::Nanos;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{ForbiddenHeaderFilter, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    capability::{
        Folder, Hands,
        http::{Hooks, is_forbidden},
        log::{CellLog, Source},
    },
    limiter::{Limiter, MemoryBudget},
    vitals::Vitals,
};

/// The limits of one gene's cells, defaults filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct CellLimits {
    /// Memory of a cell in bytes, summed over its memories.
    pub memory_bytes: u64,
    /// CPU of a call until the response's head, and again for each piece after it.
    pub cpu: Nanos,
    /// Wall clock of a call until the response's head.
    pub wall: Nanos,
    /// Wall clock without progress after the head.
    pub stall: Nanos,
    /// How long a request may wait for a cell.
    pub wait: Nanos,
}

impl CellLimits {
    fn of(gene: &Gene) -> Self {
        Self {
            memory_bytes: gene.limits.memory_or_default(),
            cpu: Nanos::from_millis(gene.limits.cpu_ms_or_default()),
            wall: Nanos::from_millis(gene.limits.wall_ms_or_default()),
            stall: Nanos::from_millis(limits::IDLE_AFTER_HEAD_MS),
            wait: Nanos::from_millis(gene.limits.wait_ms_or_default()),
        }
    }
}

/// What all cells of one gene share.
pub(crate) struct GeneContext {
    pub(crate) gene: Gene,
    pub(crate) organism: String,
    pub(crate) hands: Hands,
    pub(crate) limits: CellLimits,
    pub(crate) secrets: Arc<[String]>,
    pub(crate) forbidden: ForbiddenHeaderFilter,
    folders: Vec<Folder>,
    config: WasiConfigVariables,
}

impl GeneContext {
    pub(crate) fn new(gene: Gene, organism: String, hands: Hands, folders: Vec<Folder>) -> Self {
        Self {
            organism,
            hands,
            limits: CellLimits::of(&gene),
            secrets: gene.grants.secrets.clone().into(),
            forbidden: Arc::new(is_forbidden),
            folders,
            config: gene.grants.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            gene,
        }
    }

    /// The context of a fresh cell: nothing but what the DNA grants.
    pub(crate) fn wasi(&self, mut builder: wasmtime_wasi::WasiCtxBuilder) -> wasmtime::Result<WasiCtx> {
        builder.max_random_size(limits::RANDOM_PER_CALL_BYTES);
        for (key, value) in &self.gene.grants.environment {
            builder.env(key, value);
        }
        for folder in &self.folders {
            let perms = if folder.write { FsPerms::ReadWrite } else { FsPerms::ReadOnly };
            builder.preopened_dir(&folder.host, &folder.guest, perms)?;
        }
        Ok(builder.build())
    }
}

/// The data of one cell's store.
pub(crate) struct CellState {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) gene: Arc<GeneContext>,
    pub(crate) limiter: Limiter,
    table: ResourceTable,
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Hooks,
}

impl CellState {
    /// A fresh cell's data. `wasi` is a builder that may already hold arguments and streams; where
    /// it does not, output goes to the log.
    pub(crate) fn new(
        gene: &Arc<GeneContext>,
        vitals: &Arc<Vitals>,
        memory: &Arc<MemoryBudget>,
        stdio: Option<wasmtime_wasi::WasiCtxBuilder>,
    ) -> wasmtime::Result<Self> {
        let builder = stdio.unwrap_or_else(|| {
            let mut builder = WasiCtx::builder();
            let log = |source| CellLog { gene: gene.clone(), vitals: vitals.clone(), source };
            builder.stdout(log(Source::Stdout)).stderr(log(Source::Stderr));
            builder
        });
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits::CELL_HANDLES);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(limits::HEADER_FIELDS_BYTES);
        Ok(Self {
            vitals: vitals.clone(),
            gene: gene.clone(),
            limiter: Limiter::new(vitals.clone(), memory.clone(), gene.limits.memory_bytes),
            table,
            wasi: gene.wasi(builder)?,
            http,
            hooks: Hooks::new(gene.clone()),
        })
    }

    pub(crate) fn log_stream(&self, source: Source) -> CellLog {
        CellLog { gene: self.gene.clone(), vitals: self.vitals.clone(), source }
    }

    pub(crate) fn config(&mut self) -> wasmtime_wasi_config::WasiConfig<'_> {
        wasmtime_wasi_config::WasiConfig::new(&self.gene.config)
    }
}

impl WasiView for CellState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for CellState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}
