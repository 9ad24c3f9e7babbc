//! Components that are made to break the compiler, or that are none.

use std::fmt::Write as _;
use std::time::Duration;

use super::zoo::{self, timed};
use crate::support::guests::{tiny_drone, wat};
use crate::support::{Cyte, Host, Temp, guest};

/// A drone whose core module has one more function.
fn drone_with(function: &str) -> Vec<u8> {
    let text = include_str!("../../support/tiny_drone.wat");
    let place = "(core module $m (func (export \"handle\") (param i32 i32))";
    assert!(text.contains(place), "the tiny drone looks different");
    wat(&text.replace(place, &format!("{place}\n{function}\n")))
}

/// Runs a component that must not get to listen; standard error and the time it took.
fn refused(name: &str, wasm: &[u8]) -> (String, Duration) {
    refused_with(name, wasm, &[])
}

/// The same with more arguments.
fn refused_with(name: &str, wasm: &[u8], more: &[&str]) -> (String, Duration) {
    let temp = Temp::new();
    let path = temp.write("bad.wasm", wasm);
    let run = Cyte::new(["run"]).arg(path).args(["--listen", "127.0.0.1:0", "--state"]);
    let run = run.arg(temp.join("state")).args(more);
    let (ran, taken) = timed(|| run.run());
    assert_eq!(ran.code(), 1, "{name}: {}", ran.stderr);
    assert_eq!(ran.stderr.matches("error[").count(), 1, "{name}: {}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{name}: {}", ran.stderr);
    (ran.stderr, taken)
}

#[test]
fn what_is_no_component_is_refused() {
    let drone = std::fs::read(guest("spin")).unwrap();
    let flipped = |at: usize| {
        let mut wasm = drone.clone();
        wasm[at] ^= 0xff;
        wasm
    };
    let module = wat("(module (func (export \"nothing\")))");
    let other_world = wat("(component)");
    for (name, wasm) in [
        ("nothing", Vec::new()),
        ("text", b"hello, this is no Wasm".to_vec()),
        ("an ELF program", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec()),
        ("the magic alone", b"\0asm".to_vec()),
        ("a module without a start", module),
        ("a component that exports nothing", other_world),
        ("half a component", drone[..drone.len() / 2].to_vec()),
        ("a component with a broken byte", flipped(9)),
        ("bytes after its end", [drone.clone(), b"more".to_vec()].concat()),
        ("zeros", vec![0; 100_000]),
    ] {
        let (said, taken) = refused(name, &wasm);
        assert!(said.contains("bad"), "{name}: it names the gene or file: {said}");
        assert!(taken < Duration::from_secs(10), "{name}: {taken:?}");
    }
}

#[test]
fn components_inside_components_end_somewhere() {
    // Valid, and far deeper than anybody needs.
    let mut text = String::from("(component");
    for _ in 0..60 {
        text.push_str(" (component");
    }
    text.push_str(&")".repeat(61));
    let (said, _) = refused("nested", &wat(&text));
    assert!(said.contains("nest") || said.contains("deep") || said.contains("export"), "{said}");
    // A drone that also holds a deep nest.
    let nest = format!("{}{}", "(component ".repeat(40), ")".repeat(40));
    let text =
        include_str!("../../support/tiny_drone.wat").replacen("(component", &format!("(component {nest}"), 1);
    let (said, _) = refused("a drone with a nest", &wat(&text));
    assert!(said.contains("nest") || said.contains("deep"), "{said}");
}

#[test]
fn a_component_that_compiles_for_ever_is_stopped() {
    let host = zoo::host(&[("spin", "")]);
    // The first takes long, the second takes memory; which cap it meets depends on the machine.
    for (depth, variables) in [(50, 10_000), (400, 4_000)] {
        let bomb = drone_with(&nested_loops(depth, variables));
        assert!(bomb.len() < 100_000, "{} bytes", bomb.len());
        let (said, taken) = refused("nested loops", &bomb);
        assert!(
            said.contains("compiling it takes more than the 7 s of CPU") || said.contains("1024 MiB"),
            "{said}"
        );
        // Another test may have the other processor.
        assert!(taken < Duration::from_secs(45), "{taken:?}");
        assert_eq!(host.get("/").text(), "healthy\n", "a host beside it notices nothing");
    }
}

#[test]
fn an_operator_says_how_long_compiling_may_take() {
    // Far too much for a second, and little memory.
    let bomb = drone_with(&nested_loops(50, 10_000));
    let (said, _) = refused_with("little time", &bomb, &["--compile-cpu", "1s"]);
    assert!(said.contains("more than the 1 s of CPU"), "{said}");
    assert!(said.contains("help: --compile-cpu SPAN"), "{said}");
}

/// Loops in loops, with so many variables changed in the innermost: each loop needs each of them,
/// so that the compiler's work is the product and the text only the sum.
fn nested_loops(depth: usize, variables: usize) -> String {
    let mut text = format!("(func (export \"bomb\") (param i32) (local {})\n", "i64 ".repeat(variables));
    text.push_str(&"(loop ".repeat(depth));
    for n in 1..=variables {
        writeln!(text, "(local.set {n} (i64.add (local.get {n}) (i64.const 1)))").unwrap();
    }
    text.push_str(&"(br_if 0 (local.get 0)))".repeat(depth));
    text.push(')');
    text
}

#[test]
fn a_large_component_is_compiled() {
    // Within the caps: 400,000 additions in one function.
    let temp = Temp::new();
    let path = temp.write("large.wasm", drone_with(&additions(400_000)));
    let host = Host::start(path);
    assert_eq!(host.get("/").status, 502, "it never answers, and it runs");
}

/// A function of so many additions.
fn additions(count: usize) -> String {
    let mut text = String::from("(func (export \"many\") (param i64) (result i64)\n(local.get 0)\n");
    for n in 0..count {
        writeln!(text, "(i64.add (i64.mul (local.get 0) (i64.const {n})))").unwrap();
    }
    text.push(')');
    text
}

#[test]
fn the_tiny_drone_itself_is_a_component() {
    // So that what is refused above is refused for what was added to it.
    let temp = Temp::new();
    let path = temp.write("tiny.wasm", tiny_drone());
    let host = Host::start(path);
    assert_eq!(host.get("/").status, 502);
    let path = temp.write("more.wasm", drone_with(&nested_loops(4, 40)));
    let host = Host::start(path);
    assert_eq!(host.get("/").status, 502);
}
