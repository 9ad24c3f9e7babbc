//! `cyte run`: what it takes, what it says, how it ends.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{Cyte, Host, Temp, guest, project, repository, until};

#[test]
fn a_bare_component_is_an_organism_of_one_drone() {
    let host = Host::start(guest("echo"));
    let answer = host.post("/", "hello");
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    let facts = host.listening();
    assert_eq!((&facts["v"], &facts["event"]), (&1.into(), &"listening".into()));
    assert_eq!(facts["genes"][0]["gene"], "echo");
    assert_eq!(facts["genes"][0]["role"], "drone");
    assert_eq!(facts["pid"], host.id());
    assert_eq!(facts["version"], 1);
}

#[test]
fn a_crate_folder_runs_as_it_is() {
    // Its state, and what is built from it, go elsewhere: nothing is left beside the sources.
    let host = Host::start(repository().join("tests/guests/state"));
    host.says("/", "1\n");
}

#[test]
fn several_genes_are_told_apart_by_host_and_longest_path() {
    let temp = project(
        r#"
[organism]
name = "many"
[gene.all]
source = "{state}"
route = "/..."
reuse = 1
[gene.api]
source = "{echo}"
route = "/api/..."
[gene.exact]
source = "{panic}"
route = ["/api/exact", "shop.example/..."]
"#,
    );
    let host = Host::start(temp.path());
    host.says("/", "1\n");
    assert_eq!(host.post("/api", "to echo").text(), "to echo");
    host.says("/apiary", "1\n");
    assert_eq!(host.post("/api/x", "to echo").text(), "to echo");
    host.says("/api/exact", "healthy\n");
    host.says("/api/exact/", "");
    let by_name = |name: &str| host.connect().request("GET", "/any", &[("host", name)], b"").text();
    assert_eq!(by_name("shop.example"), "healthy\n");
    assert_eq!(by_name("shop.example:8080"), "healthy\n");
    assert_eq!(by_name("SHOP.example"), "healthy\n");
    assert_eq!(by_name("other.example"), "1\n");
    let ps = host.json(["ps"]);
    let names: Vec<_> = ps["genes"].as_array().unwrap().iter().map(|gene| gene["gene"].clone()).collect();
    assert_eq!(names, ["all", "api", "exact"]);
}

#[test]
fn a_signal_drains_and_ends_with_status_0() {
    for signal in [Signal::TERM, Signal::INT] {
        let host = Host::guest("echo");
        assert_eq!(host.get("/").status, 200);
        host.signal(signal);
        let ended = host.ended(Duration::from_secs(30)).expect(0);
        assert!(ended.stderr.contains("draining"), "{}", ended.stderr);
    }
}

#[test]
fn a_request_in_flight_ends_before_the_host_does() {
    let host = Host::guest("echo");
    let mut slow = host.connect();
    slow.send("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhello");
    slow.until("hello");
    host.signal(Signal::TERM);
    host.hears("draining");
    // Nobody new gets in, and who is in may finish.
    until("the door is closed", || std::net::TcpStream::connect(host.address()).is_err().then_some(()));
    slow.send("world");
    slow.until("world");
    drop(slow);
    host.ended(Duration::from_secs(30)).expect(0);
}

#[test]
fn a_second_signal_ends_the_drain() {
    let host = Host::guest("never");
    let mut stuck = host.connect();
    stuck.send("GET /never/body HTTP/1.1\r\nhost: x\r\n\r\n");
    stuck.until("200");
    host.signal(Signal::TERM);
    host.hears("draining");
    host.signal(Signal::INT);
    host.ended(Duration::from_secs(5)).refused(130, "E403");
}

