//! The cases as data: who is compared, under which load, and what must hold.
//!
//! Everything that a figure means stands here and nothing of how it is measured. A **kept** cell
//! carries state from request to request and a **fresh** one does not; they are never compared
//! with each other.

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum System {
    /// The minimal hyper server.
    Reference,
    /// `wasmtime serve` with the bench gene and these flags.
    Wasmtime { gene: &'static str, flags: &'static [&'static str] },
    /// The same engine behind the same hyper, with nothing that protects the host.
    Unguarded { gene: &'static str, keep: bool },
    /// `cyte run` with the bench gene used so many times a cell.
    Cyte { gene: &'static str, reuse: u32 },
}

/// One of those compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) label: &'static str,
    pub(crate) system: System,
}

/// What is asked of all contenders of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// `GET /`, twenty bytes back.
    Hello,
    /// `POST /digest` with 4 KiB of JSON.
    Digest,
}

/// How two contenders are held against each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Held {
    /// By `subject / base`.
    Times,
    /// By `subject - base`, in microseconds a request.
    Above,
}

/// What must hold between two contenders of a case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Gate {
    pub(crate) subject: &'static str,
    pub(crate) base: &'static str,
    pub(crate) held: Held,
    /// The most that it may be.
    pub(crate) at_most: f64,
    /// What would be better still.
    pub(crate) stretch: Option<f64>,
    /// Whether a release depends on it.
    pub(crate) must: bool,
}

/// CPU a request, compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) ask: Ask,
    pub(crate) connections: usize,
    /// Whether a connection is used for more than one request.
    pub(crate) keep: bool,
    /// The first is what all others are divided by in the table.
    pub(crate) contenders: &'static [Contender],
    pub(crate) gates: &'static [Gate],
}

/// Uses of one cell where a case means "kept": it never runs out within a round.
const KEPT: u32 = 1_000_000;

/// What all else is divided by.
pub(crate) const HYPER: Contender = Contender { label: "hyper", system: System::Reference };
/// The same again: how far two equal systems lie apart is what the figures cannot tell.
pub(crate) const CONTROL: Contender = Contender { label: CONTROL_LABEL, system: System::Reference };
/// The label of the control in every case.
pub(crate) const CONTROL_LABEL: &str = "hyper (control)";

/// `wasmtime serve` at its best for 0.2: one instance for as long as it lasts.
const REUSE: &[&str] = &[
    "--max-instance-reuse-count=1000000",
    "--max-instance-concurrent-reuse-count=1",
    "--idle-instance-timeout=60s",
];

const fn cyte(label: &'static str, gene: &'static str, reuse: u32) -> Contender {
    Contender { label, system: System::Cyte { gene, reuse } }
}

const fn wasmtime(label: &'static str, gene: &'static str, flags: &'static [&'static str]) -> Contender {
    Contender { label, system: System::Wasmtime { gene, flags } }
}

const fn unguarded(label: &'static str, keep: bool) -> Contender {
    Contender { label, system: System::Unguarded { gene: "hello", keep } }
}

const fn gate(subject: &'static str, base: &'static str, at_most: f64) -> Gate {
    Gate { subject, base, held: Held::Times, at_most, stretch: None, must: false }
}

const fn must(subject: &'static str, base: &'static str, at_most: f64, stretch: Option<f64>) -> Gate {
    Gate { subject, base, held: Held::Times, at_most, stretch, must: true }
}

/// All that cyte does for a request and a bare server does not, guards first of all.
const fn guards(subject: &'static str, base: &'static str, at_most_us: f64) -> Gate {
    Gate { subject, base, held: Held::Above, at_most: at_most_us, stretch: None, must: true }
}

const CYTE_KEPT: Contender = cyte("cyte kept", "hello", KEPT);
const CYTE_FRESH: Contender = cyte("cyte fresh", "hello", 1);
const UNGUARDED_KEPT: Contender = unguarded("unguarded kept", true);
const UNGUARDED_FRESH: Contender = unguarded("unguarded fresh", false);
const WASMTIME_KEPT: Contender = wasmtime("wasmtime reuse", "hello", REUSE);
const WASMTIME_FRESH: Contender = wasmtime("wasmtime fresh", "hello", &[]);

const BASE: Case =
    Case { name: "", about: "", ask: Ask::Hello, connections: 64, keep: true, contenders: &[], gates: &[] };

