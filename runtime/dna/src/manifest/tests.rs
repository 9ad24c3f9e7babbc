//! Canonical form, caps, conflicts and differences.

use proptest::prelude::*;

use super::*;
use crate::fixture::{COMPONENT, germline, key, manifest};
use crate::limits as l;
use crate::{
    Deed, Descent, Duty, Expression, FileGrant, FileSource, Gene, Grants, Mandate, Role, Route, Signal,
};

fn first() -> Manifest {
    manifest(Descent::first(germline(&[1, 2], 1)))
}

fn refused(change: impl FnOnce(&mut Manifest)) -> String {
    let mut manifest = first();
    change(&mut manifest);
    let error = manifest.check().unwrap_err();
    assert!(manifest.encode().is_err());
    error.to_string()
}

fn gene(name: &str) -> Gene {
    Gene::new(name.parse().unwrap(), Role::Drone, Blob::of(COMPONENT))
}

fn policy(name: &str) -> Gene {
    Gene::new(name.parse().unwrap(), Role::Policy, Blob::of(COMPONENT))
}

fn neuron(name: &str) -> Gene {
    Gene::new(name.parse().unwrap(), Role::Neuron, Blob::of(COMPONENT))
}

/// `n` different digests, ascending.
fn digests(n: usize) -> Vec<Digest> {
    let mut digests: Vec<_> = (0..n).map(|i| Digest::of(&i.to_be_bytes())).collect();
    digests.sort_unstable();
    digests
}

fn routes(gene: usize, n: usize) -> Vec<Route> {
    (0..n).map(|i| format!("/{gene:05}/{i:05}").parse().unwrap()).collect()
}

#[test]
fn the_fixture_keeps_every_rule() {
    first().check().unwrap();
}

