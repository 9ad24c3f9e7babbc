//! A host that is killed in the middle of writing: what was acknowledged is there.
//!
//! The test starts itself again as the child that writes. `CYTE_KILL_ROUNDS` sets how often it is
//! killed.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cyte_organism::lineage::{CellId, Niche};
use cyte_organism::phenotype::{Epoch, Event, HostId, Record, View};
use cyte_organism::wish::{Count, Origin, Wish};
use cyte_store::{Begin, Expect, GeneStore, Head, PhenotypeStore, Retention};

const CHILD: &str = "CYTE_KILL_CHILD";
const RETENTION: Retention = Retention { age_ms: 600_000, bucket_ms: 20, bytes: 8 << 20, waiting: 16_384 };

fn open_genes(folder: &Path) -> Arc<GeneStore> {
    GeneStore::open(Arc::new(Head::open(&folder.join("head.redb")).unwrap())).unwrap()
}

fn open_phenotype(folder: &Path) -> Arc<PhenotypeStore> {
    let opened = PhenotypeStore::open(&folder.join("phenotype.redb"), RETENTION).unwrap();
    assert_eq!(opened.set_aside, None, "a kill is no damage");
    opened.store
}

fn events(epoch: u64, number: u64) -> Record {
    let event = match number % 3 {
        0 => Event::Divided { daughter: CellId(number) },
        1 => Event::Born { role: None, mother: None, generation: 0, niche: Niche(number) },
        _ => Event::Dead { cause: cyte_organism::phenotype::Cause::Trap, uses: number },
    };
    let cell = Some(CellId(number - u64::from(number % 3 == 2)));
    let gene = Some("front".parse().unwrap());
    Record { host: HostId(1), epoch: Epoch(epoch), number, at_ms: number, gene, cell, event }
}

/// The child: writes for ever and says what is acknowledged, until it is killed.
#[test]
fn child() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let folder = PathBuf::from(folder);
    let (genes, phenotype) = (open_genes(&folder), open_phenotype(&folder));
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nready").unwrap();
    let epoch = genes.revision() + 1;
    let before = genes.revision();
    for number in 1u64.. {
        let count = Count::exact(u32::try_from((before + number) % 900_000).unwrap());
        let wish = Wish { count, ..Wish::new(format!("g{}", number % 5).parse().unwrap()) };
        let change = genes.put(wish.clone(), Origin::Operator, Expect::Anything, number, None);
        let change = change.unwrap().unwrap();
        writeln!(out, "gene {} {} {}", wish.gene, change.revision, count.min).unwrap();
        for at in 0..7 {
            phenotype.append(events(epoch, (number - 1) * 7 + at + 1)).unwrap();
        }
        if number % 3 == 0 {
            phenotype.commit(number * 4).unwrap();
            writeln!(out, "events {epoch} {}", number * 7).unwrap();
        }
        out.flush().unwrap();
    }
}

/// What a child acknowledged before it was killed.
#[derive(Default)]
struct Acknowledged {
    genes: BTreeMap<String, (u64, u32)>,
    events: Option<(u64, u64)>,
}

fn run_and_kill(folder: &Path, patience: Duration) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(CHILD, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line == "ready"), "the child must start");
    let killer = std::thread::spawn(move || {
        std::thread::sleep(patience);
        child.kill().unwrap();
        child.wait().unwrap()
    });
    let mut seen = Acknowledged::default();
    for line in lines {
        let words: Vec<&str> = line.split(' ').collect();
        // The last line may be torn, then it counts as not said.
        match words.as_slice() {
            ["gene", gene, revision, n] => {
                if let (Ok(revision), Ok(n)) = (revision.parse(), n.parse()) {
                    seen.genes.insert((*gene).to_owned(), (revision, n));
                }
            }
            ["events", epoch, number] => {
                if let (Ok(epoch), Ok(number)) = (epoch.parse(), number.parse()) {
                    seen.events = Some((epoch, number));
                }
            }
            _ => {}
        }
    }
    assert_eq!(killer.join().unwrap().signal(), Some(9), "the child ended by itself");
    seen
}

#[test]
fn what_was_acknowledged_is_there_after_every_kill() {
    let rounds = std::env::var("CYTE_KILL_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(12);
    let folder = std::env::temp_dir().join(format!("cyte-store-kill-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    let (mut acknowledged, mut slowest) = (0, Duration::ZERO);
    for round in 0..rounds {
        let seen = run_and_kill(&folder, Duration::from_millis(20 + (round * 37) % 120));
        let start = Instant::now();
        let (genes, phenotype) = (open_genes(&folder), open_phenotype(&folder));
        slowest = slowest.max(start.elapsed());
        for (gene, (revision, n)) in &seen.genes {
            let found = genes.get(&gene.parse().unwrap(), Origin::Operator).unwrap();
            // One more may have been written and not been said.
            assert!(found.revision >= *revision, "round {round}: {gene} is older than what was acknowledged");
            assert!(found.revision > *revision || found.wish.count == Count::exact(*n));
        }
        let history = genes.history(None, usize::MAX).unwrap();
        assert!(history.windows(2).all(|pair| pair[0].revision == pair[1].revision + 1), "no gap");
        let again = folded(&phenotype);
        phenotype.view(|view| assert_eq!(*view, again, "round {round}: the view is not the fold"));
        if let Some((epoch, number)) = seen.events {
            let newest = phenotype.events(Begin::Newest(1)).unwrap();
            let newest = newest.last().map(|(_, record)| (record.epoch, record.number)).unwrap();
            assert!(newest >= (Epoch(epoch), number), "round {round}: {newest:?} {epoch} {number}");
        }
        acknowledged += seen.genes.len();
    }
    println!("{rounds} kills, slowest opening after one {slowest:?}, {acknowledged} definitions looked up");
    assert!(acknowledged > 0, "nothing was acknowledged, so nothing was tested");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    std::fs::remove_dir_all(&folder).unwrap();
}

/// The fold over all stored events, from the first on: nothing expires here.
fn folded(store: &PhenotypeStore) -> View {
    let mut view = View::default();
    let mut after = 0;
    loop {
        let page = store.events(Begin::After(after)).unwrap();
        let Some((last, _)) = page.last() else { return view };
        after = *last;
        page.iter().for_each(|(_, record)| assert!(view.fold(record)));
    }
}
