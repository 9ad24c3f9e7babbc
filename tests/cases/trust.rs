//! Whom a host trusts, and what it refuses from then on.

use std::path::Path;
use std::time::Duration;

use crate::cases::dna::Desk;
use crate::support::wait::within;
use crate::support::{Cyte, Host, Ran, guest};

/// A desk whose gene answers, with a key `owner`.
fn desk() -> Desk {
    let desk = Desk::new();
    std::fs::copy(guest("state"), desk.path("shop/front.wasm")).unwrap();
    desk.key("owner");
    desk
}

/// Tries to run a bundle that should be refused, on the desk's own state folder `host`.
fn refused(desk: &Desk, bundle: &str, args: &[&str]) -> Ran {
    run(desk, bundle, args).run()
}

fn run(desk: &Desk, bundle: &str, args: &[&str]) -> Cyte {
    Cyte::new(["run", bundle, "--listen", "127.0.0.1:0", "--state", "host"]).args(args).within(desk.0.path())
}

/// Runs a bundle on the desk's own state folder `host`, and says which version it serves.
#[track_caller]
fn serves(desk: &Desk, bundle: &str, args: &[&str]) -> u64 {
    let mut start = Host::of(desk.path(bundle)).state(desk.path("host"));
    for arg in args {
        start = start.arg(arg);
    }
    let host = start.start();
    host.says("/", "1\n");
    let version = host.listening()["version"].as_u64().unwrap();
    host.stop().expect(0);
    version
}

#[test]
fn first_trust_needs_a_word() {
    let desk = desk();
    let key = desk.key("other");
    desk.germline("both", &["owner", "other"], 1);
    desk.pack("x.dna", &["--germline", "both.germline", "--key", "other.key"]);
    let text = refused(&desk, "x.dna", &[]).refused(4, "E202");
    assert!(text.contains(&key) && text.contains("--germline FILE") && text.contains("--yes"), "{text}");
    // The answer of nobody is not kept.
    refused(&desk, "x.dna", &[]).refused(4, "E202");
    assert_eq!(serves(&desk, "x.dna", &["--yes"]), 1);
    // The answer of somebody is.
    assert_eq!(serves(&desk, "x.dna", &[]), 1);
}

#[test]
fn a_germline_file_is_a_word_too() {
    let desk = desk();
    desk.key("stranger");
    desk.germline("ours", &["owner"], 1);
    desk.germline("theirs", &["stranger"], 1);
    desk.pack("x.dna", &["--key", "owner.key"]);
    let theirs = desk.path("theirs.germline");
    refused(&desk, "x.dna", &["--germline", theirs.to_str().unwrap()]).refused(4, "E201");
    let ours = desk.path("ours.germline");
    assert_eq!(serves(&desk, "x.dna", &["--germline", ours.to_str().unwrap()]), 1);
    // Trust is not changed from the command line.
    let text = refused(&desk, "x.dna", &["--germline", theirs.to_str().unwrap()]).refused(4, "E201");
    assert!(text.contains("another state folder"), "{text}");
}

#[test]
fn what_the_germline_did_not_sign_never_runs() {
    let desk = desk();
    desk.key("stranger");
    desk.pack("x.dna", &["--key", "owner.key"]);
    assert_eq!(serves(&desk, "x.dna", &["--yes"]), 1);
    desk.change("0.2.0");
    desk.germline("theirs", &["stranger"], 1);
    let theirs = ["--germline", "theirs.germline", "--key", "stranger.key"];
    desk.pack("forged.dna", &[&["--after", "x.dna"][..], &theirs].concat());
    for args in [&[][..], &["--yes"]] {
        refused(&desk, "forged.dna", args).refused(4, "E201");
    }
    // Development is a germline too, and not this one.
    let text = refused(&desk, "shop", &[]).refused(4, "E201");
    assert!(text.contains("development key"), "{text}");
    assert_eq!(serves(&desk, "x.dna", &[]), 1);
}

