//! Guests that fill the folder they may write to.

use super::zoo::{self, Zoo};
use crate::support::project;

/// A gene with so much room, and another one beside it.
fn host(limits: &str) -> Zoo {
    let files = "files = [{ from = \"rw\", to = \"/rw\", write = true }]";
    let patient = "cpu = \"60s\", wall = \"60s\"";
    let more = format!("{files}\nlimits = {{ {limits}, {patient} }}");
    let other = format!("{files}\nlimits = {{ {patient} }}");
    zoo::of(project(&zoo::toml(&[("fill", &more), ("fill as other", &other), ("spin", "")])))
}

/// How often a step came through, and the kind of error that stopped it.
#[track_caller]
fn stopped(host: &Zoo, path: &str) -> (u32, String) {
    let answer = host.ask("fill", path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    let text = answer.text();
    let (count, why) = text.trim().split_once(' ').unwrap_or_else(|| panic!("{path}: {text}"));
    (count.parse().unwrap(), why.to_owned())
}

/// Bytes below a folder of the state folder.
fn held(host: &Zoo, gene: &str) -> u64 {
    let folder = host.state().join("files").join(gene).join("rw");
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

fn refused(host: &Zoo) -> u64 {
    let rows = host.json(["limits"])["limits"].as_array().unwrap().clone();
    rows.iter().find(|row| row["name"] == "writable-files").unwrap()["count"].as_u64().unwrap()
}

#[test]
fn a_guest_fills_its_folder_and_nothing_else() {
    let host = host("files = \"2MiB\"");
    assert_eq!(refused(&host), 0);
    // What a failed stream is called is the guest's library's to say.
    let (full, streamed) = (&["StorageFull", "QuotaExceeded"][..], &["StorageFull", "Uncategorized"][..]);
    for (path, fits, known) in [("/bytes", 8, streamed), ("/hole", 2, full), ("/append", 8, streamed)] {
        let (count, why) = stopped(&host, path);
        assert!(known.contains(&&*why), "{path}: {why}");
        assert_eq!(count, fits, "{path}");
        assert!(held(&host, "fill") <= 2 << 20, "{path}: {}", held(&host, "fill"));
        // What is removed makes room again.
        assert_eq!(host.ask("fill", "/clear").text(), "cleared\n");
        assert_eq!(host.ask("fill", "/again?n=1").text(), "1 times\n", "{path}");
        assert_eq!(host.ask("fill", "/clear").text(), "cleared\n");
    }
    assert!(refused(&host) >= 3);
    // Room is for one gene: another has its own, and the host serves on.
    assert_eq!(host.ask("other", "/again?n=20").text(), "20 times\n");
    assert_eq!(host.ask("spin", "/").text(), "healthy\n");
}

#[test]
fn a_guest_makes_so_many_files_and_no_more() {
    for path in ["/files", "/folders", "/links"] {
        let host = host("file-count = 20");
        let (count, why) = stopped(&host, path);
        assert!(["StorageFull", "QuotaExceeded"].contains(&&*why), "{path}: {why}");
        assert_eq!(count, if path == "/links" { 19 } else { 20 }, "{path}");
        assert_eq!(std::fs::read_dir(host.state().join("files/fill/rw")).unwrap().count(), 20, "{path}");
        assert_eq!(host.ask("fill", "/").text(), "healthy\n");
    }
}

/// What is written over counts once.
#[test]
fn a_file_may_be_written_again_and_again() {
    let host = host("files = \"2MiB\", file-count = 20");
    assert_eq!(host.ask("fill", "/again?n=200").text(), "200 times\n", "a hundred times the room there is");
    assert_eq!((held(&host, "fill"), refused(&host)), (256 << 10, 0));
}
