//! A disk that is really full: a small file system in memory, in a name space of its own.
//!
//! Where a user may not make one (some containers), the test says so and ends; the same is tested
//! with a disk that fails on demand in the crate's own tests.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use cyte_organism::phenotype::{Epoch, Event, HostId, Record};
use cyte_organism::wish::{Count, Origin, Wish};
use cyte_store::{Expect, GeneStore, Head, PhenotypeStore, Retention, StoreError};

const CHILD: &str = "CYTE_FULL_CHILD";

#[test]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let folder = PathBuf::from(folder);
    let path = folder.join("head.redb");
    let head = Arc::new(Head::open(&path).unwrap());
    let genes = GeneStore::open(Arc::clone(&head)).unwrap();
    let phenotype = PhenotypeStore::open(&folder.join("phenotype.redb"), Retention::default()).unwrap().store;
    let put = |n: u32| {
        let wish = Wish { count: Count::exact(n), ..Wish::new(format!("g{}", n % 3_000).parse().unwrap()) };
        genes.put(wish, Origin::Operator, Expect::Anything, 0, None)
    };
    let append = |number: u64| {
        let event = Event::Note { text: "x".repeat(400) };
        let (host, epoch, at_ms) = (HostId(1), Epoch(1), number);
        phenotype.append(Record { host, epoch, number, at_ms, gene: None, cell: None, event }).unwrap();
    };
    let mut number = 0;
    let mut fill = |events: u64| -> Result<(), StoreError> {
        for _ in 0..events {
            number += 1;
            append(number);
        }
        phenotype.commit(number).map(drop)
    };
    put(1).unwrap();
    fill(1).unwrap();
    std::fs::write(folder.join("ballast"), vec![0; 64 << 10]).unwrap();
    // Fill the rest to the last byte.
    let hog = folder.join("hog");
    let mut size = 4 << 20;
    while size > 512 {
        let mut bytes = std::fs::read(&hog).unwrap_or_default();
        bytes.resize(bytes.len() + size, 7);
        if std::fs::write(&hog, &bytes).is_err() {
            size /= 2;
        }
    }
    let mut last = 1;
    let refused = loop {
        match put(last + 1) {
            Ok(_) => last += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, StoreError::Full(_)), "{refused:?}");
    let events = loop {
        if let Err(error) = fill(200) {
            break error;
        }
    };
    assert!(matches!(events, StoreError::Full(_)), "{events:?}");
    // Serving goes on: what is wanted and what trusts are read.
    for n in 0..20 {
        assert!(genes.get(&"g1".parse().unwrap(), Origin::Operator).is_some());
        assert!(put(last + 1 + n).is_err() || n > 0);
    }
    head.known().unwrap();
    assert_eq!(head.secrets().unwrap().len(), 0);
    std::fs::remove_file(hog).unwrap();
    put(9_000_000 % 1_000_000).unwrap();
    let revision = put(77).unwrap().unwrap().revision;
    fill(1).unwrap();
    assert_eq!(phenotype.backlog().0, 0);
    let (view, book) = (phenotype.view(Clone::clone), genes.book());
    assert_eq!(book.revision, revision);
    drop((genes, phenotype, head));
    let genes = GeneStore::open(Arc::new(Head::open(&path).unwrap())).unwrap();
    assert_eq!(*genes.book(), *book);
    let opened = PhenotypeStore::open(&folder.join("phenotype.redb"), Retention::default()).unwrap();
    assert_eq!(opened.set_aside, None);
    opened.store.view(|again| assert_eq!(*again, view));
    println!("the disk was full after {last} definitions");
}

#[test]
fn a_disk_that_is_really_full_refuses_writes_and_recovers_without_a_restart() {
    let folder = std::env::temp_dir().join(format!("cyte-store-full-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mount = ["-rm", "mount", "-t", "tmpfs", "-o", "size=4m", "cyte"];
    let can = Command::new("unshare").args(mount).arg(&folder).output();
    if !can.is_ok_and(|output| output.status.success()) {
        println!("not tested: no file system can be mounted in a name space of one's own here");
        return;
    }
    let script = "mount -t tmpfs -o size=4m cyte \"$1\" && exec \"$2\" --exact full::child --nocapture";
    let done = Command::new("unshare")
        .args(["-rm", "sh", "-c", script, "sh"])
        .arg(&folder)
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, &folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("the disk was full after"), "{said}");
    std::fs::remove_dir(&folder).unwrap();
}
