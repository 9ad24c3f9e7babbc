//! What the machine says: cores to pin to, CPU time and memory of a process tree.
//!
//! Reads `/proc`; Linux only, as the runtime is. It changes nothing but the affinity of threads
//! that the bench starts itself.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde::{Deserialize, Serialize};

/// The core of the server and the core of the load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// The server's core, all its threads on it.
    pub server: usize,
    /// The generator's core.
    pub load: usize,
}

/// One core for the server and another for the load; `None` where this process has only one.
#[must_use]
pub(crate) fn placement() -> Option<Placement> {
    let allowed = sched_getaffinity(None).ok()?;
    let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
    // The first core takes more of the kernel's own interrupts: it gets the load.
    let load = cores.next()?;
    Some(Placement { server: cores.next()?, load })
}

/// Keep the calling thread, and all that it starts from now on, on `core`.
///
/// # Errors
/// If the kernel refuses the core.
pub(crate) fn pin(core: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Time in which this machine's cores wanted to run and their host ran something else, and all time that
/// they had, in ticks since it started; zero where the kernel does not say.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stolen {
    stolen: u64,
    all: u64,
}

impl Stolen {
    /// Until now.
    pub(crate) fn read() -> Self {
        Self::parse(&std::fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(stat: &str) -> Self {
        let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
        // User, nice, system, idle, iowait, irq, softirq, steal; what follows is in the first two already.
        let ticks: Vec<u64> =
            line.unwrap_or("").split_whitespace().take(8).map_while(|ticks| ticks.parse().ok()).collect();
        Self { stolen: ticks.get(7).copied().unwrap_or(0), all: ticks.iter().sum() }
    }

    /// Percent of the time from `self` until `later`.
    pub(crate) fn percent_until(self, later: Self) -> f64 {
        let all = later.all.saturating_sub(self.all).max(1);
        100.0 * later.stolen.saturating_sub(self.stolen) as f64 / all as f64
    }
}

/// What the figures were measured on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The load average of the minute before the first round.
    pub load: f64,
}

impl Machine {
    /// Of this machine, now.
    #[must_use]
    pub(crate) fn read() -> Self {
        let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
        let average = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        Self {
            cpu: model.map_or("unknown", |(_, name)| name.trim()).to_owned(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            load: average.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(0.0),
        }
    }
}

/// The fields of `/proc/PID/stat` that matter here, times in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stat {
    /// Ended, but nobody has asked for its status yet.
    ended: bool,
    parent: u32,
    /// Own time and that of children already waited for.
    ticks: u64,
    /// With the id it names one process for ever.
    started: u64,
}

/// `None` if `text` is not a stat line. The name in brackets may hold anything, also brackets.
fn stat_of(text: &str) -> Option<Stat> {
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    // The state is field 3 of proc(5) and the first here.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let ticks = (14..=17).map(number).sum::<Option<u64>>()?;
    let ended = matches!(*fields.first()?, "Z" | "X");
    Some(Stat { ended, parent: u32::try_from(number(4)?).ok()?, ticks, started: number(22)? })
}

fn stat(pid: u32) -> Option<Stat> {
    stat_of(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// One process, told apart from a later one with the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    started: u64,
}

impl Process {
    /// Whether that very process still runs.
    pub(crate) fn lives(self) -> bool {
        stat(self.pid).is_some_and(|stat| stat.started == self.started && !stat.ended)
    }
}

/// `root` and all that descend from it, `root` first.
#[must_use]
pub(crate) fn tree(root: u32) -> Vec<Process> {
    let Some(first) = stat(root) else { return Vec::new() };
    let all: Vec<(u32, Stat)> =
        numbers_in("/proc").into_iter().filter_map(|pid| Some((pid, stat(pid)?))).collect();
    let mut found = vec![Process { pid: root, started: first.started }];
    let mut next = 0;
    while let Some(parent) = found.get(next).map(|process| process.pid) {
        let children = all.iter().filter(|(_, stat)| stat.parent == parent);
        found.extend(children.map(|(pid, stat)| Process { pid: *pid, started: stat.started }));
        next += 1;
    }
    found
}

/// The names in a folder that are numbers: processes of `/proc`, threads of a task folder.
fn numbers_in(folder: &str) -> Vec<u32> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// The CPU time that a process tree had used at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct CpuTime {
    /// Of the whole tree with threads and children that ended, in clock ticks.
    ticks: u64,
    /// Of each living thread, in nanoseconds.
    threads: BTreeMap<u32, u64>,
}

impl CpuTime {
    /// Of `root` and all that descend from it, now.
    #[must_use]
    pub(crate) fn of_tree(root: u32) -> Self {
        Self::of(&tree(root))
    }

    /// Of this process without its children, now.
    #[must_use]
    pub(crate) fn own() -> Self {
        Self::of(&[Process { pid: std::process::id(), started: 0 }])
    }

    fn of(processes: &[Process]) -> Self {
        let mut time = Self::default();
        for process in processes {
            time.ticks += stat(process.pid).map_or(0, |stat| stat.ticks);
            let tasks = format!("/proc/{}/task", process.pid);
            for thread in numbers_in(&tasks) {
                let text = std::fs::read_to_string(format!("{tasks}/{thread}/schedstat"));
                let spent = text.ok().and_then(|text| text.split(' ').next()?.parse().ok());
                time.threads.insert(thread, spent.unwrap_or(0));
            }
        }
        time
    }

