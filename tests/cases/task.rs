//! `cyte run --task`: a program that runs once.

use std::time::Duration;

use rustix::process::Signal;

use crate::support::wait::{LONG, within};
use crate::support::{Cyte, Temp, guest, project, wat};

/// `cyte run GUEST --task -- ARGS` on a state folder of its own.
fn task(temp: &Temp, name: &str, args: &[&str]) -> Cyte {
    Cyte::new(["run"]).arg(guest(name)).arg("--state").arg(temp.join("s")).args(["--task", "--"]).args(args)
}

#[test]
fn input_goes_in_and_output_comes_out() {
    let temp = Temp::new();
    let ran = task(&temp, "wc", &[]).stdin("one two\nthree\n").ok();
    assert_eq!(ran.stdout, "2 3 14\n");
    assert_eq!(ran.stderr, "", "a task's terminal is the task's");
    let much = "word\n".repeat(400_000);
    assert_eq!(task(&temp, "wc", &[]).stdin(&much).ok().stdout, "400000 400000 2000000\n");
}

#[test]
fn arguments_are_the_tasks_and_the_environment_is_not_the_hosts() {
    let temp = Temp::new();
    let ran = task(&temp, "odd-task", &["args", "--count", "3", "a b", ""]).ok();
    assert_eq!(ran.stdout, "args|--count|3|a b|\n");
    let ran = task(&temp, "odd-task", &["env"]).env("MY_TOKEN", "sesame").ok();
    assert!(!ran.stdout.contains("MY_TOKEN") && !ran.stdout.contains("HOME"), "{}", ran.stdout);
}

#[test]
fn an_exit_status_passes_through() {
    let temp = Temp::new();
    task(&temp, "exit-3", &[]).run().expect(3);
    task(&temp, "odd-task", &["exit", "0"]).run().expect(0);
    task(&temp, "odd-task", &["exit", "77"]).run().expect(77);
    task(&temp, "odd-task", &["fail"]).run().expect(1);
}

#[test]
fn a_panic_is_an_error_with_the_panics_words() {
    let temp = Temp::new();
    let text = task(&temp, "odd-task", &["panic"]).run().expect(1).stderr;
    assert!(text.contains("task panic: boom") && text.contains("error[E402]"), "{text}");
}

#[test]
fn a_time_limit_is_status_124() {
    let temp = Temp::new();
    for what in ["spin", "sleep"] {
        let text = Cyte::new(["run"])
            .arg(guest("odd-task"))
            .arg("--state")
            .arg(temp.join("s"))
            .args(["--task", "--timeout", "300ms", "--", what])
            .run()
            .refused(124, "E401");
        assert!(text.contains("--timeout"), "{text}");
    }
    // The gene's own limit does the same.
    let folder = project(
        r#"
[organism]
name = "late"
[gene.late]
source = "{odd-task}"
limits = { wall = "300ms" }
"#,
    );
    let run = Cyte::new(["run"]).arg(folder.path()).arg("--state").arg(temp.join("t"));
    run.clone().args(["--task", "--", "sleep"]).run().refused(124, "E401");
    run.args(["--task", "--", "args"]).ok();
}

#[test]
fn a_signal_ends_a_task() {
    let temp = Temp::new();
    for what in ["spin", "sleep"] {
        let mut running = Cyte::new(["run"])
            .arg(guest("odd-task"))
            .arg("--state")
            .arg(temp.join(what))
            .args(["-v", "--task", "--", what])
            .spawn();
        let ready = running.err.wait(LONG, |text| text.contains("gene ").then_some(()));
        assert!(ready.is_some(), "{}", running.err.text());
        // From outside nobody sees whether the handler is in place already; a signal that comes
        // before it ends the process the plain way, which is as good.
        // Where the tests themselves run with the signal ignored, such a one is lost: then again.
        within(LONG, "the task ends", || {
            running.signal(Signal::INT);
            (!running.is_alive()).then_some(())
        });
        let ran = running.wait(Duration::from_secs(30));
        assert!(ran.code() == 130 || ran.status.code().is_none(), "{what}: {} {}", ran.status, ran.stderr);
    }
}

#[test]
fn one_of_several_tasks_is_named() {
    let folder = project(
        r#"
[organism]
name = "tools"
[gene.count]
source = "{wc}"
[gene.three]
source = "{exit-3}"
[gene.web]
source = "{echo}"
"#,
    );
    let temp = Temp::new();
    let run = |args: &[&str]| {
        Cyte::new(["run"]).arg(folder.path()).arg("--state").arg(temp.join("s")).args(args).stdin("x\n").run()
    };
    let text = run(&["--task"]).expect(2).stderr;
    assert!(text.contains("count") && text.contains("three") && !text.contains("--task=web"), "{text}");
    assert_eq!(run(&["--task=count"]).expect(0).stdout, "1 1 2\n");
    run(&["--task=three"]).expect(3);
    run(&["--task=web"]).refused(1, "E402");
    run(&["--task=none"]).refused(1, "E402");
}

#[test]
fn a_drone_is_no_task_and_says_so() {
    let temp = Temp::new();
    let text = task(&temp, "echo", &[]).run().refused(1, "E402");
    assert!(text.contains("wasi:cli/run"), "{text}");
}

#[test]
fn a_module_of_preview_1_is_adapted() {
    let text = include_str!("../guests/p1.wat");
    let temp = Temp::new();
    let file = temp.write("p1.wasm", wat(text));
    let ran = Cyte::new(["run"]).arg(&file).arg("--state").arg(temp.join("s")).arg("--task").ok();
    assert_eq!(ran.stdout, "hello from preview 1\n");
    let seen = Cyte::new(["inspect"]).arg(&file).json();
    assert_eq!(seen["role"], "task");
}

#[test]
fn a_task_is_not_started_unasked_and_one_is_told_how() {
    let temp = Temp::new();
    let running = Cyte::new(["run"])
        .arg(guest("wc"))
        .args(["--listen", "127.0.0.1:0", "--state"])
        .arg(temp.join("s"))
        .spawn();
    let said = running.err.wait(LONG, |text| text.contains("cyte run PATH --task=wc").then_some(()));
    assert!(said.is_some(), "{}", running.err.text());
}