/// Every case of CPU a request, in the order of the figures.
pub(crate) const CASES: &[Case] = &[
    Case {
        name: "hello-kept",
        about: "0.2, a cell kept for all requests",
        contenders: &[HYPER, CYTE_KEPT, WASMTIME_KEPT, CONTROL],
        gates: &[must("cyte kept", "hyper", 2.5, Some(2.0)), must("cyte kept", "wasmtime reuse", 0.65, None)],
        ..BASE
    },
    Case {
        name: "hello-fresh",
        about: "0.2, a new cell for each request",
        contenders: &[HYPER, CYTE_FRESH, WASMTIME_FRESH, CONTROL],
        gates: &[
            must("cyte fresh", "hyper", 6.5, Some(4.0)),
            must("cyte fresh", "wasmtime fresh", 0.4, None),
        ],
        ..BASE
    },
    Case {
        name: "hello-p3",
        about: "0.3, 128 uses of a cell, wasmtime at its defaults (128 uses, 16 at once)",
        contenders: &[
            HYPER,
            cyte("cyte kept 0.3", "hello_p3", 128),
            wasmtime("wasmtime 0.3", "hello_p3", &[]),
            CONTROL,
        ],
        gates: &[Gate { stretch: Some(0.65), ..gate("cyte kept 0.3", "wasmtime 0.3", 0.8) }],
        ..BASE
    },
    Case {
        name: "guards",
        about: "0.2, all guards on against the same engine with none of them and nothing else either",
        contenders: &[HYPER, UNGUARDED_KEPT, CYTE_KEPT, UNGUARDED_FRESH, CYTE_FRESH, CONTROL],
        gates: &[guards("cyte kept", "unguarded kept", 3.0), guards("cyte fresh", "unguarded fresh", 3.0)],
        ..BASE
    },
    Case {
        name: "digest",
        about: "4 KiB of JSON parsed, summed and hashed; the same code native and as 0.2 genes",
        ask: Ask::Digest,
        contenders: &[
            HYPER,
            cyte("cyte kept", "digest", KEPT),
            cyte("cyte fresh", "digest", 1),
            wasmtime("wasmtime reuse", "digest", REUSE),
            wasmtime("wasmtime fresh", "digest", &[]),
            CONTROL,
        ],
        gates: &[gate("cyte kept", "hyper", 1.7), gate("cyte fresh", "hyper", 2.5)],
        ..BASE
    },
    Case {
        name: "hello-one",
        about: "0.2, one connection, one request at a time",
        connections: 1,
        contenders: &[HYPER, CYTE_KEPT, CYTE_FRESH, WASMTIME_KEPT, WASMTIME_FRESH, CONTROL],
        ..BASE
    },
    Case {
        name: "hello-connect",
        about: "0.2, a new connection for each request",
        connections: 16,
        keep: false,
        contenders: &[HYPER, CYTE_KEPT, CYTE_FRESH, WASMTIME_KEPT, WASMTIME_FRESH, CONTROL],
        ..BASE
    },
];

/// Every pair (system, request) whose instructions are counted. The processor that valgrind shows
/// has no SHA instructions, so the native digest counts more there than it costs in time.
pub(crate) const COUNTED: &[(Contender, Ask)] = &[
    (HYPER, Ask::Hello),
    (UNGUARDED_KEPT, Ask::Hello),
    (CYTE_KEPT, Ask::Hello),
    (WASMTIME_KEPT, Ask::Hello),
    (UNGUARDED_FRESH, Ask::Hello),
    (CYTE_FRESH, Ask::Hello),
    (WASMTIME_FRESH, Ask::Hello),
    (cyte("cyte kept 0.3", "hello_p3", 128), Ask::Hello),
    (wasmtime("wasmtime 0.3", "hello_p3", &[]), Ask::Hello),
    (Contender { label: "hyper digest", system: System::Reference }, Ask::Digest),
    (cyte("cyte digest kept", "digest", KEPT), Ask::Digest),
];

/// The cases that are not about CPU a request.
pub(crate) const OTHERS: &[(&str, &str)] = &[
    ("start", "from the start of the process to the first answer, memory when idle, size of the binary"),
    ("spin", "two requests that compute for ever on two cores, and a healthy gene beside them"),
    ("instructions", "instructions a request by callgrind, a guard where time cannot be one"),
    ("wake", "from a stem to the first message it takes, and the pool back at its goal"),
    ("full", "a gene that only computes at 110 % of what the cores can do: the law, fixed populations"),
    ("ebb", "memory after a burst of cells, against memory before it"),
];

/// A body of the digest case: a JSON array of items, 4 KiB long (never longer, under 100 bytes
/// shorter), always the same; with the number of its items and the sum of their scores.
#[must_use]
pub(crate) fn digest_body() -> (Vec<u8>, usize, u64) {
    const LENGTH: usize = 4096;
    let (mut text, mut items, mut total) = (String::from("["), 0usize, 0u64);
    loop {
        let score = (items as u64 * 7919) % 1000;
        let comma = if items == 0 { "" } else { "," };
        let item = format!(
            r#"{comma}{{"id":{},"name":"item number {items}","score":{score},"tags":["red","number-{}"]}}"#,
            items * 31 + 7,
            items % 5
        );
        if text.len() + item.len() + 1 > LENGTH {
            text.push(']');
            return (text.into_bytes(), items, total);
        }
        text.push_str(&item);
        items += 1;
        total += score;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gate_names_two_contenders_of_its_case() {
        for case in CASES {
            let labels: Vec<_> = case.contenders.iter().map(|contender| contender.label).collect();
            for gate in case.gates {
                assert!(labels.contains(&gate.subject) && labels.contains(&gate.base), "{}", case.name);
                assert!(gate.stretch.is_none_or(|stretch| stretch < gate.at_most), "{}", case.name);
            }
            assert!(labels.contains(&CONTROL_LABEL), "{} has no control", case.name);
            let mut unique = labels.clone();
            unique.sort_unstable();
            unique.dedup();
            assert_eq!(unique.len(), labels.len(), "{}", case.name);
        }
    }

    #[test]
    fn kept_and_fresh_are_never_held_against_each_other() {
        let fresh = |label: &str| label.contains("fresh");
        for gate in CASES.iter().flat_map(|case| case.gates).filter(|gate| gate.base != "hyper") {
            assert_eq!(fresh(gate.subject), fresh(gate.base));
        }
    }

    #[test]
    fn the_body_is_json_of_4_kib() {
        let (body, items, total) = digest_body();
        assert!((3996..=4096).contains(&body.len()), "{}", body.len());
        let parsed: serde_json::Value = serde_json::from_slice(&body).unwrap();
        let parsed = parsed.as_array().unwrap();
        assert_eq!(parsed.len(), items);
        assert_eq!(parsed.iter().map(|item| item["score"].as_u64().unwrap()).sum::<u64>(), total);
    }
}
