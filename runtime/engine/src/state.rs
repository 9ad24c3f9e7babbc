//! What is in a cell's store: one type for every role and both engines, so that a prepared place
//! can become anything.

use std::sync::Arc;

use cyte_dna::{Gene, Role};
use cyte_organism::Nanos;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_config::WasiConfigVariables;
use wasmtime_wasi_http::{ForbiddenHeaderFilter, WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use crate::{
    capability::{
        Folder, Hands,
        files::{Holding, Quota},
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
    /// Wall clock of a call until the response's head; of a neuron's look and a policy's call, of all of it.
    pub wall: Nanos,
    /// Wall clock without progress after the head.
    pub stall: Nanos,
    /// How often a cell that holds a message is pinged: one that is stuck is found within two of these.
    pub pong: Nanos,
    /// How long a request may wait for a cell.
    pub wait: Nanos,
    /// How many requests may wait for one.
    pub waiters: u32,
    /// Table elements of a cell.
    pub tables: u32,
    /// Resource handles of a cell.
    pub handles: usize,
    /// Bytes that host calls may move into the host for one call.
    pub host_call: usize,
    /// Header fields of one message, names and values, in bytes.
    pub headers: usize,
    /// Random bytes of one call.
    pub random: u64,
    /// Outbound requests of a cell at once.
    pub outbound: usize,
    /// Bytes in the writable folders of the gene.
    pub files: u64,
    /// Files in the writable folders of the gene.
    pub file_count: u64,
}

impl CellLimits {
    fn of(gene: &Gene) -> Self {
        let limits = &gene.limits;
        let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Self {
            memory_bytes: limits.memory_or_default(),
            cpu: Nanos::from_millis(limits.cpu_ms_or_default()),
            wall: Nanos::from_millis(match gene.role {
                Role::Neuron => limits.look_ms_or_default(),
                Role::Policy => limits.policy_ms_or_default(),
                Role::Drone | Role::Task => limits.wall_ms_or_default(),
            }),
            stall: Nanos::from_millis(limits.idle_ms_or_default()),
            pong: Nanos::from_millis(limits.pong_ms_or_default()),
            wait: Nanos::from_millis(limits.wait_ms_or_default()),
            waiters: limits.waiters_or_default(),
            tables: limits.tables_or_default(),
            handles: size(limits.handles_or_default().into()),
            host_call: size(limits.host_call_or_default()),
            headers: size(limits.headers_or_default()),
            random: limits.random_or_default(),
            outbound: size(limits.outbound_or_default().into()),
            files: limits.files_or_default(),
            file_count: limits.file_count_or_default().into(),
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
    /// The bound on its writable folders, where it has any.
    pub(crate) quota: Option<Arc<Quota>>,
    folders: Vec<Folder>,
    config: WasiConfigVariables,
}

impl GeneContext {
    pub(crate) fn new(gene: Gene, organism: String, hands: Hands, folders: Vec<Folder>) -> Self {
        let limits = CellLimits::of(&gene);
        let max = Holding { bytes: limits.files, files: limits.file_count };
        let writable = || folders.iter().filter(|folder| folder.write).map(|folder| folder.host.clone());
        Self {
            organism,
            hands,
            limits,
            quota: writable().next().is_some().then(|| Arc::new(Quota::new(writable(), max))),
            secrets: gene.grants.secrets.clone().into(),
            forbidden: Arc::new(is_forbidden),
            folders,
            config: gene.grants.config.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            gene,
        }
    }

    /// The context of a fresh cell: nothing but what the DNA grants.
    pub(crate) fn wasi(&self, mut builder: wasmtime_wasi::WasiCtxBuilder) -> wasmtime::Result<WasiCtx> {
        builder.max_random_size(self.limits.random);
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
        table.set_max_capacity(gene.limits.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(gene.limits.headers);
        Ok(Self {
            vitals: vitals.clone(),
            gene: gene.clone(),
            limiter: Limiter::new(vitals.clone(), memory.clone(), &gene.limits),
            table,
            wasi: gene.wasi(builder)?,
            http,
            hooks: Hooks::new(gene.clone(), vitals.clone()),
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
