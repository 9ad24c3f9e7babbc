//! What is on the screen, from two looks at a host. Pure.

use std::collections::BTreeMap;
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use crate::cli::table::number;

/// What a host said at one moment.
#[derive(Debug, Clone)]
pub(super) struct Look {
    /// `GET /v1/status`.
    pub(super) status: Value,
    /// `GET /v1/ps`.
    pub(super) ps: Value,
    /// `GET /v1/hormones`, where the host has it.
    pub(super) hormones: Option<Value>,
    /// When.
    pub(super) at: Instant,
}

/// One screen.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Screen {
    /// The version of this object; 1.
    pub(super) v: u32,
    pub(super) organism: String,
    pub(super) version: u64,
    pub(super) url: String,
    pub(super) pid: u64,
    pub(super) up_ms: u64,
    /// Connections.
    pub(super) open: u64,
    /// Requests a second since the look before; none at the first.
    pub(super) requests_per_s: Option<f64>,
    /// Of those, refused by the host.
    pub(super) refused_per_s: Option<f64>,
    pub(super) cells: u64,
    pub(super) cells_max: u64,
    pub(super) memory_bytes: u64,
    pub(super) memory_max_bytes: u64,
    /// What the host's population rests on, where the host says so.
    pub(super) stems: Option<Stems>,
    /// Cells by role, by the role's name.
    pub(super) roles: BTreeMap<String, Cells>,
    /// Genes, in the DNA's order.
    pub(super) genes: Vec<Gene>,
}

/// The pool of a host, and how pressed the host is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Stems {
    pub(super) now: u64,
    pub(super) goal: u64,
    pub(super) room: u64,
    pub(super) run_delay_us: u64,
    pub(super) busy_permille: u64,
    pub(super) is_suppressed: bool,
}

/// How many cells do what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Cells {
    pub(super) ready: u64,
    pub(super) busy: u64,
    /// Requests that wait for one.
    pub(super) waiting: u64,
}

/// One gene.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Gene {
    pub(super) gene: String,
    pub(super) role: String,
    #[serde(flatten)]
    pub(super) cells: Cells,
    pub(super) requests_per_s: Option<f64>,
    /// None for a gene without a tissue, and before the first call.
    pub(super) p50_us: Option<u64>,
    pub(super) p99_us: Option<u64>,
    /// What the law says, where the host says so.
    pub(super) delay_us: Option<u64>,
    pub(super) wanted: Option<f64>,
    pub(super) growth: Option<f64>,
}

impl Screen {
    /// What `now` shows; rates are since `before`.
    pub(super) fn of(now: &Look, before: Option<&Look>) -> Self {
        let Look { status, ps, hormones, .. } = now;
        let rate = Rate::between(now, before);
        let (gateway, usage) = (part(status, "gateway"), part(status, "usage"));
        let genes: Vec<Gene> = list(ps, "genes").iter().map(|gene| row(gene, now, &rate)).collect();
        let mut roles: BTreeMap<String, Cells> = BTreeMap::new();
        for gene in &genes {
            let sum = roles.entry(gene.role.clone()).or_default();
            sum.ready += gene.cells.ready;
            sum.busy += gene.cells.busy;
            sum.waiting += gene.cells.waiting;
        }
        let url = list(status, "listening").first().and_then(Value::as_str).unwrap_or_default();
        Self {
            v: 1,
            organism: text(status, "organism"),
            version: number(status, "version"),
            url: url.to_owned(),
            pid: number(status, "pid"),
            up_ms: number(status, "up_ms"),
            open: number(gateway, "open"),
            requests_per_s: rate.of(|look| number(part(&look.status, "gateway"), "requests")),
            refused_per_s: rate.of(refused),
            cells: number(usage, "cells"),
            cells_max: number(usage, "cells_max"),
            memory_bytes: number(usage, "memory_bytes"),
            memory_max_bytes: number(usage, "memory_max_bytes"),
            stems: hormones.as_ref().and_then(|hormones| hormones.get("host")).map(stems),
            roles,
            genes,
        }
    }
}

/// Two looks, and how far apart they are.
struct Rate<'l> {
    looks: Option<(&'l Look, &'l Look, f64)>,
}

impl<'l> Rate<'l> {
    fn between(now: &'l Look, before: Option<&'l Look>) -> Self {
        let looks = before.and_then(|before| {
            let apart = now.at.saturating_duration_since(before.at).as_secs_f64();
            // Another host took the first one's place: its counters are others.
            let is_same = number(&now.status, "pid") == number(&before.status, "pid");
            (is_same && apart > 0.0).then_some((now, before, apart))
        });
        Self { looks }
    }

    /// How fast a counter rises.
    fn of(&self, counter: impl Fn(&Look) -> u64) -> Option<f64> {
        let (now, before, apart) = self.looks?;
        Some(counter(now).saturating_sub(counter(before)) as f64 / apart)
    }
}