#[test]
fn caps_are_refused_one_above() {
    type Change = fn(&mut Manifest, usize);
    let rows: &[(&str, usize, Change)] = &[
        ("genes", l::GENES, |m, n| m.genes = (0..n).map(|i| gene(&format!("g{i:05}"))).collect()),
        ("neurons", l::NEURONS, |m, n| m.genes.extend((0..n).map(|i| neuron(&format!("n{i}"))))),
        ("routes", l::ROUTES_PER_GENE, |m, n| m.genes[0].routes = routes(0, n)),
        ("routes", l::ROUTES, |m, n| {
            let many = |i| {
                let mut gene = gene(&format!("g{i:05}"));
                gene.routes = routes(i, l::ROUTES_PER_GENE.min(n - i * l::ROUTES_PER_GENE));
                gene
            };
            m.genes = (0..n.div_ceil(l::ROUTES_PER_GENE)).map(many).collect();
        }),
        ("label", l::LABEL_MAX_BYTES, |m, n| m.label = "x".repeat(n)),
        ("version", l::LABEL_MAX_BYTES, |m, n| m.genes[0].version = "x".repeat(n)),
        ("bytes of a blob", l::BLOB_BYTES as usize, |m, n| m.genes[0].component.length = n as u64),
        ("bytes of all blobs", l::BUNDLE_BYTES as usize, |m, n| {
            let sizes = (0..).map(|i| (n as u64).saturating_sub(i * l::BLOB_BYTES).min(l::BLOB_BYTES));
            let blobs = digests(9).into_iter().zip(sizes).filter(|(_, length)| *length > 0);
            m.genes = blobs
                .enumerate()
                .map(|(i, (sha256, length))| Gene {
                    component: Blob { sha256, length },
                    ..gene(&format!("g{i}"))
                })
                .collect();
        }),
        ("revoked keys", l::REVOCATIONS, |m, n| {
            let mut ids: Vec<KeyId> =
                digests(n).iter().map(|d| d.to_string()[..16].parse().unwrap()).collect();
            ids.sort_unstable();
            m.revoked.keys = ids;
        }),
        ("revoked genes", l::REVOCATIONS, |m, n| m.revoked.genes = digests(n)),
        ("bytes of config and environment", l::CONFIG_PER_GENE_BYTES, |m, n| {
            m.genes[0].grants.config = vec![("k".into(), "v".repeat(n / 2))];
            m.genes[0].grants.environment = vec![("k".into(), "v".repeat(n - n / 2 - 2))];
        }),
        ("outbound", l::OUTBOUND_PER_GENE, |m, n| {
            m.genes[0].grants.outbound =
                (0..n).map(|i| format!("https://h{i:04}").parse().unwrap()).collect();
        }),
        ("files", l::FILES_PER_GENE, |m, n| {
            let file = |i| FileGrant {
                to: format!("/{i:04}"),
                write: true,
                source: FileSource::Local("data".into()),
            };
            m.genes[0].grants.files = (0..n).map(file).collect();
        }),
        ("secrets", l::SECRETS_PER_GENE, |m, n| {
            m.genes[0].grants.secrets = (0..n).map(|i| format!("s{i:04}")).collect();
        }),
        ("concurrency", l::CONCURRENCY_MAX as usize, |m, n| m.genes[0].concurrency = n as u32),
        ("express.max", l::CELLS_PER_GENE_MAX as usize, |m, n| m.genes[0].express.max = Some(n as u32)),
        ("express.min", l::CELLS_PER_GENE_MAX as usize, |m, n| m.genes[0].express.min = n as u32),
        ("reuse", l::REUSE_MAX as usize, |m, n| m.genes[0].reuse = Some(n as u32)),
        ("limits.memory", l::CELL_MEMORY_MAX_BYTES as usize, |m, n| {
            m.genes[0].limits.memory = Some(n as u64)
        }),
        ("limits.cpu", l::CPU_PER_CALL_MAX_MS as usize, |m, n| m.genes[0].limits.cpu_ms = Some(n as u64)),
        ("limits.wall", l::WALL_PER_CALL_MAX_MS as usize, |m, n| m.genes[0].limits.wall_ms = Some(n as u64)),
        ("limits.body", l::REQUEST_BODY_MAX_BYTES as usize, |m, n| m.genes[0].limits.body = Some(n as u64)),
        ("limits.wait", l::WAIT_FOR_CAPACITY_MAX_MS as usize, |m, n| {
            m.genes[0].limits.wait_ms = Some(n as u64)
        }),
        ("limits.waiters", l::WAITERS_PER_GENE_MAX as usize, |m, n| {
            m.genes[0].limits.waiters = Some(n as u32)
        }),
        ("limits.idle", l::IDLE_AFTER_HEAD_MAX_MS as usize, |m, n| {
            m.genes[0].limits.idle_ms = Some(n as u64)
        }),
        ("limits.tables", l::CELL_TABLE_ELEMENTS_MAX as usize, |m, n| {
            m.genes[0].limits.tables = Some(n as u32)
        }),
        ("limits.handles", l::CELL_HANDLES_MAX as usize, |m, n| m.genes[0].limits.handles = Some(n as u32)),
        ("limits.host-call", l::HOST_CALL_MAX_BYTES as usize, |m, n| {
            m.genes[0].limits.host_call = Some(n as u64)
        }),
        ("limits.headers", l::HEADER_FIELDS_MAX_BYTES as usize, |m, n| {
            m.genes[0].limits.headers = Some(n as u64)
        }),
        ("limits.random", l::RANDOM_PER_CALL_MAX_BYTES as usize, |m, n| {
            m.genes[0].limits.random = Some(n as u64)
        }),
        ("limits.outbound", l::OUTBOUND_PER_CELL_MAX as usize, |m, n| {
            m.genes[0].limits.outbound = Some(n as u32)
        }),
        ("limits.files", l::WRITABLE_MAX_BYTES as usize, |m, n| m.genes[0].limits.files = Some(n as u64)),
        ("limits.file-count", l::WRITABLE_FILES_MAX as usize, |m, n| {
            m.genes[0].limits.file_count = Some(n as u32)
        }),
        ("limits.background", l::BACKGROUND_PER_GENE_MAX as usize, |m, n| {
            m.genes[0].limits.background = Some(n as u32)
        }),
        ("limits.background-wait", l::BACKGROUND_WAIT_MAX_MS as usize, |m, n| {
            m.genes[0].limits.background_wait_ms = Some(n as u64)
        }),
        ("signal.per-cell", l::SIGNAL_PER_CELL_MAX as usize, |m, n| {
            m.genes[0].grants.signal = Some(Signal { name: "depth".into(), per_cell: n as u32 })
        }),
        ("labels", l::LABELS_PER_GENE, |m, n| {
            m.genes[0].labels = (0..n).map(|i| (format!("l{i:04}"), "x".into())).collect();
        }),
        ("the value of a label", l::LABEL_MAX_BYTES, |m, n| {
            m.genes[0].labels = vec![("l".into(), "x".repeat(n))];
        }),
    ];
    for (what, cap, change) in rows {
        let mut at_cap = first();
        change(&mut at_cap, *cap);
        at_cap.check().unwrap_or_else(|error| panic!("{what} at {cap}: {error}"));
        let error = refused(|manifest| change(manifest, cap + 1));
        assert!(error.contains(what) && error.contains(&(cap + 1).to_string()), "{what}: {error}");
    }
    let hosts = |n: u32| {
        let mut roster: Vec<_> = (0..n)
            .map(|i| RosterEntry { name: format!("h{i}").parse().unwrap(), key: host_key(i) })
            .collect();
        roster.sort_by_key(|entry| entry.key);
        roster
    };
    let mut manifest = first();
    manifest.roster = hosts(3);
    manifest.check().unwrap();
    let one = manifest.roster[0].clone();
    let error = refused(|manifest| manifest.roster = vec![one; l::ROSTER_HOSTS + 1]);
    assert!(error.contains("4097"), "{error}");
}

