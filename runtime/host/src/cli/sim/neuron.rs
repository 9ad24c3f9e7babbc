//! A neuron's component in the simulator: the real engine, asked on virtual time.
//!
//! A scenario's figures must not depend on how busy this machine is, so a look may take a second
//! here, and a neuron whose cell ends badly ends the simulation.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use cyte_dna::{Blob, Gene, GeneName, Mandate, Role, limits};
use cyte_engine::capability::Hands;
use cyte_engine::capability::control::NoControl;
use cyte_engine::capability::http::{BoxFuture, Outbound, OutboundBody, OutboundError, OutboundRequest};
use cyte_engine::capability::log::{LogLine, LogSink, Source};
use cyte_engine::{Alarm, Clock, Genome, GenomeConfig, Geometry, Lanes, Neuron, Shape};
use cyte_organism::neuron::{Look, Order, Watch};
use tokio::runtime::{Builder, Runtime};

use crate::cli::{Context, files};
use crate::codes::Code;
use crate::error::CliError;
use crate::loading;

/// Wall clock of one look in a simulation, in milliseconds.
const LOOK_MS: u64 = 1_000;
/// Places for cells: the neuron's, and one for the engine's own needs.
const CELLS: u32 = 2;

/// A component that can be asked, with the engine that it lives in.
pub(super) struct Lab {
    neuron: Arc<Neuron>,
    runtime: Arc<Runtime>,
    trouble: Arc<Mutex<Option<CliError>>>,
    folder: PathBuf,
    name: String,
}

impl std::fmt::Debug for Lab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lab").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Compiled code that nobody else may load; what cannot be deleted costs only space.
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Lab {
    /// Makes the component at `path` ready.
    ///
    /// # Errors
    /// [`Code::Missing`] for the file, [`Code::Component`] for one that is no neuron,
    /// [`Code::Prepare`] for one that cannot live, [`Code::Machine`] for threads.
    pub(super) fn open(path: &Path, context: &Context) -> Result<Self, CliError> {
        let name = path.display().to_string();
        let unfit = |why: String| CliError::new(Code::Component, format!("cannot ask `{name}`"), why);
        let wasm = files::read(path, limits::BLOB_BYTES)?;
        let inspection = cyte_engine::inspect(&wasm).map_err(unfit)?;
        if inspection.shape != Shape::Neuron {
            let why = format!("it is a {}, built for {}", inspection.shape.role(), inspection.shape.world());
            return Err(unfit(why).help("a neuron exports cyte:cell/homeostasis"));
        }
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = Arc::new(runtime.map_err(|error| machine("cannot start a thread", &error))?);
        let folder = std::env::temp_dir().join(format!("cyte-sim-{}", std::process::id()));
        let genome = genome(&runtime, folder.clone())?;
        let gene = gene(&wasm).map_err(|error| unfit(error.to_string()))?;
        let hands = Hands {
            outbound: Arc::new(Nobody),
            log: Arc::new(Shown(context.clone())),
            control: Arc::new(NoControl),
        };
        let pre = genome.prepare(&gene, "sim", &wasm, inspection, hands, Vec::new()).map_err(|error| {
            CliError::new(Code::Prepare, format!("cannot ask `{name}`"), error.to_string())
        })?;
        let neuron = genome.neuron(pre).ok_or_else(|| unfit("it is no neuron".to_owned()))?;
        Ok(Self { neuron, runtime, trouble: Arc::default(), folder, name })
    }

    /// A fresh cell's view of the world, for one simulation.
    pub(super) fn watch(&self) -> Box<dyn Watch> {
        self.neuron.forget();
        Box::new(Asking {
            neuron: self.neuron.clone(),
            runtime: self.runtime.clone(),
            trouble: self.trouble.clone(),
            name: self.name.clone(),
        })
    }

    /// Why the neuron could not be asked to the end, if it could not.
    pub(super) fn take_trouble(&self) -> Option<CliError> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Orders that a host would not have obeyed.
    pub(super) fn refused(&self) -> u64 {
        self.neuron.snapshot().orders_refused
    }
}

fn gene(wasm: &[u8]) -> Result<Gene, cyte_dna::TextError> {
    let mut gene = Gene::new(GeneName::new("neuron")?, Role::Neuron, Blob::of(wasm));
    gene.neuron = Some(Mandate::Replace);
    gene.limits.wall_ms = Some(LOOK_MS);
    gene.limits.cpu_ms = Some(LOOK_MS);
    Ok(gene)
}

fn genome(runtime: &Runtime, code_folder: PathBuf) -> Result<Arc<Genome>, CliError> {
    let mut code_key = [0; 32];
    getrandom::fill(&mut code_key)
        .map_err(|error| CliError::new(Code::Machine, "no randomness", error.to_string()))?;
    let config = GenomeConfig {
        geometry: Geometry { slots: CELLS, warm_bytes: 0 },
        memory_max: 2 * limits::CELL_MEMORY_BYTES,
        cells_max: CELLS,
        code_folder,
        code_key,
        compiler: Some(loading::compiler(None)?),
        lanes: Lanes { cytoplasm: runtime.handle().clone(), slow: runtime.handle().clone(), slow_at_once: 1 },
        clock: Clock::start(),
        alarm: Alarm::new(|_| {}),
    };
    Genome::new(config, None).map_err(|error| machine("cannot start the pulse", &error))
}

fn machine(what: &str, error: &std::io::Error) -> CliError {
    CliError::new(Code::Machine, what, error.to_string())
}

/// A neuron that is asked and waited for.
struct Asking {
    neuron: Arc<Neuron>,
    runtime: Arc<Runtime>,
    trouble: Arc<Mutex<Option<CliError>>>,
    name: String,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asking").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Watch for Asking {
    fn watch(&mut self, look: &Look) -> Vec<Order> {
        let mut trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if trouble.is_some() {
            return Vec::new();
        }
        match self.runtime.block_on(self.neuron.look(look)) {
            Ok(orders) => orders,
            Err(error) => {
                let what = format!("cannot ask `{}`", self.name);
                let at = format!("after {} ms: {error}", look.host.now_us / 1_000);
                *trouble = Some(CliError::new(Code::Component, what, at));
                Vec::new()
            }
        }
    }
}

/// Sends nothing: a neuron has no grant anyway.
struct Nobody;

impl Outbound for Nobody {
    fn send(&self, _: OutboundRequest) -> BoxFuture<Result<http::Response<OutboundBody>, OutboundError>> {
        Box::pin(async { Err(OutboundError::Denied("a simulation sends nothing".to_owned())) })
    }
}

/// What the neuron says, on standard error; what the host says of its end is in the error.
struct Shown(Context);

impl LogSink for Shown {
    fn line(&self, line: LogLine) {
        if line.source != Source::Host {
            self.0.note(&format!("neuron     {}", line.text));
        }
    }
}
