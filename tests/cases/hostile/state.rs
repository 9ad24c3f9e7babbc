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
    // One place, so that each cell is the successor of the one before.
    let host = zoo::host(&[("env-probe", &format!("reuse = 1\n{ONE}"))]);
    let me = || {
        let text = host.get("/me").text();
        let line = text.lines().next().unwrap().to_owned();
        let word = |key: &str| line.split(key).nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
        let number = |key: &str| word(key).parse::<u64>().unwrap();
        (number("env-probe#"), number("generation "), word("mother "))
    };
    let cells: Vec<_> = (0..4).map(|_| me()).collect();
    for pair in cells.windows(2) {
        let (old, new) = (&pair[0], &pair[1]);
        assert!(new.0 > old.0, "numbers are never given twice: {cells:?}");
        assert_eq!(new.1, old.1 + 1, "the next generation of one niche: {cells:?}");
        assert_eq!(new.2, old.2, "with the mother of the first: {cells:?}");
    }
    assert_eq!((cells[0].1, cells[0].2.as_str()), (0, "None"));
}