fn host_key(n: u32) -> PublicKey {
    let mut random = [1; 32];
    random[..4].copy_from_slice(&n.to_be_bytes());
    crate::SigningKey::generate(random).unwrap().public()
}

#[test]
fn a_manifest_above_its_cap_is_neither_written_nor_read() {
    let mut manifest = first();
    let big = |i: usize| {
        let mut gene = gene(&format!("g{i:05}"));
        gene.grants.config = vec![("k".into(), "v".repeat(60_000))];
        gene
    };
    manifest.genes = (0..80).map(big).collect();
    manifest.check().unwrap();
    assert_eq!(manifest.encode().unwrap_err().code(), "dna-too-large");
    let bytes = postcard::to_allocvec(&manifest).unwrap();
    assert_eq!(Manifest::decode(&bytes).unwrap_err().code(), "dna-too-large");
}

#[test]
fn duplicates_and_disorder_are_refused() {
    let error = refused(|m| m.genes.push(gene("front")));
    assert_eq!(error, "there are two genes of the name `front`");
    let error = refused(|m| m.genes.push(gene("a")));
    assert_eq!(error, "genes: not in ascending order, or one is there twice");
    let error = refused(|m| m.genes[0].routes.push("/...".parse().unwrap()));
    assert!(error.contains("gene `front`, routes"), "{error}");
    refused(|m| m.genes[0].grants.secrets = vec!["b".into(), "a".into()]);
    refused(|m| m.genes[0].grants.config = vec![("a".into(), "".into()), ("a".into(), "".into())]);
    refused(|m| m.revoked.keys = vec![key(7).id(), key(7).id()]);
    refused(|m| {
        let entry = |n: u8| RosterEntry { name: "same".parse().unwrap(), key: key(n).public() };
        m.roster = vec![entry(1), entry(2)];
        m.roster.sort_by_key(|entry| entry.key);
    });
}

#[test]
fn a_route_conflict_names_both_genes() {
    let error = refused(|m| {
        let mut other = gene("other");
        other.routes = vec!["/a".parse().unwrap(), "/...".parse().unwrap()];
        other.routes.sort_unstable();
        m.genes.push(other);
    });
    assert_eq!(error, "genes `front` and `other` both have the route `/...`");
}

