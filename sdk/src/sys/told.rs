//! What the host tells cells and asks policies: from the generated types to the library's.

pub use crate::bindings::lifecycle::exports::cyte::cell::lifecycle::{
    Cause as LifecycleCause, Guest as LifecycleGuest,
};
pub use crate::bindings::log_sink::exports::cyte::cell::log_sink::{
    Guest as LogSinkGuest, Line as LogSinkLine,
};
pub use crate::bindings::metrics::exports::cyte::cell::metrics::{
    Counts as MetricsCounts, Guest as MetricsGuest,
};
pub use crate::bindings::zombies::exports::cyte::cell::zombies::{
    Guest as ZombiesGuest, Verdict as ZombiesVerdict, Zombie as ZombiesZombie,
};
use crate::lifecycle::{Cause, Lifecycle};
use crate::policy::{Counts, Line, LogSink, Metrics, Verdict, Zombie, Zombies};

/// Tells a cell that it ends; called by what `lifecycle!` makes.
pub fn dying<L: Lifecycle>(cause: LifecycleCause) {
    L::dying(match cause {
        LifecycleCause::Worn => Cause::Worn,
        LifecycleCause::Memory => Cause::Memory,
        LifecycleCause::Surplus => Cause::Surplus,
    });
}

/// Asks for a verdict; called by what `zombies!` makes.
pub fn judge<Z: Zombies>(found: ZombiesZombie) -> ZombiesVerdict {
    let ZombiesZombie { gene, cell, silent_ms, last } = found;
    match Z::judge(&Zombie { gene, cell, silent_ms, last }) {
        Verdict::End => ZombiesVerdict::End,
        Verdict::Spare => ZombiesVerdict::Spare,
    }
}

/// Hands lines over; called by what `log_sink!` makes.
pub fn take_lines<S: LogSink>(lines: Vec<LogSinkLine>, dropped: u64) {
    let line = |line: LogSinkLine| {
        let LogSinkLine { at_ms, gene, cell, request, origin, level, text } = line;
        Line { at_ms, gene, cell, request, origin, level, text }
    };
    let lines: Vec<Line> = lines.into_iter().map(line).collect();
    S::take(&lines, dropped);
}

/// Hands counts over; called by what `metrics!` makes.
pub fn take_counts<M: Metrics>(at_ms: u64, genes: Vec<MetricsCounts>) {
    let counts = |counts: MetricsCounts| {
        let MetricsCounts { gene, served, failed, refused, p50_us, p99_us, cells } = counts;
        Counts { gene, served, failed, refused, p50_us, p99_us, cells }
    };
    let genes: Vec<Counts> = genes.into_iter().map(counts).collect();
    M::take(at_ms, &genes);
}
