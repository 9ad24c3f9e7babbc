//! What is read, what is refused and how faults look.

use std::collections::BTreeMap;

use super::*;
use crate::fixture::{COMPONENT, germline, shop};
use crate::limits::DNA_TOML_BYTES;
use crate::{Descent, FileSource, Folder, Mandate, Role, Scope, Signal};

const FULL: &str = r#"
[organism]
name = "shop"
version = "0.1.0"

[gene.front]
source = "genes/front"
version = "1.2"
labels = { team = "web", tier = "front" }
role = "drone"
route = ["/api/...", "Shop.Example/..."]
background = ["shop.example/reports/...", "/api/sync"]
reuse = 128
concurrency = 2
outbound = ["https://api.example.test", "http://127.0.0.1:9000"]
files = [{ from = "assets", to = "/assets" }, { from = "data", to = "/data", write = true }]
config = { greeting = "hello", "a.b" = "c" }
environment = { MODE = "fast" }
secrets = ["token"]
signal = { name = "queue-depth", per-cell = 10 }
limits = { memory = "64MiB", cpu = "500ms", wall = "10s", body = "8MiB", wait = "100ms", waiters = 8, background = 9, background-wait = "2s", idle = "5s", pong = "2s", tables = 10, handles = 20, host-call = "2MiB", headers = "1KiB", random = "1KiB", outbound = 3, files = "1GiB", file-count = 7 }
express = { min = 0, max = 64, scope = "network" }
build = { command = "make front" }

[gene.cleanup]
source = "cleanup.wasm"
"#;

fn parse(text: &str) -> DnaToml {
    DnaToml::parse(text).unwrap_or_else(|errors| panic!("{}", errors.render("dna.toml", text)))
}

/// The faults of a gene with these further lines.
fn faults(lines: &str) -> Vec<String> {
    let text = format!("[organism]\nname = \"shop\"\n[gene.front]\nsource = \"x\"\n{lines}\n");
    let errors = DnaToml::parse(&text).expect_err(lines);
    errors.faults().iter().map(|fault| fault.message.clone()).collect()
}

/// Background work is a part of what the gene takes anyway.
#[test]
fn background_is_a_part_of_the_genes_own_routes() {
    let with = |background: &str| {
        format!(
            "[organism]\nname = \"shop\"\n[gene.front]\nsource = \"x\"\nroute = [\"/...\", \"a.example/one\"]\nbackground = [\"{background}\"]\n[gene.other]\nsource = \"y\"\nroute = [\"/other/...\", \"b.example/...\"]\n"
        )
    };
    for own in ["/...", "/reports/...", "/reports", "a.example/one", "a.example/two/...", "c.example/..."] {
        parse(&with(own));
    }
    for other in ["/other/...", "/other", "/other/deep/...", "b.example/x", "b.example/..."] {
        let errors = DnaToml::parse(&with(other)).expect_err(other);
        let said: Vec<_> = errors.faults().iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(said, [format!("`{other}` is no part of the routes of gene `front`")]);
    }
    assert_eq!(faults("role = \"task\"\nbackground = [\"/x\"]"), ["only a drone takes requests"]);
    assert_eq!(faults("signal = { name = \"a b\", per-cell = 1 }"), ["a signal cannot be named `a b`"]);
    assert_eq!(faults("signal = { name = \"depth\" }"), ["`per-cell` is missing"]);
    assert_eq!(faults("signal = { name = \"depth\", per-cell = 0 }").len(), 1);
}