    /// Used since `earlier`. By thread in nanoseconds while all threads of then still live and
    /// the kernel counts so; else in clock ticks (10 ms), which also hold those that ended.
    #[must_use]
    pub(crate) fn since(&self, earlier: &Self, ticks_a_second: u64) -> Duration {
        let by_thread = self.by_thread(earlier).filter(|nanoseconds| *nanoseconds > 0);
        by_thread.map_or_else(
            || {
                let ticks = self.ticks.saturating_sub(earlier.ticks);
                Duration::from_secs_f64(ticks as f64 / ticks_a_second.max(1) as f64)
            },
            Duration::from_nanos,
        )
    }

    fn by_thread(&self, earlier: &Self) -> Option<u64> {
        if !earlier.threads.keys().all(|thread| self.threads.contains_key(thread)) {
            return None;
        }
        let used = self.threads.iter();
        Some(used.map(|(id, now)| now.saturating_sub(earlier.threads.get(id).copied().unwrap_or(0))).sum())
    }
}

/// Clock ticks a second in `/proc`.
#[must_use]
pub(crate) fn ticks_a_second() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// Busy time of all cores since boot, in clock ticks; `None` where the kernel does not say.
#[must_use]
pub(crate) fn busy_ticks() -> Option<u64> {
    busy_of(&std::fs::read_to_string("/proc/stat").ok()?)
}

/// User, nice, system, interrupts and steal of the first line; idle and I/O wait left out.
fn busy_of(text: &str) -> Option<u64> {
    let line = text.lines().next()?.strip_prefix("cpu ")?;
    let fields: Vec<u64> = line.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
    [0, 1, 2, 5, 6, 7].into_iter().map(|field| fields.get(field).copied()).sum()
}

/// Memory of a process tree, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Resident, shared file pages counted in full.
    pub rss: u64,
    /// Resident, shared pages counted in proportion.
    pub pss: u64,
}

/// Of `root` and all that descend from it, now.
#[must_use]
pub(crate) fn memory(root: u32) -> Memory {
    let mut total = Memory { rss: 0, pss: 0 };
    for process in tree(root) {
        let read =
            |file: &str| std::fs::read_to_string(format!("/proc/{}/{file}", process.pid)).unwrap_or_default();
        total.rss += kibibytes(&read("status"), "VmRSS:") * 1024;
        total.pss += kibibytes(&read("smaps_rollup"), "Pss:") * 1024;
    }
    total
}

fn kibibytes(text: &str, field: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix("kB"));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stolen_is_a_part_of_all_time() {
        let before = Stolen::parse("cpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 2 3\n");
        let after = Stolen::parse("cpu  150 0 50 840 10 0 0 50 7 0\n");
        assert!((before.percent_until(after) - 10.0).abs() < 1e-9);
        assert_eq!(Stolen::parse("intr 7").percent_until(Stolen::default()), 0.0);
        assert!(Stolen::read().percent_until(Stolen::read()) <= 100.0);
    }

    #[test]
    fn a_stat_line_with_a_nasty_name() {
        let line = "77 (a) b (c)) S 5 6 7 0 -1 4 0 0 0 0 10 20 3 4 20 0 1 0 999 0 0";
        assert_eq!(stat_of(line), Some(Stat { ended: false, parent: 5, ticks: 37, started: 999 }));
        assert!(stat_of(&line.replace(" S ", " Z ")).is_some_and(|stat| stat.ended));
        assert_eq!(stat_of("77 (x) S 5"), None);
    }

    #[test]
    fn this_process_is_in_its_tree_and_lives() {
        let me = std::process::id();
        let tree = tree(me);
        assert_eq!(tree.first().map(|process| process.pid), Some(me));
        assert!(tree[0].lives());
        assert!(!Process { pid: me, started: 1 }.lives());
    }

    #[test]
    fn cpu_by_thread_or_by_tick() {
        let reading =
            |ticks, threads: &[(u32, u64)]| CpuTime { ticks, threads: threads.iter().copied().collect() };
        let earlier = reading(100, &[(1, 50), (2, 60)]);
        let later = reading(120, &[(1, 80), (2, 60), (3, 7)]);
        assert_eq!(later.since(&earlier, 100), Duration::from_nanos(37));
        // Thread 2 ended: only the ticks know what it had used.
        let without = reading(120, &[(1, 80)]);
        assert_eq!(without.since(&earlier, 100), Duration::from_millis(200));
    }

    #[test]
    fn work_is_seen() {
        let before = CpuTime::own();
        let end = std::time::Instant::now() + Duration::from_millis(60);
        while std::time::Instant::now() < end {
            std::hint::spin_loop();
        }
        let used = CpuTime::own().since(&before, ticks_a_second());
        assert!(used > Duration::from_millis(5), "{used:?}");
    }

    #[test]
    fn small_texts() {
        assert_eq!(busy_of("cpu  1 2 4 1000 1000 8 16 32 0 0\ncpu0 x"), Some(63));
        assert_eq!(kibibytes("Name: x\nVmRSS:\t  12 kB\n", "VmRSS:"), 12);
        assert!(memory(std::process::id()).rss > 0);
    }

    #[test]
    fn two_cores_are_two() {
        if let Some(placement) = placement() {
            assert_ne!(placement.server, placement.load);
        }
    }
}
