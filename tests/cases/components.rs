//! What is no gene, and what a gene may ask for.

use crate::support::{Cyte, Host, Ran, Temp, guest, guests, project, wat};

/// `cyte run FILE` on a state folder of its own, which must not get far.
fn run(bytes: impl AsRef<[u8]>) -> Ran {
    let temp = Temp::new();
    let file = temp.write("odd.wasm", bytes);
    let ran =
        Cyte::new(["run"]).arg(&file).args(["--listen", "127.0.0.1:0", "--state"]).arg(temp.join("s")).run();
    let kept = std::fs::read_dir(temp.join("s/dna")).map(|dir| dir.count()).unwrap_or(0);
    assert_eq!(kept, 0, "nothing of it was kept: {}", ran.stderr);
    ran
}

#[test]
fn what_is_not_wasm_is_refused() {
    for bytes in [&b""[..], b"\0", b"\0asm", b"#!/bin/sh\necho hello\n", b"MZ\x90\0", &[0xff; 4096]] {
        let text = run(bytes).refused(1, "E104");
        assert!(text.contains("odd"), "{text}");
    }
    let good = guests::tiny_drone();
    run(&good[..good.len() / 2]).refused(1, "E104");
    run([&good[..], b"\x7fjunk after it"].concat()).refused(1, "E104");
}

#[test]
fn a_precompiled_artefact_posing_as_a_gene_is_refused() {
    // wasmtime's own artefacts are ELF; the cache of a host holds them behind a MAC. Neither is
    // ever taken as a gene, whoever made it.
    let temp = Temp::new();
    Host::of(guest("echo")).state(temp.join("s")).start().stop().expect(0);
    let mut artefacts = Vec::new();
    let mut folders = vec![temp.join("s/code")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { artefacts.push(std::fs::read(path).unwrap()) }
        }
    }
    assert_eq!(artefacts.len(), 1);
    let kept = &artefacts[0];
    let elf = kept.windows(4).position(|window| window == b"\x7fELF").expect("code is an ELF image");
    run(kept).refused(1, "E104");
    run(&kept[elf..]).refused(1, "E104");
    run(b"\x7fELF\x02\x01\x01\0").refused(1, "E104");
}

#[test]
fn a_component_of_no_known_world_is_refused_with_what_would_be_one() {
    for text in [
        "(component)",
        "(component (core module $m (func (export \"f\"))) (core instance $i (instantiate $m)) (func (export \"f\") (canon lift (core func $i \"f\"))))",
        "(module)",
        "(module (func (export \"handle\")))",
    ] {
        let said = run(wat(text)).refused(1, "E104");
        assert!(said.contains("wasi:http") && said.contains("wasi:cli/run"), "{said}");
    }
}

#[test]
fn an_import_that_nothing_provides_names_gene_and_import() {
    let text = include_str!("../support/tiny_drone.wat").replacen(
        "(component\n",
        "(component\n  (import \"cyte:cell/switchboard@0.1.0\" (instance (export \"tell\" (func))))\n",
        1,
    );
    let component = wat(&text);
    let said = run(&component).refused(1, "E104");
    assert!(said.contains("`odd`") && said.contains("cyte:cell/switchboard@0.1.0"), "{said}");
    let folder = Temp::new();
    folder.write("x.wasm", &component);
    folder.write("dna.toml", "[organism]\nname = \"o\"\n[gene.front]\nsource = \"x.wasm\"\n");
    for verb in ["build", "check"] {
        let said = Cyte::new([verb]).arg(folder.path()).run().refused(1, "E104");
        assert!(said.contains("`front`") && said.contains("cyte:cell/switchboard@0.1.0"), "{said}");
    }
    // A bundle is made by whoever likes; the host looks for itself.
    let said = Cyte::new(["inspect"]).arg(folder.join("x.wasm")).ok().stdout;
    assert!(said.contains("nothing provides it"), "{said}");
}

/// No line in a `dna.toml` grants these yet, so the remedy is another one.
#[test]
fn an_ability_that_nothing_can_grant_is_named_with_what_to_do() {
    let with = |import: &str| {
        let tiny = include_str!("../support/tiny_drone.wat");
        assert!(tiny.contains("\n(component\n"));
        wat(&tiny.replacen("(component\n", &format!("(component\n  (import \"{import}\" (instance))\n"), 1))
    };
    for import in ["wasi:keyvalue/store@0.2.0-draft", "spin:key-value/key-value"] {
        let said = run(with(import)).refused(1, "E104");
        let why = format!("it asks for `{import}`, which nothing here provides");
        assert!(said.contains("`odd`") && said.contains(&why), "{said}");
        assert!(said.contains("help: build gene `odd` without it"), "{said}");
    }
    // It is the ability alone: the same component with one that is always there is taken.
    let temp = Temp::new();
    let host = Host::start(temp.write("tiny.wasm", with("wasi:clocks/monotonic-clock@0.2.0")));
    assert_eq!(host.listening()["genes"][0]["role"], "drone");
}

#[test]
fn a_role_that_does_not_fit_is_shown_with_its_line() {
    let folder = project("[organism]\nname = \"o\"\n[gene.front]\nsource = \"{wc}\"\nrole = \"drone\"\n");
    let said = Cyte::new(["check"]).arg(folder.path()).run().refused(1, "E101");
    assert!(said.contains("is said to be a drone, but its exports make it a task"), "{said}");
    assert!(said.contains("[gene.front]") && said.contains('^'), "{said}");
}

#[test]
fn inspect_shows_what_a_component_is_and_asks_for() {
    let seen = Cyte::new(["inspect"]).arg(guest("fetch")).json();
    assert_eq!((&seen["role"], &seen["engine"]), (&"drone".into(), &"plain".into()));
    let asks = seen["asks"].as_array().unwrap();
    let outgoing =
        asks.iter().find(|ask| ask["import"].as_str().unwrap().starts_with("wasi:http/outgoing-handler"));
    assert_eq!(outgoing.expect("it can fetch")["answer"], "denied");
    let text = Cyte::new(["inspect"]).arg(guest("fetch")).ok().stdout;
    assert!(text.contains("not granted"), "{text}");
    let seen = Cyte::new(["inspect"]).arg(guest("p3-echo")).json();
    assert_eq!(seen["engine"], "concurrent");
    Cyte::new(["inspect", "/nonexistent.wasm"]).run().refused(1, "E002");
}

#[test]
fn a_tiny_component_of_another_toolchain_runs() {
    let temp = Temp::new();
    let file = temp.write("tiny.wasm", guests::tiny_drone());
    let host = Host::start(&file);
    // It returns without an answer, which is the gene's fault and nobody else's.
    let answer = host.get("/");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(host.listening()["genes"][0]["reuse"], 1, "it declares nothing, so its cells are used once");
}