#[test]
fn every_key_is_read() {
    let dna = parse(FULL);
    assert_eq!((dna.organism.as_str(), dna.label.as_str()), ("shop", "0.1.0"));
    let names: Vec<_> = dna.genes.iter().map(|gene| gene.name.as_str()).collect();
    assert_eq!(names, ["cleanup", "front"]);
    let front = dna.gene("front").unwrap();
    assert_eq!((front.source.as_str(), front.version.as_str()), ("genes/front", "1.2"));
    assert_eq!(&FULL[front.source_span.clone()], "\"genes/front\"");
    assert_eq!(&FULL[front.span.clone()], "front");
    assert_eq!(front.role, Some(Role::Drone));
    let routes: Vec<_> = front.routes.iter().flatten().map(Route::to_string).collect();
    assert_eq!(routes, ["/api/...", "shop.example/..."]);
    let background: Vec<_> = front.background.iter().map(Route::to_string).collect();
    assert_eq!(background, ["/api/sync", "shop.example/reports/..."]);
    assert_eq!((front.limits.background, front.limits.background_wait_ms), (Some(9), Some(2_000)));
    assert_eq!(front.signal, Some(Signal { name: "queue-depth".into(), per_cell: 10 }));
    assert_eq!((front.reuse, front.concurrency), (Some(128), 2));
    assert_eq!(front.outbound.len(), 2);
    let files: Vec<_> = front.files.iter().map(|f| (f.from.as_str(), f.to.as_str(), f.write)).collect();
    assert_eq!(files, [("assets", "/assets", false), ("data", "/data", true)]);
    assert_eq!(front.config, [("a.b".into(), "c".into()), ("greeting".into(), "hello".into())]);
    assert_eq!(front.environment, [("MODE".into(), "fast".into())]);
    assert_eq!(front.secrets, ["token"]);
    assert_eq!(front.limits.memory, Some(64 << 20));
    assert_eq!(front.labels, [("team".into(), "web".into()), ("tier".into(), "front".into())]);
    let limits = front.limits;
    assert_eq!((limits.wait_ms, limits.waiters, limits.idle_ms), (Some(100), Some(8), Some(5_000)));
    assert_eq!((limits.tables, limits.handles, limits.outbound), (Some(10), Some(20), Some(3)));
    assert_eq!((limits.files, limits.file_count), (Some(1 << 30), Some(7)));
    assert_eq!((limits.host_call, limits.headers, limits.random), (Some(2 << 20), Some(1024), Some(1024)));
    assert_eq!((front.express.min, front.express.max, front.express.scope), (0, Some(64), Scope::Network));
    assert_eq!(front.build.as_deref(), Some("make front"));
    let cleanup = dna.gene("cleanup").unwrap();
    assert_eq!((cleanup.role, &cleanup.routes, cleanup.concurrency), (None, &None, 1));
}

#[test]
fn a_fault_shows_its_line_a_caret_and_the_remedy() {
    let text = "[organism]\nname = \"shop\"\n\n[gene.front]\nsource = \"x\"\nrout = \"/...\"\n";
    let errors = DnaToml::parse(text).unwrap_err();
    let wanted = "\
error: `rout` is not a key of gene `front`
 --> dna.toml:6:1
  |
6 | rout = \"/...\"
  | ^^^^
  |
help: did you mean `route`?
";
    assert_eq!(errors.render("dna.toml", text), wanted);
}

#[test]
fn all_faults_are_found_in_one_pass_in_the_order_of_the_text() {
    let text = "[organism]\nnme = \"shop\"\n[gene.front]\nreuse = 0\nlimits = { memory = \"64MB\" }\n[gene.\"../x\"]\nsource = 1\n";
    let errors = DnaToml::parse(text).unwrap_err();
    let starts: Vec<_> = errors.faults().iter().map(|fault| fault.span.start).collect();
    assert!(starts.is_sorted());
    let all = errors.render("dna.toml", text);
    for part in [
        "`nme`",
        "has no name",
        "has no source",
        "`reuse` is not from 1",
        "`64MB` is not a size",
        "`../x`",
        "`source` is an integer",
    ] {
        assert!(all.contains(part), "{part} in\n{all}");
    }
}