#[test]
fn a_port_that_is_taken_is_one_clear_error() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let temp = Temp::new();
    let text = Cyte::new(["run", "--listen", &address, "--state"])
        .arg(temp.join("s"))
        .arg(guest("echo"))
        .run()
        .refused(1, "E304");
    assert!(text.contains(&address) && text.contains("another process listens there"), "{text}");
    assert!(text.contains("help: --listen 127.0.0.1:0"), "{text}");
    // Nothing is held on to: the same folder serves at once.
    Host::of(guest("echo")).state(temp.join("s")).start().says("/", "");
}

#[test]
fn a_state_folder_has_one_host() {
    let host = Host::guest("echo");
    let text = Cyte::new(["run", "--listen", "127.0.0.1:0", "--state"])
        .arg(host.state())
        .arg(guest("echo"))
        .run()
        .refused(1, "E301");
    assert!(text.contains(&format!("process {} holds it", host.id())), "{text}");
    host.says("/", "");
}

#[test]
fn a_host_that_was_killed_leaves_nothing_in_the_way() {
    let temp = Temp::new();
    let first = Host::of(guest("echo")).state(temp.join("s")).start();
    first.says("/", "");
    first.kill();
    let second = Host::of(guest("echo")).state(temp.join("s")).start();
    second.says("/", "");
    assert_eq!(second.listening()["version"], 1, "the same genes are the same DNA");
    assert_eq!(second.json(["ps"])["genes"][0]["gene"], "echo");
}

#[test]
fn a_state_folder_of_a_newer_version_is_left_alone() {
    let temp = Temp::new();
    Host::of(guest("echo")).state(temp.join("s")).start().stop().expect(0);
    temp.write("s/format", "2\n");
    let before = listing(&temp.join("s"));
    let text = run_on(&temp).run().refused(1, "E302");
    assert!(text.contains("format 2"), "{text}");
    assert_eq!(listing(&temp.join("s")), before);
}

#[test]
fn a_folder_of_something_else_is_no_state_folder() {
    let temp = Temp::new();
    temp.write("s/thesis.txt", "three years of work");
    let text = run_on(&temp).run().refused(1, "E303");
    assert!(text.contains("not a state folder"), "{text}");
    assert_eq!(listing(&temp.join("s")), ["thesis.txt"]);
}

#[test]
fn what_is_kept_is_the_users_alone() {
    let host = Host::guest("echo");
    let mode = |path: std::path::PathBuf| {
        std::fs::metadata(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(host.state().to_owned()), 0o700);
    assert_eq!(mode(host.state().join("host.key")), 0o600);
    assert_eq!(mode(host.state().join("lock")), 0o600);
    assert_eq!(mode(host.runtime().join("cyte")), 0o700);
    let lock: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(host.state().join("lock")).unwrap()).unwrap();
    assert_eq!(lock["pid"], host.id());
    let socket = std::path::PathBuf::from(lock["socket"].as_str().unwrap());
    assert!(socket.starts_with(host.runtime()), "{}", socket.display());
    assert_eq!(mode(socket.clone()), 0o600);
    host.stop().expect(0);
    assert!(!socket.exists(), "the socket goes with its host");
}

#[test]
fn the_second_start_compiles_nothing() {
    let temp = Temp::new();
    let start = || Host::of(guest("echo")).state(temp.join("s")).start();
    let first = start();
    assert_eq!(first.listening()["genes"][0]["cached"], false);
    first.stop().expect(0);
    let second = start();
    assert_eq!(second.listening()["genes"][0]["cached"], true);
    second.says("/", "");
}

#[test]
fn compiled_code_that_was_changed_is_compiled_again() {
    let temp = Temp::new();
    let start = || Host::of(guest("echo")).state(temp.join("s")).start();
    start().stop().expect(0);
    let code = files(&temp.join("s/code"));
    assert_eq!(code.len(), 1, "{code:?}");
    let good = std::fs::read(&code[0]).unwrap();
    let mut flipped = good.clone();
    flipped[good.len() / 2] ^= 1;
    for bad in [&flipped[..], &good[..good.len() - 1], b"", &[&good[..], b"x"].concat()] {
        std::fs::write(&code[0], bad).unwrap();
        let host = start();
        assert_eq!(host.listening()["genes"][0]["cached"], false);
        host.says("/", "");
        host.stop().expect(0);
    }
    let host = start();
    assert_eq!(host.listening()["genes"][0]["cached"], true, "the new code was kept");
}

