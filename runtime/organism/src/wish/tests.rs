use cyte_dna::{Blob, Gene, Role};
use proptest::prelude::*;

use super::*;

fn gene(name: &str) -> GeneName {
    name.parse().unwrap()
}

fn envelopes() -> Envelopes {
    let mut front = Gene::new(gene("front"), Role::Drone, Blob::of(b""));
    front.version = "1.2".into();
    front.express = cyte_dna::Expression { min: 1, max: Some(4), scope: Scope::Network, every_host: false };
    let back = Gene::new(gene("back"), Role::Drone, Blob::of(b""));
    let mut constrained = Envelope::of(&front);
    constrained.labels.insert("tier".into(), "core".into());
    constrained.constraints.push("zone=a".parse().unwrap());
    constrained.companions.push(gene("back"));
    constrained.priority_max = 700;
    let mut eager = Gene::new(gene("eager"), Role::Drone, Blob::of(b""));
    eager.express = cyte_dna::Expression::EVERY_HOST;
    [constrained, Envelope::of(&back), Envelope::of(&eager)].into_iter().collect()
}

fn front() -> Wish {
    Wish { count: Count::range(1, 2), scope: Scope::Network, ..Wish::new(gene("front")) }
}

#[test]
fn a_wish_is_read_from_the_text_people_write() {
    let text = r#"
        gene = "front"
        version = "1.2"
        count = "2..8"
        scope = "network"
        labels = { tier = "web" }
        constraints = ["zone=a|b", "!spot", "gpu", "disk!=slow", "not-with:front"]
        priority = 700
        companions = ["log"]
    "#;
    let wish: Wish = toml::from_str(text).unwrap();
    wish.check().unwrap();
    assert_eq!((wish.count, wish.expressor.clone()), (Count::range(2, 8), Kind::population()));
    assert_eq!(toml::from_str::<Wish>(&toml::to_string(&wish).unwrap()).unwrap(), wish);
    assert_eq!(toml::from_str::<Wish>("gene = \"a\"\ncount = 3").unwrap().count, Count::exact(3));
    let misspelt = toml::from_str::<Wish>("gene = \"a\"\ncuont = 3").unwrap_err();
    assert!(misspelt.to_string().contains("cuont"), "{misspelt}");
    for bad in ["-1", "\"2..1..\"", "5000000000", "\"\"", "\"x\""] {
        assert!(toml::from_str::<Wish>(&format!("gene = \"a\"\ncount = {bad}")).is_err(), "{bad}");
    }
}

#[test]
fn a_wish_out_of_bounds_names_the_field_and_the_reason() {
    let plain = || Wish::new(gene("front"));
    let label = |key: &str, value: &str| {
        let mut wish = plain();
        wish.labels.insert(key.into(), value.into());
        wish
    };
    let cell = Wish { expressor: Kind::cell(), count: Count::exact(1), ..plain() };
    let rows = [
        ("version", Wish { version: Some("x".repeat(65)), ..plain() }),
        ("version", Wish { version: Some(String::new()), ..plain() }),
        ("count", Wish { count: Count::range(3, 2), ..plain() }),
        ("count", Wish { count: Count::exact(1_000_001), ..plain() }),
        ("labels", label("Upper", "x")),
        ("labels", label("a", "b c")),
        ("labels", Wish { labels: (0..33).map(|i| (i.to_string(), String::new())).collect(), ..plain() }),
        ("constraints", Wish { constraints: vec!["a".parse().unwrap(); 17], ..plain() }),
        ("priority", Wish { priority: 1_001, ..plain() }),
        ("companions", Wish { companions: vec![gene("front")], ..plain() }),
        ("companions", Wish { companions: vec![gene("a"), gene("b"), gene("a")], ..plain() }),
        ("companions", Wish { companions: (0..9).map(|i| gene(&format!("g{i}"))).collect(), ..plain() }),
        ("count", Wish { count: Count::exact(2), ..cell.clone() }),
        ("scope", Wish { scope: Scope::Network, ..cell.clone() }),
        ("constraints", Wish { constraints: vec!["a".parse().unwrap()], ..cell.clone() }),
    ];
    for (field, wish) in rows {
        let error = wish.check().unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().contains("front") && !error.reason.is_empty(), "{error}");
    }
    cell.check().unwrap();
}