#[test]
fn a_neuron_says_how_much_its_word_counts() {
    let gene = |lines: &str| {
        let text = format!("[organism]\nname = \"shop\"\n[gene.think]\nsource = \"think.wasm\"\n{lines}\n");
        parse(&text).gene("think").unwrap().clone()
    };
    let think = gene("neuron = \"replace\"\nlimits = { wall = \"2ms\" }");
    assert_eq!((think.neuron, think.role), (Some(Mandate::Replace), None));
    assert_eq!(think.misfit(Role::Neuron), None);
    let shown = |gene: &GeneSource, role| gene.misfit(role).map(|fault| (fault.message, fault.help)).unwrap();
    let (message, help) = shown(&think, Role::Drone);
    assert_eq!(message, "gene `think` has `neuron`, but its exports make it a drone");
    assert_eq!(help, "remove neuron");
    let (message, help) = shown(&gene(""), Role::Neuron);
    assert_eq!(message, "gene `think` is a neuron and does not say how much its word counts");
    assert!(help.contains("neuron = \"advise\"") && help.contains("neuron = \"replace\""), "{help}");
    let (message, _) = shown(&gene("role = \"task\""), Role::Drone);
    assert_eq!(message, "gene `think` is said to be a task, but its exports make it a drone");
    assert_eq!(
        faults("role = \"drone\"\nneuron = \"advise\""),
        ["`neuron` is for neurons, and gene `front` is a drone"]
    );
    let two = "neuron = \"advise\"\n[gene.think]\nsource = \"y\"\nneuron = \"replace\"";
    assert_eq!(faults(two), ["genes `front` and `think` are both neurons"]);
    assert_eq!(faults("neuron = \"advise\"\nexpress = { max = 2 }"), ["a neuron has no `express`"]);
}

#[test]
fn unknown_keys_are_faults_everywhere() {
    assert!(DnaToml::parse("[organism]\nname = \"a\"\n[gen.x]\n").is_err());
    for lines in [
        "x = 1",
        "limits = { x = \"1s\" }",
        "express = { x = 1 }",
        "build = { command = \"x\", x = 1 }",
        "files = [{ from = \"a\", to = \"/a\", x = 1 }]",
    ] {
        let faults = faults(lines);
        assert!(faults[0].starts_with("`x` is not a key of"), "{faults:?}");
    }
}

#[test]
fn values_of_the_wrong_kind_or_size_are_faults() {
    let bad = [
        "route = 1",
        "route = [1]",
        "route = \"api\"",
        "role = \"dron\"",
        "role = 1",
        "reuse = 0",
        "reuse = -1",
        "reuse = 1.5",
        "reuse = 99999999999999999999",
        "concurrency = 0",
        "concurrency = 1025",
        "outbound = \"example.test\"",
        "outbound = [\"https://a/b\"]",
        "outbound = [\"https://a\", \"https://A:443\"]",
        "files = \"a\"",
        "files = [\"a\"]",
        "files = [{ from = \"a\" }]",
        "files = [{ to = \"/a\" }]",
        "files = [{ from = \"../a\", to = \"/a\" }]",
        "files = [{ from = \"/etc\", to = \"/a\" }]",
        "files = [{ from = \"a\", to = \"a\" }]",
        "files = [{ from = \"a\", to = \"/a\", write = 1 }]",
        "files = [{ from = \"a\", to = \"/a\" }, { from = \"b\", to = \"/a\" }]",
        "config = { a = 1 }",
        "config = 1",
        "config = { \"\" = \"a\" }",
        "environment = { \"a=b\" = \"c\" }",
        "environment = { a = \"\\u0000\" }",
        "secrets = \"a\"",
        "secrets = [\"A\"]",
        "secrets = [\"a\", \"a\"]",
        "limits = { memory = 1 }",
        "limits = { memory = \"1B\" }",
        "limits = { memory = \"5GiB\" }",
        "limits = { cpu = \"0s\" }",
        "limits = { cpu = \"11min\" }",
        "limits = { wall = \"25h\" }",
        "limits = { wait = \"2min\" }",
        "limits = { waiters = 65537 }",
        "limits = { waiters = \"1\" }",
        "limits = { idle = \"25h\" }",
        "limits = { tables = 1000001 }",
        "limits = { handles = 0 }",
        "limits = { host-call = \"65MiB\" }",
        "limits = { headers = \"2MiB\" }",
        "limits = { random = 1 }",
        "limits = { outbound = 257 }",
        "limits = { files = \"2TiB\" }",
        "limits = { file-count = 1000001 }",
        "labels = [\"a\"]",
        "labels = { a = 1 }",
        "labels = { A = \"b\" }",
        "labels = { a = \"\\n\" }",
        "express = { min = 3, max = 2 }",
        "express = { scope = \"global\" }",
        "express = 1",
        "express = { every-host = 1 }",
        "express = { every-host = true, max = 2 }",
        "build = \"make\"",
        "build = {}",
        "version = 1",
        "version = \"\\n\"",
        "role = \"task\"\nroute = \"/...\"",
        "neuron = \"rule\"",
        "neuron = true",
        "role = \"neuron\"",
        "role = \"drone\"\nneuron = \"advise\"",
        "role = \"task\"\nneuron = \"replace\"",
        "role = \"neuron\"\nneuron = \"advise\"\nroute = \"/...\"",
        "neuron = \"advise\"\noutbound = \"https://a\"",
        "neuron = \"advise\"\nsecrets = [\"a\"]",
        "neuron = \"advise\"\nfiles = [{ from = \"a\", to = \"/a\" }]",
        "neuron = \"advise\"\nexpress = { min = 1 }",
        "neuron = \"advise\"\nconcurrency = 2",
        "route = [\"/a\", \"/a\"]",
    ];
    for lines in bad {
        assert!(!faults(lines).is_empty(), "{lines}");
    }
    let big = format!("config = {{ a = \"{}\" }}", "x".repeat(64 << 10));
    assert_eq!(faults(&big), ["config and environment are larger than 64 KiB"]);
}

