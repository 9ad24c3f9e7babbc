//! What one host has no room for others take: requests of genes that are counted over all hosts, and
//! pieces that their owner cannot start. What is a host's own never leaves it, and nothing is done twice.

use std::collections::BTreeMap;
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Connection, Response, Village, until};

/// Two genes that keep a cell as long as they are told to, and say how many messages it has had. One
/// may leave its host, one may not.
const SHOP: &str = r#"
[organism]
name = "shop"
[gene.far]
source = "{p3-concurrency}"
route = "/far"
reuse = 1000
concurrency = 1
express = { scope = "network" }
limits = { wait = "8s", wall = "120s" }
[gene.near]
source = "{p3-concurrency}"
route = "/near"
reuse = 1000
concurrency = 1
limits = { wait = "8s", wall = "120s" }
[gene.echo]
source = "{p3-echo}"
route = "/..."
express = { scope = "network" }
limits = { wait = "8s", body = "1MiB" }
"#;

/// Beyond any wait here, on a busy machine too.
const PATIENT: Duration = Duration::from_secs(100);

fn start() -> Village {
    let village = Village::start(SHOP, 3, &["--cells", "2"]);
    village.all_see_each_other();
    village
}

fn overflow(village: &Village, number: usize, key: &str) -> u64 {
    village.row(number)["overflow"][key].as_u64().unwrap_or_else(|| panic!("no count {key}"))
}

/// Both cells of the first host hold a message of `gene` until these connections are dropped.
fn fill(village: &Village, gene: &str) -> Vec<Connection> {
    let busy = || {
        let ps = village.ask_host(1, &["ps"]);
        let genes = ps["genes"].as_array().unwrap().clone();
        genes.into_iter().find(|one| one["gene"] == gene).unwrap()["busy"].as_u64().unwrap()
    };
    (1..=2)
        .map(|count| {
            let mut connection = Connection::open(village.address(1));
            connection.send(format!("GET /{gene}?ms=110000 HTTP/1.1\r\nhost: x\r\n\r\n"));
            until("a cell is held", || (busy() == count).then_some(()));
            connection
        })
        .collect()
}

/// `count` requests to the first host at once.
fn ask(village: &Village, count: usize, path: &'static str) -> Vec<JoinHandle<Response>> {
    let address = village.address(1);
    let one = |_| {
        std::thread::spawn(move || {
            Connection::open(address).deadline(PATIENT).request("GET", path, &[("host", "x")], b"")
        })
    };
    (0..count).map(one).collect()
}

fn join(asked: Vec<JoinHandle<Response>>) -> Vec<Response> {
    asked.into_iter().map(|one| one.join().unwrap()).collect()
}

/// What the gene that tells it was asked.
fn head(village: &Village) -> String {
    let fields = [("host", "shop.example"), ("x-mine", "yes")];
    let mut connection = Connection::open(village.address(1)).deadline(PATIENT);
    let answer = connection.request("PUT", "/head?a=b", &fields, b"");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text()
}

/// How often each number was said by which a cell counts its messages.
fn numbers(answers: &[Response]) -> BTreeMap<u64, usize> {
    let mut numbers = BTreeMap::new();
    for answer in answers {
        let text = answer.text();
        let number = text.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        *numbers.entry(number.unwrap_or_else(|| panic!("{answer:?}"))).or_default() += 1;
    }
    numbers
}

/// Messages that cells had and that nobody was answered: between one and the highest number of a cell
/// every number was said as often as the next.
fn gaps(numbers: &BTreeMap<u64, usize>) -> usize {
    let highest = numbers.keys().max().copied().unwrap_or(0);
    let said = |number: u64| numbers.get(&number).copied().unwrap_or(0);
    let mut after = 0;
    (1..=highest)
        .rev()
        .map(|number| {
            let gap = after.max(said(number)) - said(number);
            after = after.max(said(number));
            gap
        })
        .sum()
}

/// While both of its cells are taken, other hosts answer for the first: every request, each once.
#[test]
fn what_one_host_has_no_room_for_others_answer() {
    let village = start();
    let here = head(&village);
    assert!(here.contains("x-mine: yes"), "{here}");
    let held = fill(&village, "far");
    let answers = join(ask(&village, 8, "/far?ms=50"));
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    assert_eq!(gaps(&numbers(&answers)), 0, "{answers:?}");
    until("the counts say so", || (overflow(&village, 1, "answered") == 8).then_some(()));
    assert_eq!((overflow(&village, 1, "sent"), overflow(&village, 1, "refused")), (8, 0));
    until("so do the others'", || {
        let received: u64 = [2, 3].map(|number| overflow(&village, number, "received")).iter().sum();
        (received == 8).then_some(())
    });
    assert_eq!(overflow(&village, 1, "received"), 0);

    // Bodies go and come whole, with what belongs to them; long ones stay, and are refused here.
    let body: Vec<u8> = (0..60_000_u32).map(|at| at as u8).collect();
    let post = |body: &[u8]| {
        let mut connection = Connection::open(village.address(1)).deadline(PATIENT);
        connection.request("POST", "/whole", &[("host", "x")], body)
    };
    let answer = post(&body);
    assert_eq!((answer.status, answer.body == body), (200, true));
    assert_eq!(head(&village), here, "the gene is asked the same there");
    let long = post(&vec![1; 70_000]);
    assert_eq!((long.status, long.header("retry-after")), (503, Some("1")), "{long:?}");
    drop(held);
    village.stop();
}