#[test]
fn what_cannot_be_meant_is_refused() {
    refused(|m| m.version = 0);
    refused(|m| m.floor = 2);
    refused(|m| (m.not_before, m.expires) = (5, Some(5)));
    refused(|m| m.organism = "farm".parse().unwrap());
    refused(|m| m.label = "a\nb".into());
    refused(|m| {
        m.revoked.keys = {
            let mut keys = vec![key(1).id(), key(2).id()];
            keys.sort_unstable();
            keys
        }
    });
    refused(|m| m.revoked.genes = vec![Digest::of(COMPONENT)]);
    refused(|m| m.genes[0].role = Role::Task);
    refused(|m| m.genes[0].neuron = Some(Mandate::Advise));
    let neuron = |change: fn(&mut Gene)| {
        refused(|m| {
            let mut gene = neuron("think");
            change(&mut gene);
            m.genes.push(gene);
        })
    };
    neuron(|gene| gene.neuron = None);
    neuron(|gene| gene.concurrency = 2);
    neuron(|gene| gene.express.min = 1);
    neuron(|gene| gene.routes = vec!["/think".parse().unwrap()]);
    neuron(|gene| gene.grants.outbound = vec!["https://api.example.test".parse().unwrap()]);
    neuron(|gene| gene.grants.secrets = vec!["token".into()]);
    let error = neuron(|gene| {
        let source = FileSource::Local("data".into());
        gene.grants.files = vec![FileGrant { to: "/data".into(), write: true, source }];
    });
    assert_eq!(error, "gene `think`, neuron: a neuron is granted no requests, files or secrets");
    refused(|m| m.genes[0].weight = 0);
    refused(|m| m.genes[0].weight = l::WEIGHT_MAX + 1);
    neuron(|gene| gene.weight = 2);
    refused(|m| m.genes[0].background = vec!["b.example/...".parse().unwrap(), "/...".parse().unwrap()]);
    refused(|m| {
        let mut other = gene("other");
        other.routes = vec!["/other/...".parse().unwrap()];
        m.genes[0].background = vec!["/other/deep".parse().unwrap()];
        m.genes.push(other);
    });
    let signal = |name: &str, per_cell| Some(Signal { name: name.into(), per_cell });
    refused(|m| m.genes[0].grants.signal = signal("a b", 1));
    refused(|m| m.genes[0].grants.signal = signal("depth", 0));
    refused(|m| m.genes[0].concurrency = 0);
    refused(|m| m.genes[0].reuse = Some(0));
    refused(|m| m.genes[0].express.max = Some(0));
    refused(|m| (m.genes[0].express.min, m.genes[0].express.max) = (3, Some(2)));
    refused(|m| m.genes[0].limits.memory = Some(1));
    refused(|m| m.genes[0].limits.cpu_ms = Some(0));
    refused(|m| m.genes[0].component.length = 0);
    refused(|m| m.genes[0].grants.secrets = vec!["../x".into()]);
    refused(|m| m.genes[0].grants.environment = vec![("a=b".into(), String::new())]);
    refused(|m| m.genes[0].grants.environment = vec![("a".into(), "\0".into())]);
    refused(|m| m.genes[0].grants.config = vec![(String::new(), String::new())]);
    refused(|m| {
        let mut other = gene("other");
        other.component.length += 1;
        m.genes.push(other);
    });
    let file = |to: &str, write, source| {
        let grant = FileGrant { to: to.into(), write, source };
        refused(|m| m.genes[0].grants.files = vec![grant]);
    };
    for to in ["", "a", "/a/", "/a/../b", "//", "/a\0"] {
        file(to, true, FileSource::Local("data".into()));
    }
    for name in ["", "/etc", "../x", "a/../b", "a\0"] {
        file("/data", true, FileSource::Local(name.into()));
    }
    file("/data", true, FileSource::Packed(Blob::of(COMPONENT)));
}

