//! A policy's cell: its store and the exports that its duties need, called with plain structs.

use std::sync::Arc;

use cyte_dna::Duty;
use wasmtime::Store;

use crate::{
    cell,
    genome::{CellPre, DoorPre},
    limiter::MemoryBudget,
    neuron::Held,
    state::CellState,
    vitals::Vitals,
};

mod judge {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package cyte:host;
            world judge {
                export cyte:cell/zombies@0.1.0;
            }
        ",
        world: "cyte:host/judge",
        exports: { default: async },
    });
}

mod sink {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package cyte:host;
            world sink {
                export cyte:cell/log-sink@0.1.0;
            }
        ",
        world: "cyte:host/sink",
        exports: { default: async },
    });
}

mod meter {
    wasmtime::component::bindgen!({
        path: "../../wit",
        inline: "
            package cyte:host;
            world meter {
                export cyte:cell/metrics@0.1.0;
            }
        ",
        world: "cyte:host/meter",
        exports: { default: async },
    });
}

use judge::exports::cyte::cell::zombies as wit_zombies;
use meter::exports::cyte::cell::metrics as wit_metrics;
use sink::exports::cyte::cell::log_sink as wit_sink;

/// A cell that is stuck, as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Its gene.
    pub gene: String,
    /// Its number.
    pub cell: u64,
    /// For how long nothing happened in it, in milliseconds.
    pub silent_ms: u64,
    /// What it did last, in words.
    pub last: String,
}

/// What becomes of a cell that is stuck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It ends.
    End,
    /// It stays.
    Spare,
}

/// A line of a gene, as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SinkLine {
    /// Wall clock in milliseconds since 1970.
    pub at_ms: u64,
    /// The gene.
    pub gene: String,
    /// The cell's number; 0 where no cell is meant.
    pub cell: u64,
    /// The request that the cell was serving, as 16 hexadecimal digits.
    pub request: Option<String>,
    /// Where it was written: `stdout`, `stderr`, `log` or `host`.
    pub origin: String,
    /// The level, where one was named.
    pub level: Option<String>,
    /// The text.
    pub text: String,
}

/// What was counted of one gene in a second, as a policy sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneCounts {
    /// The gene.
    pub gene: String,
    /// Requests that a cell took.
    pub served: u32,
    /// Calls that ended with their cell's death.
    pub failed: u32,
    /// Requests that the host refused.
    pub refused: u32,
    /// Half of the gene's calls so far took at most this long, in microseconds.
    pub p50_us: u32,
    /// 99 of 100 did.
    pub p99_us: u32,
    /// Cells that live.
    pub cells: u32,
}

/// A live instance of a policy. Fields are dropped in order: the store before the place is free.
pub(super) struct Clerk {
    store: Store<CellState>,
    judge: Option<judge::Judge>,
    sink: Option<sink::Sink>,
    meter: Option<meter::Meter>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) uses_left: u32,
    _place: Held,
}

impl Clerk {
    /// A fresh cell. Runs guest code (its start functions).
    pub(super) async fn embody(
        pre: &CellPre,
        vitals: &Arc<Vitals>,
        memory: &Arc<MemoryBudget>,
        place: Held,
    ) -> wasmtime::Result<Box<Self>> {
        let DoorPre::Policy(door) = &pre.door else { wasmtime::bail!("it is no policy") };
        let mut store = cell::store(pre, vitals, memory, None)?;
        let instance = door.instantiate_async(&mut store).await?;
        let (mut judge, mut sink, mut meter) = (None, None, None);
        for duty in &pre.context.gene.policy {
            match duty {
                Duty::Zombies => judge = Some(judge::Judge::new(&mut store, &instance)?),
                Duty::Log => sink = Some(sink::Sink::new(&mut store, &instance)?),
                Duty::Metrics => meter = Some(meter::Meter::new(&mut store, &instance)?),
            }
        }
        let (vitals, uses_left) = (vitals.clone(), pre.reuse);
        Ok(Box::new(Self { store, judge, sink, meter, vitals, uses_left, _place: place }))
    }

    fn begin(&mut self) {
        self.uses_left = self.uses_left.saturating_sub(1);
        self.vitals.count_use();
        self.store.set_epoch_deadline(1);
    }

    pub(super) async fn judge(&mut self, found: Stuck) -> wasmtime::Result<Verdict> {
        self.begin();
        let Some(door) = &self.judge else { wasmtime::bail!("its DNA does not let it judge") };
        let Stuck { gene, cell, silent_ms, last } = found;
        let found = wit_zombies::Zombie { gene, cell, silent_ms, last };
        Ok(match door.cyte_cell_zombies().call_judge(&mut self.store, &found).await? {
            wit_zombies::Verdict::End => Verdict::End,
            wit_zombies::Verdict::Spare => Verdict::Spare,
        })
    }

    pub(super) async fn take_lines(&mut self, lines: Vec<SinkLine>, dropped: u64) -> wasmtime::Result<()> {
        self.begin();
        let Some(door) = &self.sink else { wasmtime::bail!("its DNA gives it no lines") };
        let line = |line: SinkLine| {
            let SinkLine { at_ms, gene, cell, request, origin, level, text } = line;
            wit_sink::Line { at_ms, gene, cell, request, origin, level, text }
        };
        let lines: Vec<wit_sink::Line> = lines.into_iter().map(line).collect();
        door.cyte_cell_log_sink().call_take(&mut self.store, &lines, dropped).await
    }

    pub(super) async fn take_counts(&mut self, at_ms: u64, genes: Vec<GeneCounts>) -> wasmtime::Result<()> {
        self.begin();
        let Some(door) = &self.meter else { wasmtime::bail!("its DNA gives it no counts") };
        let counts = |counts: GeneCounts| {
            let GeneCounts { gene, served, failed, refused, p50_us, p99_us, cells } = counts;
            wit_metrics::Counts { gene, served, failed, refused, p50_us, p99_us, cells }
        };
        let genes: Vec<wit_metrics::Counts> = genes.into_iter().map(counts).collect();
        door.cyte_cell_metrics().call_take(&mut self.store, at_ms, &genes).await
    }
}