fn row(gene: &Value, now: &Look, rate: &Rate<'_>) -> Gene {
    let name = text(gene, "gene");
    let has_tissue = gene.get("ready").is_some();
    let offered = |look: &Look| named(&look.ps, "genes", &name).map_or(0, |gene| number(gene, "offered"));
    let law = now.hormones.as_ref().and_then(|hormones| named(hormones, "classes", &name));
    let float = |key: &str| law.and_then(|law| law.get(key)).and_then(Value::as_f64);
    let time = |key: &str| gene.get(key).and_then(Value::as_u64).filter(|us| *us > 0);
    Gene {
        role: text(gene, "role"),
        cells: Cells {
            ready: number(gene, "ready"),
            busy: number(gene, "busy"),
            waiting: number(gene, "waiting"),
        },
        requests_per_s: rate.of(offered).filter(|_| has_tissue),
        p50_us: time("p50_us"),
        p99_us: time("p99_us"),
        delay_us: law.and_then(|law| law.get("wait_us")).and_then(Value::as_u64),
        wanted: float("wanted"),
        growth: float("growth"),
        gene: name,
    }
}

fn stems(host: &Value) -> Stems {
    Stems {
        now: number(host, "stems"),
        goal: number(host, "stems_goal"),
        room: number(host, "room"),
        run_delay_us: number(host, "run_delay_us"),
        busy_permille: number(host, "busy_permille"),
        is_suppressed: host.get("is_suppressed").and_then(Value::as_bool).unwrap_or(false),
    }
}

fn refused(look: &Look) -> u64 {
    let refusals = part(part(&look.status, "gateway"), "refusals").as_object();
    refusals.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
}

fn named<'v>(value: &'v Value, key: &str, name: &str) -> Option<&'v Value> {
    list(value, key).iter().find(|item| item.get("gene").and_then(Value::as_str) == Some(name))
}

fn part<'v>(value: &'v Value, key: &str) -> &'v Value {
    value.get(key).unwrap_or(&Value::Null)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    part(value, key).as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value, key: &str) -> String {
    part(value, key).as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    /// A look `ms` after `start`, when so many requests were counted.
    pub(in crate::cli::top) fn look(start: Instant, ms: u64, requests: u64, hormones: Option<Value>) -> Look {
        let gene = |name: &str, role: &str, offered: u64| {
            json!({"gene": name, "role": role, "ready": 3, "busy": 2, "waiting": 1, "offered": offered,
                   "p50_us": 120, "p99_us": 4_200})
        };
        Look {
            status: json!({"v": 1, "organism": "shop", "version": 3, "pid": 77, "up_ms": 7_380_000,
                "listening": ["http://127.0.0.1:8080"],
                "usage": {"cells": 10, "cells_max": 1_024, "memory_bytes": 12_900_000, "memory_max_bytes": 51_600_000},
                "gateway": {"requests": requests, "open": 12, "refusals": {"saturated": requests / 10}}}),
            ps: json!({"v": 1, "genes": [gene("front", "drone", requests),
                gene("a-gene-with-a-long-name", "drone", 0), {"gene": "tidy", "role": "task"}]}),
            hormones,
            at: start + Duration::from_millis(ms),
        }
    }

    pub(in crate::cli::top) fn hormones() -> Value {
        json!({"v": 1,
            "host": {"stems": 14, "stems_goal": 16, "room": 90, "run_delay_us": 150, "busy_permille": 456,
                     "is_suppressed": true},
            "classes": [{"gene": "front", "wanted": 12.34, "growth": -0.456, "wait_us": 2_500}]})
    }

    #[test]
    fn rates_are_between_two_looks_and_need_both() {
        let start = Instant::now();
        let (before, now) = (look(start, 0, 100, None), look(start, 500, 200, None));
        let first = Screen::of(&before, None);
        assert_eq!((first.requests_per_s, first.genes[0].requests_per_s), (None, None));
        let screen = Screen::of(&now, Some(&before));
        assert_eq!((screen.requests_per_s, screen.refused_per_s), (Some(200.0), Some(20.0)));
        assert_eq!(
            (screen.genes[0].requests_per_s, screen.genes[1].requests_per_s),
            (Some(200.0), Some(0.0))
        );
        assert_eq!(screen.genes[2].requests_per_s, None, "a task takes no requests");
        assert_eq!(screen.roles["drone"], Cells { ready: 6, busy: 4, waiting: 2 });
        assert_eq!(screen.stems, None);
        let mut other = now.clone();
        other.status["pid"] = 78.into();
        assert_eq!(Screen::of(&other, Some(&before)).requests_per_s, None, "another process counts anew");
    }

    #[test]
    fn hormones_are_shown_where_there_are_any() {
        let screen = Screen::of(&look(Instant::now(), 0, 1, Some(hormones())), None);
        let stems = screen.stems.unwrap();
        assert_eq!((stems.now, stems.goal, stems.is_suppressed), (14, 16, true));
        assert_eq!((screen.genes[0].wanted, screen.genes[0].delay_us), (Some(12.34), Some(2_500)));
        assert_eq!(screen.genes[1].wanted, None);
    }

    #[test]
    fn an_answer_without_anything_is_no_fault() {
        let look = Look { status: json!({}), ps: json!({}), hormones: Some(json!({})), at: Instant::now() };
        let screen = Screen::of(&look, Some(&look));
        assert!(screen.genes.is_empty() && screen.memory_max_bytes == 0);
    }
}