#[test]
fn differences_are_named() {
    let old = first();
    assert_eq!(Manifest::diff(&old, &old), []);
    let mut new = old.clone();
    new.version = 2;
    new.genes[0].limits.cpu_ms = Some(1_000);
    new.genes[0].routes = vec!["/api/...".parse().unwrap()];
    new.genes[0].grants.outbound = vec!["https://api.example.test".parse().unwrap()];
    new.genes.push(gene("later"));
    let shown: Vec<String> = Manifest::diff(&old, &new).iter().map(Change::to_string).collect();
    assert_eq!(
        shown,
        [
            "~ organism: version: 1 -> 2",
            "- gene front: route: /...",
            "+ gene front: route: /api/...",
            "~ gene front: limits.cpu: default -> 1 s",
            "+ gene front: outbound: https://api.example.test",
            "+ gene later",
        ]
    );
    let (mut advises, mut replaces) = (old.clone(), old.clone());
    advises.genes.push(neuron("think"));
    replaces.genes.push(Gene { neuron: Some(Mandate::Replace), ..neuron("think") });
    let shown: Vec<String> = Manifest::diff(&advises, &replaces).iter().map(Change::to_string).collect();
    assert_eq!(shown, ["~ gene think: neuron: advise -> replace"]);
    let back: Vec<String> = Manifest::diff(&new, &old).iter().map(Change::to_string).collect();
    assert!(back.contains(&"- gene later".to_string()));
    let json = serde_json::to_value(Manifest::diff(&old, &new)).unwrap();
    assert_eq!(json[0]["kind"], "changed");
}

#[test]
fn a_policy_is_one_cell_that_only_its_host_asks() {
    let with = |change: fn(&mut Gene)| {
        let mut manifest = first();
        let mut gene = policy("judge");
        change(&mut gene);
        manifest.genes.push(gene);
        manifest.genes.sort_by(|a, b| a.name.cmp(&b.name));
        manifest.check()
    };
    with(|gene| gene.policy = vec![Duty::Zombies, Duty::Log, Duty::Metrics]).unwrap();
    with(|gene| gene.grants.outbound = vec!["https://log.example.test".parse().unwrap()]).unwrap();
    for change in [
        (|gene| gene.policy.clear()) as fn(&mut Gene),
        |gene| gene.policy = vec![Duty::Log, Duty::Zombies],
        |gene| gene.policy = vec![Duty::Log, Duty::Log],
        |gene| gene.role = Role::Drone,
        |gene| gene.role = Role::Task,
        |gene| gene.routes = vec!["/judge".parse().unwrap()],
        |gene| gene.grants.may = vec![Deed::Divide],
        |gene| gene.express.min = 1,
        |gene| gene.concurrency = 2,
        |gene| gene.weight = 2,
        |gene| gene.neuron = Some(Mandate::Advise),
    ] {
        with(change).unwrap_err();
    }
    let mut two = first();
    two.genes.extend([policy("judge"), policy("other")]);
    two.genes.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(two.check().unwrap_err().to_string(), "policy: two genes do the same");
}