#[test]
fn selectors_mean_what_they_say() {
    let labels: Labels = [("zone".to_owned(), "a".to_owned())].into();
    for (text, meets) in [
        ("zone", true),
        ("!zone", false),
        ("gpu", false),
        ("!gpu", true),
        ("zone=a", true),
        ("zone=b|a", true),
        ("zone=b", false),
        ("zone!=a", false),
        ("zone!=b", true),
        ("gpu!=x", true),
        ("gpu=x", false),
    ] {
        let selector: Selector = text.parse().unwrap();
        assert_eq!(selector.matches(&labels), meets, "{text}");
        assert_eq!(selector.to_string(), text);
    }
    for bad in ["", "!", "=a", "a b", "a=b c", "not-with:", "not-with:A", "zone=a\n"] {
        assert!(bad.parse::<Constraint>().is_err(), "{bad:?}");
    }
}

#[test]
fn what_is_wished_inside_the_envelope_holds_with_the_words_of_the_dna_added() {
    let wish =
        Wish { count: Count { min: 2, max: None }, constraints: vec!["gpu".parse().unwrap()], ..front() };
    let narrow = envelopes().narrow(&wish).unwrap();
    assert_eq!(narrow.count, Count::range(2, 4), "an open end is the DNA's");
    assert_eq!(narrow.version.as_deref(), Some("1.2"));
    assert_eq!(narrow.constraints.len(), 2);
    assert_eq!(narrow.companions, [gene("back")]);
    assert_eq!(narrow.labels.get("tier").map(String::as_str), Some("core"));
}

#[test]
fn a_wish_outside_the_envelope_is_refused_with_what_is_allowed() {
    let other = [("tier".to_owned(), "mine".to_owned())].into();
    let rows = [
        ("gene", "front-2", Wish::new(gene("front-2"))),
        ("version", "1.2", Wish { version: Some("1.3".into()), ..front() }),
        ("count", "1..4", Wish { count: Count::range(0, 2), ..front() }),
        ("count", "1..4", Wish { count: Count::range(1, 5), ..front() }),
        ("priority", "700", Wish { priority: 701, ..front() }),
        ("labels", "tier=core", Wish { labels: other, ..front() }),
        ("companions", "genes of the DNA", Wish { companions: vec![gene("nobody")], ..front() }),
        ("expressor", "constraints", Wish { expressor: Kind::cell(), count: Count::exact(1), ..front() }),
        ("scope", "local", Wish { scope: Scope::Network, ..Wish::new(gene("back")) }),
        ("version", "no version", Wish { version: Some("1".into()), ..Wish::new(gene("back")) }),
        ("expressor", "cell", Wish { count: Count::exact(1), ..Wish::new(gene("eager")) }),
    ];
    for (field, allowed, wish) in rows {
        let error = envelopes().narrow(&wish).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        assert!(error.to_string().contains(allowed) || error.gene.as_str() == allowed, "{error}");
    }
}

#[test]
fn a_new_dna_drops_what_it_no_longer_allows_and_lists_it() {
    let definition = |wish: Wish, revision| Definition { wish, origin: Origin::Operator, revision, at_ms: 0 };
    let dna = Definition { origin: Origin::Dna, ..definition(front(), 1) };
    let fits = definition(front(), 2);
    let too_many = definition(Wish { count: Count::exact(9), ..front() }, 3);
    let gone = definition(Wish::new(gene("gone")), 4);
    let left = envelopes().readmit([dna.clone(), fits.clone(), too_many.clone(), gone.clone()]);
    assert_eq!(left.kept, std::slice::from_ref(&fits));
    let dropped: Vec<_> = left.dropped.iter().map(|d| (d.definition.revision, d.why.field)).collect();
    assert_eq!(dropped, [(3, "count"), (4, "gene")]);
    let effective = envelopes().effective([&dna, &too_many]);
    assert_eq!(effective.passed_over.len(), 1);
    let wished = effective.wishes.iter().find(|wish| wish.gene == gene("front")).unwrap();
    assert_eq!(wished.count, Count::range(1, 4), "the default holds instead");
    let effective = envelopes().effective([&dna, &fits]);
    assert_eq!(effective.wishes.len(), 3);
    assert!(effective.wishes.iter().any(|wish| wish.count == Count::range(1, 2)));
}