#[test]
fn an_older_version_is_refused() {
    let desk = desk();
    desk.pack("one.dna", &["--key", "owner.key"]);
    desk.change("0.2.0");
    desk.pack("two.dna", &["--after", "one.dna", "--key", "owner.key"]);
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    assert_eq!(serves(&desk, "two.dna", &[]), 2);
    let text = refused(&desk, "one.dna", &[]).refused(4, "E203");
    assert!(text.contains('1') && text.contains('2'), "{text}");
    assert_eq!(serves(&desk, "two.dna", &[]), 2);
    // Going back on purpose is a new version with the old content.
    desk.change("0.1.0");
    desk.pack("three.dna", &["--after", "two.dna", "--key", "owner.key"]);
    assert_eq!(serves(&desk, "three.dna", &[]), 3);
}

#[test]
fn the_same_version_with_other_content_is_refused() {
    let desk = desk();
    desk.pack("one.dna", &["--key", "owner.key"]);
    desk.change("0.2.0");
    desk.pack("other.dna", &["--key", "owner.key"]);
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    refused(&desk, "other.dna", &[]).refused(4, "E203");
}

#[test]
fn a_stranger_to_the_lineage_is_refused() {
    let desk = desk();
    desk.pack("one.dna", &["--key", "owner.key"]);
    desk.change("0.2.0");
    desk.pack("fork.dna", &["--key", "owner.key"]);
    desk.change("0.3.0");
    desk.pack("forked.dna", &["--after", "fork.dna", "--key", "owner.key"]);
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    refused(&desk, "forked.dna", &[]).refused(4, "E205");
}

#[test]
fn what_expired_is_not_accepted_and_what_runs_may_go_on() {
    let desk = desk();
    desk.pack("over.dna", &["--expires", "1ms", "--key", "owner.key"]);
    let text = refused(&desk, "over.dna", &["--yes"]).refused(4, "E204");
    assert!(text.contains("over.dna"), "{text}");
    desk.dna(&["verify", "over.dna"]).run().refused(4, "E204");
    // Time enough to be accepted once, on a machine that is busy.
    desk.pack("one.dna", &["--expires", "20s", "--key", "owner.key"]);
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    desk.change("0.2.0");
    desk.pack("two.dna", &["--after", "one.dna", "--expires", "30d", "--key", "owner.key"]);
    within(Duration::from_secs(60), "it expires", || {
        (desk.dna(&["verify", "one.dna"]).run().code() == 4).then_some(())
    });
    assert_eq!(serves(&desk, "one.dna", &[]), 1, "what is in force is grown again after a reboot");
    assert_eq!(serves(&desk, "two.dna", &[]), 2);
}

#[test]
fn a_clock_that_lost_its_time_does_not_bring_old_dna_back() {
    let desk = desk();
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        // A clock that is true says itself that it is too early.
        desk.pack("one.dna", &["--not-before", "1h", "--key", "owner.key"]);
        refused(&desk, "one.dna", &["--yes"]).refused(4, "E204");
        return;
    }
    // Signed times are a floor: after this one it is at least an hour later than the clock says.
    desk.pack("one.dna", &["--not-before", "1h", "--key", "owner.key"]);
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    desk.change("0.2.0");
    desk.pack("old.dna", &["--after", "one.dna", "--expires", "30m", "--key", "owner.key"]);
    refused(&desk, "old.dna", &[]).refused(4, "E204");
    desk.pack("two.dna", &["--after", "one.dna", "--expires", "2h", "--key", "owner.key"]);
    assert_eq!(serves(&desk, "two.dna", &[]), 2);
}

#[test]
fn a_rotation_is_signed_by_old_and_new() {
    let desk = desk();
    desk.key("next");
    desk.germline("next", &["next"], 1);
    desk.pack("one.dna", &["--key", "owner.key"]);
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    desk.change("0.2.0");
    let rotate = ["--after", "one.dna", "--germline", "next.germline"];
    desk.pack("grab.dna", &[&rotate[..], &["--key", "next.key"]].concat());
    refused(&desk, "grab.dna", &[]).refused(4, "E201");
    desk.pack("half.dna", &[&rotate[..], &["--key", "owner.key"]].concat());
    refused(&desk, "half.dna", &[]).refused(4, "E201");
    desk.pack("two.dna", &[&rotate[..], &["--key", "owner.key", "--key", "next.key"]].concat());
    assert_eq!(serves(&desk, "two.dna", &[]), 2);
    // From then on the new key is enough, and the old one is nothing.
    desk.change("0.3.0");
    desk.pack("three.dna", &["--after", "two.dna", "--key", "next.key"]);
    desk.pack("old.dna", &["--after", "two.dna", "--key", "owner.key"]);
    refused(&desk, "old.dna", &[]).refused(4, "E201");
    assert_eq!(serves(&desk, "three.dna", &[]), 3);
}