prop_compose! {
    fn any_gene()(
        name in "[a-z0-9-]{1,63}",
        role in prop::sample::select(vec![Role::Drone, Role::Task, Role::Neuron]),
        replaces in any::<bool>(),
        version in "[ -~]{0,8}",
        paths in prop::collection::btree_set("/[a-z]{1,4}(/\\.\\.\\.)?", 0..4),
        outbound in prop::collection::btree_set("https://(\\*\\.)?[a-z]{1,4}\\.test(:[1-9][0-9]{0,3})?", 0..3),
        config in prop::collection::btree_map("[a-z]{1,4}", any::<String>(), 0..3),
        labels in prop::collection::btree_map("[a-z-]{1,4}", "[ -~]{0,8}", 0..3),
        waiters in prop::option::of(0u32..2_000),
        idle in prop::option::of(1u64..100_000),
        local in prop::option::of("[a-z]{1,4}"),
        secrets in prop::collection::btree_set("[a-z-]{1,5}", 0..3),
        reuse in prop::option::of(1u32..1_000),
        concurrency in 1u32..16,
        memory in prop::option::of((64u64 << 10)..(1 << 32)),
        min in 0u32..4,
        max in prop::option::of(4u32..100),
    ) -> Gene {
        let mut gene = gene(&name);
        gene.role = role;
        gene.version = version;
        gene.labels = labels.into_iter().collect();
        gene.limits.waiters = waiters;
        gene.limits.idle_ms = idle;
        (gene.limits.background, gene.limits.background_wait_ms) = (waiters, idle.map(|ms| ms.min(l::BACKGROUND_WAIT_MAX_MS)));
        gene.grants.signal = waiters.filter(|_| role == Role::Drone).map(|some| Signal { name: "depth".into(), per_cell: some + 1 });
        gene.limits.pong_ms = idle.map(|ms| ms.clamp(l::PONG_MIN_MS, l::PONG_MAX_MS));
        let sorted = |set: std::collections::BTreeSet<String>| {
            let mut routes: Vec<Route> = set.iter().map(|path| format!("{name}.test{path}").parse().unwrap()).collect();
            routes.sort_unstable();
            routes.dedup();
            routes
        };
        gene.routes = if role != Role::Drone || name.starts_with('-') || name.ends_with('-') { vec![] } else { sorted(paths) };
        gene.background = gene.routes.iter().filter(|route| route.is_prefix()).cloned().collect();
        gene.grants.outbound = outbound.iter().map(|text| text.parse().unwrap()).collect();
        gene.grants.outbound.sort_unstable();
        gene.grants.outbound.dedup();
        gene.grants.config = config.into_iter().collect();
        gene.grants.secrets = secrets.into_iter().collect();
        gene.grants.files = local.into_iter().map(|name| FileGrant { to: format!("/{name}"), write: true, source: FileSource::Local(name) }).collect();
        gene.reuse = reuse;
        gene.concurrency = concurrency;
        gene.limits.memory = memory;
        gene.express.min = min;
        gene.express.max = max;
        if role == Role::Neuron {
            gene.neuron = Some(if replaces { Mandate::Replace } else { Mandate::Advise });
            gene.grants = Grants { config: gene.grants.config, ..Grants::default() };
            (gene.express, gene.concurrency) = (Expression::default(), 1);
        }
        gene
    }
}

prop_compose! {
    fn any_manifest()(
        genes in prop::collection::vec(any_gene(), 0..5),
        version in 1u64..,
        label in "[ -~]{0,20}",
        not_before in 0u64..1_000,
        lasts in prop::option::of(1u64..1_000),
        parent in any::<Option<[u8; 32]>>(),
    ) -> Manifest {
        let mut manifest = first();
        manifest.genes = genes;
        manifest.genes.sort_by(|a, b| a.name.cmp(&b.name));
        manifest.genes.dedup_by(|a, b| a.name == b.name);
        let mut neurons = 0;
        manifest.genes.retain(|gene| {
            neurons += usize::from(gene.role == Role::Neuron);
            gene.role != Role::Neuron || neurons <= l::NEURONS
        });
        manifest.version = version;
        manifest.floor = version / 2;
        manifest.label = label;
        manifest.not_before = not_before;
        manifest.expires = lasts.map(|lasts| not_before + lasts);
        manifest.lineage.parent = parent.map(Digest::from_bytes);
        manifest
    }
}

proptest! {
    #[test]
    fn decoding_gives_back_what_was_encoded(manifest in any_manifest()) {
        let bytes = manifest.encode().unwrap();
        prop_assert_eq!(&Manifest::decode(&bytes).unwrap(), &manifest);
        let json = serde_json::to_string(&manifest).unwrap();
        prop_assert_eq!(serde_json::from_str::<Manifest>(&json).unwrap(), manifest);
    }

    /// Whatever decodes is its own one encoding.
    #[test]
    fn changed_bytes_never_decode_to_something_with_another_encoding(
        manifest in any_manifest(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..4),
    ) {
        let mut bytes = manifest.encode().unwrap();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        if let Ok(decoded) = Manifest::decode(&bytes) {
            prop_assert_eq!(decoded.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Manifest::decode(&bytes);
    }

    #[test]
    fn genes_are_found_by_name(manifest in any_manifest()) {
        for gene in &manifest.genes {
            prop_assert_eq!(manifest.gene(gene.name.as_str()), Some(gene));
        }
        prop_assert!(manifest.gene("no such gene").is_none());
    }
}
