//! Tasks: `wasi:cli/run` components (and wrapped WASI 0.1 commands), run once with the host's own
//! stdin and stdout.

use std::{sync::Arc, time::Duration};

use cyte_organism::{Nanos, lineage::Lineage};
use tokio::time::timeout;
use wasmtime_wasi::{I32Exit, WasiCtx};

use crate::{
    cell,
    driver::Metered,
    error::Breach,
    genome::{CellPre, DoorPre, Genome},
    vitals::Vitals,
};

/// What a task is given.
#[derive(Clone, Debug, Default)]
pub struct TaskArguments {
    /// Its arguments; the first one is its name.
    pub arguments: Vec<String>,
    /// Wall clock after which it is stopped; none: unlimited.
    pub timeout: Option<Duration>,
    /// CPU after which it is stopped; none: unlimited.
    pub cpu: Option<Duration>,
}

/// How a task ended.
#[derive(Debug)]
pub enum TaskEnd {
    /// By itself, with this status.
    Exited(i32),
    /// A limit was reached.
    Breached(Breach),
    /// It trapped or panicked; the text holds the backtrace.
    Failed(String),
}

impl Genome {
    /// Runs a task to its end with the process's own stdin, stdout and stderr.
    pub async fn run_task(&self, pre: &CellPre, task: TaskArguments) -> TaskEnd {
        let host = self.host();
        let vitals = Arc::new(Vitals::new(host.clock, Lineage::default().add(None)));
        let budget = task.cpu.map_or(Nanos(u64::MAX), Nanos::from);
        vitals.begin(0, budget);
        let mut stdio = WasiCtx::builder();
        stdio.inherit_stdio().args(&task.arguments);
        let result = {
            let store = match cell::store(pre, &vitals, &host.memory, Some(stdio)) {
                Ok(store) => store,
                Err(error) => return TaskEnd::Failed(format!("{error:#}")),
            };
            let call = Box::pin(run(clone_door(&pre.door), store));
            let metered = Metered { call, vitals: vitals.clone(), ticker: host.ticker.clone() };
            match task.timeout {
                Some(span) => match timeout(span, metered).await {
                    Ok(result) => result,
                    Err(_) => return TaskEnd::Breached(Breach::Wall),
                },
                None => metered.await,
            }
        };
        end(result, &vitals)
    }
}

fn clone_door(door: &DoorPre) -> DoorPre {
    match door {
        DoorPre::Http02(pre) => DoorPre::Http02(pre.clone()),
        DoorPre::Http03(pre) => DoorPre::Http03(pre.clone()),
        DoorPre::Task02(pre) => DoorPre::Task02(pre.clone()),
        DoorPre::Task03(pre) => DoorPre::Task03(pre.clone()),
        DoorPre::Neuron(pre) => DoorPre::Neuron(pre.clone()),
        DoorPre::Policy(pre) => DoorPre::Policy(pre.clone()),
    }
}

async fn run(
    door: DoorPre,
    mut store: wasmtime::Store<crate::state::CellState>,
) -> wasmtime::Result<Result<(), ()>> {
    match door {
        DoorPre::Task02(pre) => {
            let command = pre.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        }
        DoorPre::Task03(pre) => {
            let command = pre.instantiate_async(&mut store).await?;
            store.run_concurrent(async |accessor| command.wasi_cli_run().call_run(accessor).await).await?
        }
        DoorPre::Http02(_) | DoorPre::Http03(_) => wasmtime::bail!("a drone is no task"),
        DoorPre::Neuron(_) => wasmtime::bail!("a neuron is no task"),
        DoorPre::Policy(_) => wasmtime::bail!("a policy is no task"),
    }
}

fn end(result: wasmtime::Result<Result<(), ()>>, vitals: &Vitals) -> TaskEnd {
    match result {
        Ok(Ok(())) => TaskEnd::Exited(0),
        Ok(Err(())) => TaskEnd::Exited(1),
        Err(error) => {
            if let Some(exit) = error.downcast_ref::<I32Exit>() {
                return TaskEnd::Exited(exit.0);
            }
            match vitals.breached() {
                Some(breach) => TaskEnd::Breached(breach),
                None => TaskEnd::Failed(format!("{error:?}")),
            }
        }
    }
}