/// So do those of a gene of which no host keeps cells ahead.
#[test]
fn requests_of_a_remote_gene_are_answered_elsewhere_too() {
    let afar = SHOP.replacen("scope = \"network\"", "scope = \"remote\"", 1);
    let village = Village::start(&afar, 2, &["--cells", "2"]);
    village.all_see_each_other();
    let held = fill(&village, "far");
    let answers = join(ask(&village, 4, "/far?ms=50"));
    assert!(answers.iter().all(|answer| answer.status == 200), "{answers:?}");
    until("the counts say so", || (overflow(&village, 1, "answered") == 4).then_some(()));
    drop(held);
    village.stop();
}

/// A gene of one host stays there, whatever room others have.
#[test]
fn what_is_a_hosts_own_never_leaves_it() {
    let village = start();
    let held = fill(&village, "near");
    for answer in join(ask(&village, 4, "/near?ms=1")) {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    }
    for number in 1..=3 {
        let row = village.row(number);
        let counts = row["overflow"].as_object().unwrap();
        assert!(counts.values().all(|count| count == 0), "{row}");
    }
    // Neither where the operator narrows what might leave, from some moment on.
    let wish = village.state.join("wish.toml");
    std::fs::write(&wish, "[gene.far]\ncount = \"0..\"\nscope = \"local\"\n").unwrap();
    village.ask_host(1, &["apply", wish.to_str().unwrap()]);
    let one = || join(ask(&village, 1, "/far?ms=1")).remove(0).status;
    until("it stays", || (one() == 503).then_some(()));
    let sent = until("the counts stand still", || {
        let sent = overflow(&village, 1, "sent");
        std::thread::sleep(Duration::from_millis(500));
        (overflow(&village, 1, "sent") == sent).then_some(sent)
    });
    let answers = join(ask(&village, 2, "/far?ms=1"));
    assert!(answers.iter().all(|answer| answer.status == 503), "{answers:?}");
    std::thread::sleep(Duration::from_millis(500));
    assert_eq!(overflow(&village, 1, "sent"), sent);
    drop(held);
    village.stop();
}

/// Parted, a host refuses what it has no room for and others begin nothing of it. What was there when
/// the network broke was run once, and who asked is told that nobody knows. Afterwards all is as before.
#[test]
fn a_partition_loses_and_doubles_no_request() {
    let village = start();
    let held = fill(&village, "far");
    let away = ask(&village, 4, "/far?ms=15000");
    until("they are away", || (overflow(&village, 1, "sent") == 4).then_some(()));
    let received = || -> u64 { [2, 3].map(|number| overflow(&village, number, "received")).iter().sum() };
    until("they are there", || (received() == 4).then_some(()));
    village.ask(&["host", "part", "1/2,3"]);
    for answer in join(away) {
        assert_eq!(answer.status, 504, "{answer:?}");
        assert!(answer.text().contains("host-lost"), "{answer:?}");
    }
    for answer in join(ask(&village, 3, "/far?ms=1")) {
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("1")), "{answer:?}");
    }
    assert_eq!(received(), 4);
    village.ask(&["host", "heal"]);
    until("all see each other again", || {
        let row = village.row(1);
        let sees = row["sees"].as_array()?;
        sees.iter().all(|member| member["health"] == "alive").then_some(())
    });
    // The first may come while nobody is known to have room again.
    let mut answers = Vec::new();
    until("others answer again", || {
        let some = join(ask(&village, 4, "/far?ms=1"));
        let all = some.iter().all(|answer| answer.status == 200);
        answers.extend(some.into_iter().filter(|answer| answer.status == 200));
        all.then_some(())
    });
    assert!(gaps(&numbers(&answers)) <= 4, "{answers:?}");
    until("each was begun once", || (received() == 4 + answers.len() as u64).then_some(()));
    drop(held);
    village.stop();
}

/// A piece that its owner cannot start is handed on: it lives elsewhere, and the owner says why.
#[test]
fn what_a_host_cannot_start_lives_elsewhere() {
    const PIECES: &str = r#"
[organism]
name = "pieces"
[gene.back]
source = "{state}"
route = "/..."
express = { min = 4, scope = "network" }
"#;
    let village = Village::start(PIECES, 3, &[]);
    village.has_copies(4);
    let copies = |number: usize| village.row(number)["copies"].as_u64().unwrap_or(0);
    let owner = (1..=3).find(|number| copies(*number) > 0).unwrap();
    let wish = village.state.join("wish.toml");
    std::fs::write(
        &wish,
        "[gene.back]\ncount = \"4..\"\nscope = \"network\"\nconstraints = [\"os=nowhere\"]\n",
    )
    .unwrap();
    village.ask_host(owner, &["apply", wish.to_str().unwrap()]);
    until("it answers for none", || (copies(owner) == 0).then_some(()));
    village.has_copies(4);
    let others = || -> u64 {
        let cells = |number: usize| village.row(number)["cells"].as_u64().unwrap_or(0);
        (1..=3).filter(|number| *number != owner).map(cells).sum()
    };
    until("they live elsewhere", || (others() >= 4).then_some(()));
    let told: Vec<Value> = village.events(owner, "handed-on");
    assert!(told[0]["reason"].as_str().unwrap().contains("os=nowhere"), "{told:?}");
    let why = village.ask_host(owner, &["why", "back"]);
    let given_up = &why["genes"][0]["given_up"];
    assert!(given_up[0]["reason"].as_str().unwrap().contains("os=nowhere"), "{why}");
    village.stop();
}