#[test]
fn a_revoked_key_signs_nothing_more() {
    let desk = desk();
    let lost = desk.key("lost");
    desk.germline("shop", &["owner", "lost"], 1);
    desk.pack("one.dna", &["--germline", "shop.germline", "--key", "lost.key"]);
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    desk.change("0.2.0");
    desk.pack("two.dna", &["--after", "one.dna", "--revoke-key", &lost, "--key", "owner.key"]);
    assert_eq!(serves(&desk, "two.dna", &[]), 2);
    desk.change("0.3.0");
    let ran =
        desk.dna(&["pack", "shop", "--out", "bad.dna", "--after", "two.dna", "--key", "lost.key"]).run();
    if ran.code() == 0 {
        refused(&desk, "bad.dna", &[]).expect(4);
    }
    desk.pack("three.dna", &["--after", "two.dna", "--key", "owner.key"]);
    assert_eq!(serves(&desk, "three.dna", &[]), 3);
}

#[test]
fn a_revoked_gene_never_runs_again() {
    let desk = desk();
    desk.pack("one.dna", &["--key", "owner.key"]);
    let gene =
        desk.dna(&["inspect", "one.dna"]).json()["manifest"]["genes"][0]["component"]["sha256"].clone();
    let gene = gene.as_str().unwrap().to_owned();
    assert_eq!(serves(&desk, "one.dna", &["--yes"]), 1);
    desk.change("0.2.0");
    let pack = [
        "pack",
        "shop",
        "--out",
        "two.dna",
        "--after",
        "one.dna",
        "--key",
        "owner.key",
        "--revoke-gene",
        &gene,
    ];
    let text = desk.dna(&pack).run();
    // A bundle cannot take back what it brings.
    assert_ne!(text.code(), 0, "{}", text.stdout);
    assert!(text.stderr.contains("this manifest revokes it"), "{}", text.stderr);
    // With another gene it can, and the old one stays out for good.
    let old = desk.read("shop/front.wasm");
    std::fs::copy(guest("panic"), desk.path("shop/front.wasm")).unwrap();
    desk.dna(&pack).ok();
    let host = Host::of(desk.path("two.dna")).state(desk.path("host")).start();
    host.says("/", "healthy\n");
    host.stop().expect(0);
    std::fs::write(desk.path("shop/front.wasm"), old).unwrap();
    let ran =
        desk.dna(&["pack", "shop", "--out", "three.dna", "--after", "two.dna", "--key", "owner.key"]).run();
    if ran.code() == 0 {
        refused(&desk, "three.dna", &[]).refused(4, "E206");
    }
}

#[test]
fn a_refused_bundle_leaves_nothing_behind() {
    let desk = desk();
    desk.pack("x.dna", &["--key", "owner.key"]);
    let mut bytes = desk.read("x.dna");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    desk.0.write("bad.dna", &bytes);
    refused(&desk, "bad.dna", &["--yes"]).expect(4);
    desk.0.write("bad.dna", &bytes[..last]);
    refused(&desk, "bad.dna", &["--yes"]).expect(1);
    let kept: Vec<_> = std::fs::read_dir(desk.path("host/dna")).unwrap().collect();
    assert!(kept.is_empty(), "{kept:?}");
    assert!(!desk.path("host/germline").exists());
    // And nobody is trusted because of it.
    refused(&desk, "x.dna", &[]).refused(4, "E202");
}

#[test]
fn the_last_five_bundles_are_kept() {
    let desk = desk();
    desk.pack("1.dna", &["--key", "owner.key"]);
    assert_eq!(serves(&desk, "1.dna", &["--yes"]), 1);
    for version in 2..=7_u64 {
        desk.change(&format!("0.{version}.0"));
        let after = format!("{}.dna", version - 1);
        desk.pack(&format!("{version}.dna"), &["--after", &after, "--key", "owner.key"]);
        assert_eq!(serves(&desk, &format!("{version}.dna"), &[]), version);
    }
    let mut kept: Vec<String> = std::fs::read_dir(desk.path("host/dna"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    kept.sort();
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert!(kept[4].contains('7'), "{kept:?}");
}