#[test]
fn a_missing_organism_name_or_gene_is_a_fault() {
    let twice = "[organism]\nname = \"a\"\n[gene.a]\nsource = \"x\"\n[gene.a]\nsource = \"x\"\n";
    for text in [
        twice,
        "",
        "[organism]\n",
        "organism = 1\n",
        "[organism]\nname = \"a\"\n",
        "[organism]\nname = \"a\"\ngene = 1\n",
        "[organism]\nname = \"A\"\n[gene.a]\nsource = \"x\"\n",
        "[organism]\nname = \"a\"\n[gene]\na = 1\n",
    ] {
        assert!(DnaToml::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_route_conflict_names_both_genes_at_the_second() {
    let text = "[organism]\nname = \"s\"\n[gene.a]\nsource = \"a\"\nroute = \"/x/...\"\n[gene.b]\nsource = \"b\"\nroute = [\"/y\", \"/x/...\"]\n";
    let errors = DnaToml::parse(text).unwrap_err();
    let fault = &errors.faults()[0];
    assert_eq!(fault.message, "genes `a` and `b` both have the route `/x/...`");
    assert_eq!(&text[fault.span.clone()], "\"/x/...\"");
    assert!(fault.span.start > text.find("gene.b").unwrap());
}

#[test]
fn syntax_faults_show_their_place() {
    let text = "[organism]\nname = \"shop\nversion = 1\n";
    let shown = DnaToml::parse(text).unwrap_err().render("dna.toml", text);
    assert!(shown.contains("dna.toml:2:") && shown.contains('^'), "{shown}");
    let deep = format!("a = {}", "[".repeat(100_000));
    assert!(DnaToml::parse(&deep).is_err());
}

#[test]
fn a_text_above_its_cap_is_refused() {
    let text = format!("#{}\n{FULL}", "x".repeat(DNA_TOML_BYTES - FULL.len() - 2));
    assert_eq!(text.len(), DNA_TOML_BYTES);
    parse(&text);
    assert!(DnaToml::parse(&format!("{text}\n")).is_err());
}

#[test]
fn faults_render_in_any_text() {
    let text = "a\tb\u{1b}[31m\u{e4}\u{1f600}\r\n";
    for start in 0..=text.len() + 2 {
        for end in start..=text.len() + 2 {
            let shown = SourceError::new(start..end, "m\nm", "h").render("dna.toml", text);
            assert!(!shown.contains('\u{1b}') && shown.lines().count() == 7, "{shown:?}");
        }
    }
    let long = format!("{}x{}", "a".repeat(5_000), "b".repeat(5_000));
    let shown = SourceError::new(5_000..5_001, "m", "h").render("dna.toml", &long);
    let lines: Vec<_> = shown.lines().collect();
    assert!(lines.iter().all(|line| line.len() < 120), "{shown}");
    assert_eq!(lines[3].find('x'), lines[4].find('^'));
    assert_eq!(lines[1], " --> dna.toml:1:5001");
}

fn parts(name: &str, role: Role) -> GeneParts {
    let folder = Folder::pack([("index.html".to_string(), b"hello")]).unwrap();
    let folders = BTreeMap::from([("assets".to_string(), folder)]);
    GeneParts { name: name.parse().unwrap(), role, component: COMPONENT.to_vec(), folders, site: None }
}

#[test]
fn assembling_gives_a_bundle_that_says_the_same() {
    let dna = parse(FULL);
    let all = vec![parts("front", Role::Drone), parts("cleanup", Role::Task)];
    let draft = dna.assemble(all, Descent::first(germline(&[1], 1))).unwrap();
    let manifest = draft.manifest();
    assert_eq!((&manifest.organism, manifest.label.as_str(), manifest.version), (&shop(), "0.1.0", 1));
    let front = manifest.gene("front").unwrap();
    assert_eq!(front.routes, dna.gene("front").unwrap().routes.clone().unwrap());
    assert_eq!(
        (&front.labels, front.limits),
        (&dna.gene("front").unwrap().labels, dna.gene("front").unwrap().limits)
    );
    assert_eq!(front.grants.files[1].source, FileSource::Local("data".into()));
    let FileSource::Packed(assets) = front.grants.files[0].source else { panic!("assets are packed") };
    let folder = Folder::parse(draft.blob(&assets.sha256).unwrap().to_vec()).unwrap();
    assert_eq!(folder.get("index.html"), Some(&b"hello"[..]));
    assert_eq!(manifest.gene("cleanup").unwrap().role, Role::Task);
    assert_eq!(manifest.blobs().len(), 2, "one component and one folder, each once");
    let none = dna.assemble(vec![parts("front", Role::Drone)], Descent::first(germline(&[1], 1)));
    assert_eq!(none.unwrap_err().to_string(), "gene `cleanup`, parts: it was not built");
}

#[test]
fn an_only_drone_without_a_route_takes_everything() {
    let only = parse("[organism]\nname = \"shop\"\n[gene.a]\nsource = \"a\"\n[gene.b]\nsource = \"b\"\n");
    let routes = |b: Role, name: &str| {
        let all = vec![parts("a", Role::Drone), parts("b", b)];
        let draft = only.assemble(all, Descent::first(germline(&[1], 1))).unwrap();
        draft.manifest().gene(name).unwrap().routes.clone()
    };
    assert_eq!(routes(Role::Task, "a"), [Route::everything()]);
    assert_eq!(routes(Role::Task, "b"), []);
    assert_eq!(routes(Role::Drone, "a"), []);
}

#[test]
fn a_site_is_granted_read_only() {
    let dna = parse("[organism]\nname = \"shop\"\n[gene.web]\nsource = \"public\"\n");
    let mut web = parts("web", Role::Drone);
    web.site = Some(Folder::pack([("a.txt".to_string(), b"a")]).unwrap());
    let draft = dna.assemble(vec![web], Descent::first(germline(&[1], 1))).unwrap();
    let files = &draft.manifest().gene("web").unwrap().grants.files;
    assert_eq!((files[0].to.as_str(), files[0].write), ("/site", false));
}

#[test]
fn what_is_stated_of_the_policy_changes_it_and_a_number_out_of_range_is_shown() {
    let with =
        |text: &str| format!("[organism]\nname = \"a\"\ndormant = false\n{text}\n[gene.a]\nsource = \"x\"\n");
    let text = with("[pool]\nstems_min = 4\nstems_max = 4\n[hormones]\ntick_ms = 50");
    let dna = DnaToml::parse(&text).unwrap();
    let before = crate::Policy::default();
    let policy = dna.policy.over(before);
    assert!(policy.awake && !before.awake);
    assert_eq!((policy.pool.stems_min, policy.pool.stems_max, policy.hormones.tick_ms), (4, 4, 50));
    assert_eq!(policy.hormones.death_ms, before.hormones.death_ms, "the rest stays");
    for (wrong, said) in [
        ("[pool]\nstems_min = 60", "stems_min"),
        ("[hormones]\ntick_ms = 4", "tick_ms"),
        ("[hormones]\ntick_ms = \"20ms\"", "must be an integer"),
        ("[hormones]\ntik_ms = 20", "`tik_ms` is not a key"),
    ] {
        let text = with(wrong);
        let faults = DnaToml::parse(&text).unwrap_err().to_string();
        assert!(faults.contains(said), "{faults}");
    }
}
