//! What a cell remembers from one request to the next.

use super::zoo::{self, ONE, ask};

#[test]
fn a_cell_forgets_after_its_uses() {
    let thrice = format!("reuse = 3\n{ONE}");
    let host =
        zoo::host(&[("state as once", "reuse = 1"), ("state as thrice", &thrice), ("state as many", ONE)]);
    let mut connection = host.connect();
    let mut counts = |gene: &str, times: usize| -> Vec<String> {
        (0..times).map(|_| ask(&mut connection, gene, "/").text().trim().to_owned()).collect()
    };
    assert_eq!(counts("once", 4), ["1", "1", "1", "1"]);
    assert_eq!(counts("thrice", 7), ["1", "2", "3", "1", "2", "3", "1"]);
    // A gene on the SDK says 128 itself.
    let many = counts("many", 130);
    assert_eq!((&*many[0], &*many[127], &*many[128], &*many[129]), ("1", "128", "1", "2"));
}

#[test]
fn requests_at_once_never_share_a_cell() {
    let host = zoo::host(&[("state", "reuse = 1000000\nlimits = { wait = \"10s\" }")]);
    let mut connections: Vec<_> = (0..16).map(|_| host.connect()).collect();
    let mut seen = 0;
    for _ in 0..20 {
        for connection in &mut connections {
            connection.send(zoo::get("state", "/"));
        }
        for connection in &mut connections {
            let count: u64 = connection.response().unwrap().text().trim().parse().unwrap();
            assert!(count >= 1);
            seen += 1;
        }
    }
    // Every request was counted by exactly one cell.
    let cells = host.json(["ps"])["cells"].as_array().unwrap().clone();
    let uses: u64 = cells.iter().map(|cell| cell["uses"].as_u64().unwrap()).sum();
    assert_eq!(uses, seen);
}

#[test]
fn a_cell_that_serves_one_request_has_a_successor_in_its_niche() {
    let host = zoo::host(&[("env-probe", "reuse = 1")]);
    let me = |text: &str| {
        let line = text.lines().next().unwrap().to_owned();
        let number =
            |key: &str| line.split(key).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        (number("env-probe#").parse::<u64>().unwrap(), number("generation ").parse::<u64>().unwrap())
    };
    let first = me(&host.get("/me").text());
    let second = me(&host.get("/me").text());
    assert!(second.0 > first.0, "numbers are never given twice: {first:?} {second:?}");
}