#[test]
fn code_of_another_hosts_key_is_not_taken() {
    let temp = Temp::new();
    let start = |name: &str| Host::of(guest("echo")).state(temp.join(name)).start();
    start("a").stop().expect(0);
    start("b").stop().expect(0);
    let (ours, theirs) = (files(&temp.join("a/code")), files(&temp.join("b/code")));
    std::fs::copy(&theirs[0], &ours[0]).unwrap();
    assert_eq!(start("a").listening()["genes"][0]["cached"], false);
}

#[test]
fn a_changed_gene_is_the_next_version() {
    let temp = Temp::new();
    let folder = project(ONE_ECHO);
    let start = || Host::of(folder.path()).state(temp.join("s")).start();
    assert_eq!(start().listening()["version"], 1);
    assert_eq!(start().listening()["version"], 1, "nothing changed");
    crate::support::project::write(folder.path(), &ONE_ECHO.replace("/...", "/new/..."));
    let host = start();
    assert_eq!(host.listening()["version"], 2);
    assert_eq!(host.get("/").status, 404);
    assert_eq!(host.post("/new/x", "hi").text(), "hi");
}

#[test]
fn wrong_use_is_status_2_and_wrong_paths_are_status_1() {
    let run = |args: &[&str]| Cyte::new(args).run();
    for usage in
        [&["run"][..], &["run", ".", "--listen", "nonsense"], &["ran"], &["run", ".", "--cells", "0"], &[]]
    {
        let ran = run(usage).expect(2);
        assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{usage:?}\n{}", ran.stderr);
    }
    run(&["run", "/nonexistent"]).refused(1, "E002");
    run(&["run", "/nonexistent.wasm"]).refused(1, "E002");
    run(&["run", "/nonexistent.dna"]).refused(1, "E002");
    run(&["ps", "-C", "/nonexistent"]).refused(1, "E002");
    let empty = Temp::new();
    let text = Cyte::new(["run", "."]).within(empty.path()).run().refused(1, "E002");
    assert!(text.contains("cyte new"), "{text}");
    assert_eq!(listing(empty.path()), [""; 0], "nothing was made");
}

#[test]
fn two_genes_on_one_route_are_named_before_anything_starts() {
    let folder = project(
        r#"
[organism]
name = "conflict"
[gene.left]
source = "{echo}"
route = ["/left", "/api/..."]
[gene.right]
source = "{state}"
route = "/api/..."
"#,
    );
    for verb in ["run", "check"] {
        let text = Cyte::new([verb]).arg(folder.path()).run();
        assert_ne!(text.code(), 0);
        for name in ["left", "right", "/api/..."] {
            assert!(text.stderr.contains(name), "{verb} does not name {name}: {}", text.stderr);
        }
    }
}

#[test]
fn a_project_of_loose_components_mounts_each_by_its_name() {
    let temp = Temp::new();
    std::fs::copy(guest("echo"), temp.join("one.wasm")).unwrap();
    std::fs::copy(guest("panic"), temp.join("two.wasm")).unwrap();
    let host = Host::start(temp.path());
    assert_eq!(host.post("/one/x", "hi").text(), "hi");
    host.says("/two/", "healthy\n");
    assert_eq!(host.get("/").status, 404);
}

pub const ONE_ECHO: &str = r#"
[organism]
name = "one"
[gene.echo]
source = "{echo}"
route = "/..."
"#;

fn run_on(temp: &Temp) -> Cyte {
    Cyte::new(["run", "--listen", "127.0.0.1:0", "--state"]).arg(temp.join("s")).arg(guest("echo"))
}

/// The names in a folder, in order.
fn listing(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// The files below a folder.
fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
