//! What counts as an incident: cells that keep dying, requests refused for long, a broken limit.
//!
//! Told of deaths and of refusals with the time, it says at most once in a while that this is one.
//! It neither reads a clock nor writes anything; what is written is `crate::flight`'s.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use cyte_dna::{GeneName, limits};
use cyte_organism::Nanos;
use cyte_organism::expressor::{RESTART_WINDOW, RESTARTS};
use cyte_organism::phenotype::Cause;

/// The least time between two incidents.
const PAUSE: Nanos = Nanos::from_millis(limits::INCIDENT_PAUSE_MS);
/// For how long requests must be refused ...
const SATURATED: Nanos = Nanos::from_millis(limits::INCIDENT_SATURATED_MS);
/// ... with no longer pause than this between two refusals.
const BREATH: Nanos = Nanos::from_millis(500);

/// What kind of incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Cells of one gene die again and again.
    CrashLoop,
    /// Requests are refused for want of cells.
    Saturation,
    /// A cell was ended because it broke a limit.
    Breach,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CrashLoop => "crash-loop",
            Self::Saturation => "saturation",
            Self::Breach => "breach",
        })
    }
}

/// Something worth a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incident {
    /// What kind.
    pub kind: Kind,
    /// The gene it concerns.
    pub gene: String,
    /// What happened, in words; at most `limits::FLIGHT_REASON_BYTES` with kind and gene.
    pub why: String,
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}: {}", self.kind, self.gene, self.why)
    }
}

/// What is remembered of one gene's refusals.
#[derive(Debug, Clone, Copy, Default)]
struct Refusing {
    count: u64,
    since: Nanos,
    last: Nanos,
    /// Refused before it went on without a pause.
    before: u64,
}

/// Looks out for incidents.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Option<Nanos>,
    /// When cells died of faults, oldest first; at most [`RESTARTS`] a gene.
    deaths: BTreeMap<GeneName, VecDeque<Nanos>>,
    refusing: BTreeMap<GeneName, Refusing>,
    /// Incidents that came too soon after another.
    missed: u64,
}

impl Watch {
    /// A cell of `gene` died.
    pub(super) fn died(
        &mut self,
        now: Nanos,
        gene: &GeneName,
        cause: Cause,
        reason: &str,
    ) -> Option<Incident> {
        if cause == Cause::Breach {
            return self.tell(now, Kind::Breach, gene, format!("a cell was ended: {reason}"));
        }
        if !cause.is_fault() {
            return None;
        }
        let deaths = self.deaths.entry(gene.clone()).or_default();
        deaths.push_back(now);
        while deaths.len() > RESTARTS {
            deaths.pop_front();
        }
        let first = deaths.front().copied().filter(|_| deaths.len() == RESTARTS)?;
        let took = now.since(first);
        if took > RESTART_WINDOW {
            return None;
        }
        let why = format!("{RESTARTS} cells died within {:.1} s, the last by: {reason}", took.0 as f64 / 1e9);
        let told = self.tell(now, Kind::CrashLoop, gene, why);
        if told.is_some() {
            // The next five deaths are the next crash loop.
            self.deaths.remove(gene);
        }
        told
    }

    /// So many requests to `gene` were refused for want of cells since the host started.
    pub(super) fn refused(&mut self, now: Nanos, gene: &GeneName, count: u64) -> Option<Incident> {
        let known = self.refusing.get(gene).copied();
        if known.is_none() && count == 0 {
            return None;
        }
        let mut refusing = known.unwrap_or_default();
        if count == refusing.count {
            return None;
        }
        if known.is_none() || now.since(refusing.last) > BREATH {
            (refusing.since, refusing.before) = (now, refusing.count);
        }
        (refusing.count, refusing.last) = (count, now);
        let took = now.since(refusing.since);
        let is_long = took >= SATURATED;
        let refused = count.saturating_sub(refusing.before);
        if is_long {
            (refusing.since, refusing.before) = (now, count);
        }
        self.refusing.insert(gene.clone(), refusing);
        if !is_long {
            return None;
        }
        let why = format!("{refused} requests were refused within {:.1} s", took.0 as f64 / 1e9);
        self.tell(now, Kind::Saturation, gene, why)
    }

    /// Incidents that came too soon after another to be told.
    pub(super) fn missed(&self) -> u64 {
        self.missed
    }

    fn tell(&mut self, now: Nanos, kind: Kind, gene: &GeneName, why: String) -> Option<Incident> {
        if self.last.is_some_and(|last| now.since(last) < PAUSE) {
            self.missed = self.missed.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        let gene = gene.to_string();
        let room = limits::FLIGHT_REASON_BYTES.saturating_sub(gene.len() + 32);
        let why = why.get(..why.floor_char_boundary(room)).unwrap_or_default().to_owned();
        Some(Incident { kind, gene, why })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Nanos = Nanos::from_millis;

    fn gene(name: &str) -> GeneName {
        name.parse().unwrap()
    }

    #[test]
    fn five_faults_within_a_minute_are_a_crash_loop_and_surplus_is_none() {
        let mut watch = Watch::default();
        let (front, back) = (gene("front"), gene("back"));
        let mut died = |ms, gene: &GeneName, cause| {
            watch.died(MS(ms), gene, cause, "unreachable").map(|found| found.kind)
        };
        for ms in 0..4 {
            assert_eq!(died(ms * 20_000, &front, Cause::Trap), None);
            assert_eq!(died(ms, &back, Cause::Surplus), None);
        }
        assert_eq!(died(61_000, &front, Cause::Trap), None, "five in more than a minute");
        assert_eq!(died(62_000, &front, Cause::Trap), Some(Kind::CrashLoop));
        assert_eq!(died(62_001, &front, Cause::Trap), None);
    }

    #[test]
    fn one_incident_at_a_time() {
        let mut watch = Watch::default();
        let breach = |watch: &mut Watch, ms| watch.died(MS(ms), &gene("front"), Cause::Breach, "memory");
        let first = breach(&mut watch, 5).unwrap();
        assert_eq!(first.to_string(), "breach of front: a cell was ended: memory");
        assert_eq!((breach(&mut watch, 6), breach(&mut watch, 30_004)), (None, None));
        assert_eq!(watch.missed(), 2);
        assert!(breach(&mut watch, 30_005).is_some());
    }

    #[test]
    fn refusing_for_long_is_an_incident() {
        let mut watch = Watch::default();
        let front = gene("front");
        // One burst of refusals each second: breath in between.
        for second in 0..10 {
            assert_eq!(watch.refused(MS(second * 1_000), &front, second * 50), None);
        }
        let mut told = Vec::new();
        for tick in 0..200 {
            told.extend(watch.refused(MS(20_000 + tick * 20), &front, 1_000 + tick));
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0].kind, Kind::Saturation);
        assert!(told[0].why.starts_with("650 requests") && told[0].why.contains("2.0 s"), "{}", told[0].why);
        assert_eq!(watch.refused(MS(30_000), &gene("rests"), 0), None);
    }

    #[test]
    fn reasons_are_short() {
        let long = "ü".repeat(4_000);
        let name = gene(&"g".repeat(63));
        let told = Watch::default().died(MS(1), &name, Cause::Breach, &long).unwrap();
        let text = told.to_string();
        assert!(text.len() <= limits::FLIGHT_REASON_BYTES && text.len() > 200, "{}", text.len());
    }
}
