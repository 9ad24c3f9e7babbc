//! A gene's own signal counts as its load: the population follows it, up and down.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::wait::{LONG, within};
use crate::support::{Cyte, Host, Temp, project};

fn folder(signal: &str) -> Temp {
    project(&format!(
        r#"
[organism]
name = "crawler"
[gene.front]
source = "{{load}}"
route = "/..."
reuse = 100000
{signal}
express = {{ max = 6 }}
[hormones]
min_age_ms = 100
"#
    ))
}

fn host() -> (Host, Temp) {
    let folder = folder("signal = { name = \"queue-depth\", per-cell = 10 }");
    (Host::start(folder.path()), folder)
}

fn report(host: &Host, amount: &str) -> String {
    host.get(&format!("/report?amount={amount}")).text()
}

fn seen(host: &Host) -> Value {
    host.json(["inspect", "front"])["signal"].clone()
}

fn class(host: &Host) -> Value {
    host.json(["hormones"])["classes"][0].clone()
}

fn cells(host: &Host) -> u64 {
    let class = class(host);
    class["ready"].as_u64().unwrap() + class["pending"].as_u64().unwrap()
}

#[test]
fn the_population_follows_a_genes_own_signal_up_and_down() {
    let (host, _folder) = host();
    // Forty at ten a cell are the load of four, and each look at it renews it.
    within(LONG, "as many cells as it needs", || {
        assert_eq!(report(&host, "40"), "taken");
        (cells(&host) >= 4).then_some(())
    });
    assert_eq!(seen(&host)["amount"], 40);
    assert_eq!(class(&host)["signal"], 4.0);
    within(LONG, "the bound of its range, and no more", || {
        assert_eq!(report(&host, "1e12"), "taken");
        let cells = cells(&host);
        assert!(cells <= 6, "{cells}");
        (cells == 6).then_some(())
    });
    within(LONG, "fewer again", || {
        assert_eq!(report(&host, "10.5"), "taken");
        (cells(&host) <= 2).then_some(())
    });
}

#[test]
fn a_report_that_is_not_renewed_ages_away() {
    let (host, _folder) = host();
    assert_eq!(seen(&host), Value::Null);
    let since = Instant::now();
    assert_eq!(report(&host, "25"), "taken");
    // On a machine that slow it may be gone before anybody looks.
    let there = seen(&host);
    assert!(there["amount"] == 25 || since.elapsed() > Duration::from_secs(5), "{there}");
    within(LONG, "it aged away", || seen(&host).is_null().then_some(()));
    assert!(since.elapsed() >= Duration::from_secs(5), "{:?}", since.elapsed());
    // One that goes with its cell needs no age.
    let since = Instant::now();
    assert_eq!(report(&host, "5"), "taken");
    let names = host.json(["ps"])["cells"].as_array().unwrap().clone();
    for cell in names {
        host.cyte(["kill", cell["cell"].as_str().unwrap(), "--now"]).run();
    }
    let there = within(LONG, "all of them ended", || {
        let there = seen(&host);
        (there.is_null() || since.elapsed() > Duration::from_secs(4)).then_some(there)
    });
    assert_eq!(there, Value::Null);
}

#[test]
fn what_is_no_number_of_things_is_refused() {
    let (host, _folder) = host();
    for nonsense in ["NaN", "-1", "-0.001", "inf", "1.0001e12", "1e300"] {
        assert_eq!(report(&host, nonsense), "refused: it is no number from 0 to 1e12", "{nonsense}");
    }
    assert_eq!(seen(&host), Value::Null, "nothing of it counts");
    assert_eq!(report(&host, "0"), "taken");
}

#[test]
fn a_signal_that_the_dna_does_not_name_is_a_load_error() {
    let said = Cyte::new(["check"]).arg(folder("").path()).run().refused(1, "E104");
    assert!(said.contains("cyte:cell/load@0.1.0"), "{said}");
    assert!(
        said.contains("add signal = { name = \"queue-depth\", per-cell = 10 } to [gene.front]"),
        "{said}"
    );
}

/// More than all cells that there may be are made for is hot, by the name of the signal.
#[test]
fn a_signal_above_what_its_range_is_made_for_is_hot() {
    let (host, _folder) = host();
    let hot = within(LONG, "it is hot", || {
        assert_eq!(report(&host, "600"), "taken");
        host.events().into_iter().find(|event| event["event"] == "hot" && event["part"] == "queue-depth")
    });
    assert_eq!((&hot["gene"], &hot["mark"]), (&"front".into(), &60.into()), "{hot}");
    assert!(hot["number"].as_u64().unwrap() > 60, "{hot}");
    let cooled = host.event("cooled", |event| event["part"] == "queue-depth");
    assert!(cooled["number"].as_u64().unwrap() <= 45, "{cooled}");
    assert_eq!(
        host.events().iter().filter(|event| event["event"] == "hot" && event["gene"] == "front").count(),
        1
    );
}