prop_compose! {
    pub(crate) fn any_wish()(
        name in prop::sample::select(vec!["front", "back", "eager", "other"]),
        version in prop::option::of(prop::sample::select(vec!["1.2", "2"])),
        min in 0u32..6, max in prop::option::of(0u32..6),
        scope in prop::sample::select(vec![Scope::Local, Scope::Network, Scope::Remote]),
        constraints in prop::collection::vec(prop::sample::select(vec!["zone=a", "gpu", "!x", "not-with:back"]), 0..4),
        priority in 0u16..1_100,
        companions in prop::collection::vec(prop::sample::select(vec!["front", "back", "other"]), 0..3),
        label in prop::option::of(prop::sample::select(vec!["core", "web"])),
        is_cell in prop::bool::weighted(0.2),
    ) -> Wish {
        Wish {
            gene: gene(name),
            version: version.map(str::to_owned),
            count: Count { min, max },
            scope,
            labels: label.map(|value| ("tier".to_owned(), value.to_owned())).into_iter().collect(),
            constraints: constraints.into_iter().map(|text| text.parse().unwrap()).collect(),
            priority,
            companions: companions.into_iter().map(gene).collect(),
            expressor: if is_cell { Kind::cell() } else { Kind::population() },
        }
    }
}

proptest! {
    /// Whatever is let through is inside the envelope in every part, and letting it through again
    /// changes nothing.
    #[test]
    fn narrowing_never_widens(wish in any_wish()) {
        let all = envelopes();
        if wish.check().is_ok() && let Ok(narrow) = all.narrow(&wish) {
            let envelope = all.get(&wish.gene).unwrap();
            prop_assert!(envelope.count.holds(&narrow.count));
            prop_assert!(narrow.priority <= envelope.priority_max);
            prop_assert!(envelope.constraints.iter().all(|c| narrow.constraints.contains(c)));
            prop_assert!(wish.constraints.iter().all(|c| narrow.constraints.contains(c)));
            prop_assert!(envelope.companions.iter().all(|c| narrow.companions.contains(c)));
            prop_assert!(narrow.companions.iter().all(|c| all.get(c).is_some()));
            prop_assert!(narrow.version == envelope.version);
            prop_assert!(envelope.scope == Scope::Network || narrow.scope == envelope.scope);
            prop_assert!(narrow.check().is_ok(), "{:?}", narrow.check());
            prop_assert_eq!(all.narrow(&narrow), Ok(narrow));
        }
    }

    #[test]
    fn every_wish_survives_its_encodings(wish in any_wish()) {
        let bytes = postcard::to_allocvec(&wish).unwrap();
        prop_assert_eq!(&postcard::from_bytes::<Wish>(&bytes).unwrap(), &wish);
        let json = serde_json::to_string(&wish).unwrap();
        prop_assert_eq!(&serde_json::from_str::<Wish>(&json).unwrap(), &wish);
    }

    #[test]
    fn no_text_makes_parsing_panic(text in "\\PC{0,40}") {
        if let Ok(constraint) = text.parse::<Constraint>() {
            prop_assert_eq!(constraint.to_string().parse::<Constraint>(), Ok(constraint));
        }
        if let Ok(count) = text.parse::<Count>() {
            prop_assert_eq!(count.to_string().parse::<Count>(), Ok(count));
        }
        let _ = text.parse::<Kind>();
    }
}

#[test]
fn default_wishes_fit_their_own_envelope() {
    let all = envelopes();
    assert_eq!(all.default_wishes().count(), 3);
    for wish in all.default_wishes() {
        wish.check().unwrap();
        assert_eq!(all.narrow(&wish), Ok(wish));
    }
}
