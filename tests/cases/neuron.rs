//! Neurons: the standard ones against the same rules natively, and what a bad one comes to.

use serde_json::Value;

use crate::support::{Cyte, Temp, guest, guests::of_crate, paths::repository, project};

/// Half a minute of a load that rises tenfold and falls, with two classes.
const TIDE: &str = r#"
seconds = 30

[class.web]
load = { kind = "step", base = 400, peak = 4000, from = 5, to = 15 }
slots = 8
min = 1
max = 96

[class.api]
load = { kind = "constant", rate = 150 }
slots = 1
cpu_ms = 1.0
service_ms = 5.0
"#;

fn tide(temp: &Temp) -> std::path::PathBuf {
    temp.write("tide.toml", TIDE)
}

/// The component of a standard neuron, from the sources in this repository.
fn standard(name: &str) -> std::path::PathBuf {
    of_crate(&repository().join("genes").join(name))
}

/// One run's classes, with every point of their timelines.
fn played(file: &std::path::Path, under: &[&str]) -> Value {
    let ran =
        Cyte::new(["--output", "json", "sim"]).arg(file).args(["--points", "--seed", "3"]).args(under).run();
    assert_eq!(ran.code(), 0, "{}", ran.stderr);
    let value: Value = serde_json::from_str(&ran.stdout).unwrap();
    let run = &value["runs"][0];
    assert!(run["classes"][0]["points"].as_array().unwrap().len() > 1_000, "a timeline");
    run["classes"].clone()
}

/// The same looks, the same orders: 1,500 looks at two classes each, and after one order that
/// differed the populations would part.
#[test]
fn the_standard_neurons_decide_as_they_do_natively() {
    let temp = Temp::new();
    let file = tide(&temp);
    let mut all = vec![played(&file, &["--under", "hybrid"])];
    for name in ["neuron-calculus", "neuron-kpa", "neuron-on-demand"] {
        let native = played(&file, &["--under", name]);
        let component = standard(name);
        let wasm = played(&file, &["--neuron", component.to_str().unwrap()]);
        assert_eq!(native, wasm, "{name}");
        assert!(!all.contains(&native), "{name} changes what happens");
        all.push(native);
    }
}

#[test]
fn a_neuron_that_fails_ends_a_simulation_and_says_how() {
    let temp = Temp::new();
    let odd = guest("odd-neuron");
    let play = |class: &str| {
        let file = temp.write("odd.toml", TIDE.replace("class.web", &format!("class.{class}")));
        Cyte::new(["sim"]).arg(file).arg("--neuron").arg(&odd).run()
    };
    let said = play("trap").refused(1, "E104");
    assert!(said.contains("the guest failed") && said.contains("after 0 ms"), "{said}");
    let said = play("spin").refused(1, "E104");
    assert!(said.contains("it did not answer in time") || said.contains("CPU budget"), "{said}");
    let ran = play("garbage").expect(0);
    assert!(ran.stderr.contains("refused") && ran.stderr.contains("orders"), "{}", ran.stderr);
    assert!(ran.stdout.contains("neuron"), "{}", ran.stdout);
    let said =
        Cyte::new(["sim"]).arg(tide(&temp)).arg("--neuron").arg(guest("echo")).run().refused(1, "E104");
    assert!(said.contains("it is a drone"), "{said}");
}

#[test]
fn how_much_a_neuron_s_word_counts_is_said_and_shown() {
    let toml =
        |more: &str| format!("[organism]\nname = \"o\"\n[gene.think]\nsource = \"{{odd-neuron}}\"\n{more}");
    let said = Cyte::new(["check"]).arg(project(&toml("")).path()).run().refused(1, "E101");
    assert!(said.contains("gene `think` is a neuron and does not say how much its word counts"), "{said}");
    assert!(said.contains("neuron = \"advise\"") && said.contains("[gene.think]"), "{said}");
    let folder = project(&toml("neuron = \"replace\"\n"));
    let seen = Cyte::new(["check"]).arg(folder.path()).json();
    let gene = &seen["genes"][0];
    assert_eq!((&gene["role"], &gene["neuron"]), (&"neuron".into(), &"replace".into()));
    assert_eq!(gene["world"], "cyte:cell/homeostasis@0.1");
    let text = Cyte::new(["check"]).arg(folder.path()).ok().stdout;
    assert!(text.contains("neuron (replace)"), "{text}");
    let drone = "[organism]\nname = \"o\"\n[gene.front]\nsource = \"{echo}\"\nneuron = \"advise\"\n";
    let said = Cyte::new(["check"]).arg(project(drone).path()).run().refused(1, "E101");
    assert!(said.contains("gene `front` has `neuron`, but its exports make it a drone"), "{said}");
}

/// From the sources inside the binary, as on a machine without this repository.
#[test]
fn a_standard_neuron_is_asked_for_by_its_name() {
    let temp = Temp::new();
    let toml = |name: &str| {
        format!("[organism]\nname = \"o\"\n[gene.think]\nsource = \"cyte:{name}\"\nneuron = \"replace\"\n")
    };
    temp.write("dna.toml", toml("neuron-kpa"));
    let built = Cyte::new(["build"]).arg(temp.path()).json();
    assert_eq!(built["genes"][0]["role"], "neuron", "{built:#}");
    let said = {
        temp.write("dna.toml", toml("neuron-kap"));
        Cyte::new(["check"]).arg(temp.path()).run().refused(1, "E101")
    };
    assert!(said.contains("there is no standard gene `neuron-kap`"), "{said}");
    assert!(said.contains("neuron-calculus, neuron-kpa, neuron-on-demand, static-site"), "{said}");
}
