//! The threads of a host: `membrane` for accepting, governing and control, `cytoplasm` for connections and
//! guests, a slow lane of lower priority.

use std::time::Duration;

use cyte_dna::limits::{POLLED_CALLS_PER_CORE, POLLED_CALLS_PER_CORE_MAX};
use tokio::runtime::{Builder, Handle, Runtime};

use super::machine_error;
use crate::error::CliError;
use crate::live::Polled;

/// How long threads get to end after everything was drained.
const LAST_MOMENTS: Duration = Duration::from_millis(200);
/// How much nicer to others the slow lane's threads are.
const SLOW_NICENESS: i32 = 10;
/// Threads for what blocks in the kernel, files mostly.
const BLOCKING_THREADS: usize = 16;

/// The threads of a host.
pub(super) struct Threads {
    membrane: Runtime,
    cytoplasm: Runtime,
    slow: Runtime,
    pub(super) polled: Polled,
}

impl Threads {
    /// `polled` guests may be polled at once, one at least in each lane. The slow lane has threads to
    /// spare, which sleep until that is raised.
    pub(super) fn start(cores: usize, polled: Option<u32>) -> Result<Self, CliError> {
        let polled = polled.map_or(cores * POLLED_CALLS_PER_CORE, |polled| polled as usize);
        let inline = cores.min(polled.saturating_sub(1)).max(1);
        let beside = polled.saturating_sub(inline).max(1);
        let most = polled.max(cores * POLLED_CALLS_PER_CORE_MAX).max(inline + beside);
        let spare = most - inline;
        let build = |builder: &mut Builder| {
            builder
                .enable_all()
                .max_blocking_threads(BLOCKING_THREADS)
                .build()
                .map_err(|error| machine_error("cannot start threads", &error))
        };
        let membrane = build(Builder::new_multi_thread().worker_threads(1).thread_name("membrane"))?;
        let cytoplasm = build(Builder::new_multi_thread().worker_threads(inline).thread_name("cytoplasm"))?;
        let slow = build(
            Builder::new_multi_thread().worker_threads(spare).thread_name("slow-lane").on_thread_start(
                || {
                    // On Linux this is one thread's own; without it the lane is only less fair.
                    let _ = rustix::process::nice(SLOW_NICENESS);
                },
            ),
        )?;
        let count = |threads: usize| u32::try_from(threads).unwrap_or(u32::MAX);
        let polled = Polled { inline: count(inline), default: count(inline + beside), most: count(most) };
        Ok(Self { membrane, cytoplasm, slow, polled })
    }

    /// Those that accept, govern and answer the control socket.
    pub(super) fn membrane(&self) -> &Handle {
        self.membrane.handle()
    }

    /// Those of connections and guests.
    pub(super) fn cytoplasm(&self) -> &Handle {
        self.cytoplasm.handle()
    }

    /// Those of guests that compute for long, of lower priority.
    pub(super) fn slow(&self) -> &Handle {
        self.slow.handle()
    }

    /// Ends what holds the state folder first, then the guests. One that still computes is waited
    /// for a moment and then left to the end of the process: nobody waits for its answer any more.
    pub(super) fn stop(self) {
        for threads in [self.membrane, self.cytoplasm, self.slow] {
            threads.shutdown_timeout(LAST_MOMENTS);
        }
    }
}
