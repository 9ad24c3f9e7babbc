use super::*;
use proptest::prelude::*;

fn claim(gene: &str, routes: &[&str]) -> Claim<&'static str> {
    Claim {
        gene: GeneName::new(gene).unwrap(),
        routes: routes.iter().map(|text| text.parse().unwrap()).collect(),
        mount: Box::leak(gene.to_owned().into_boxed_str()),
    }
}

fn table(claims: &[(&str, &[&str])]) -> Routes<&'static str> {
    Routes::build(claims.iter().map(|(gene, routes)| claim(gene, routes)).collect()).unwrap()
}

#[test]
fn the_longest_prefix_wins_on_segment_boundaries() {
    let routes = table(&[
        ("all", &["/..."]),
        ("api", &["/api/..."]),
        ("deep", &["/api/v1/..."]),
        ("exact", &["/api/v1/status", "/"]),
    ]);
    for (path, gene) in [
        ("/", "exact"),
        ("//", "all"),
        ("/api", "api"),
        ("/api/", "api"),
        ("/apix", "all"),
        ("/API", "all"),
        ("/api/x", "api"),
        ("/api/v1", "deep"),
        ("/api/v1/status", "exact"),
        ("/api/v1/status/", "deep"),
        ("/api%2Fv1", "all"),
        ("/api/v1%2Fstatus", "api"),
        ("/other", "all"),
        ("*", "exact"),
    ] {
        assert_eq!(routes.resolve(None, path), Some(&gene), "{path}");
    }
}

#[test]
fn a_host_of_its_own_beats_any_host_and_falls_back_to_it() {
    let routes = table(&[("any", &["/..."]), ("shop", &["shop.example/api/...", "[::1]/v6"])]);
    assert_eq!(routes.resolve(Some("shop.example"), "/api/x"), Some(&"shop"));
    assert_eq!(routes.resolve(Some("shop.example"), "/x"), Some(&"any"));
    assert_eq!(routes.resolve(Some("other.example"), "/api/x"), Some(&"any"));
    assert_eq!(routes.resolve(Some("[::1]"), "/v6"), Some(&"shop"));
    assert_eq!(routes.resolve(None, "/api/x"), Some(&"any"));
}

#[test]
fn nothing_matches_in_an_empty_table() {
    let routes: Routes<u8> = Routes::default();
    assert_eq!(routes.resolve(Some("x"), "/"), None);
    assert_eq!(routes.resolve(None, ""), None);
}

#[test]
fn a_conflict_names_both_genes_and_the_route() {
    let claims = vec![claim("front", &["/api/..."]), claim("back", &["/x", "/api/..."])];
    let conflict = Routes::build(claims).unwrap_err();
    let text = conflict.to_string();
    assert!(text.contains("\"front\" and \"back\""), "{text}");
    assert!(text.contains("/api/..."), "{text}");
    // The same path as prefix and as exact route is no conflict: the exact one is more specific.
    table(&[("front", &["/api/..."]), ("back", &["/api"])]);
}

#[test]
fn a_hostile_path_costs_no_more_than_the_deepest_route() {
    let routes = table(&[("all", &["/..."]), ("api", &["/a/a/a/..."])]);
    let path = "/a".repeat(32 * 1024);
    assert_eq!(routes.resolve(None, &path), Some(&"api"));
    assert_eq!(routes.resolve(None, &"/".repeat(64 * 1024)), Some(&"all"));
}

/// What the table must equal: every route tried in turn, the most specific match taken.
fn naive<'r>(routes: &'r [Route], host: Option<&str>, path: &str) -> Option<&'r Route> {
    let fitting = routes.iter().filter(|route| route.matches(host, path));
    fitting.max_by_key(|route| route.precedence())
}

fn route_text() -> impl Strategy<Value = String> {
    let host = prop_oneof![3 => Just(""), 1 => Just("a.test"), 1 => Just("b.test")];
    let segment = prop::sample::select(vec!["a", "b", "ab", "a.b"]);
    let end = prop::sample::select(vec!["", "/", "/..."]);
    (host, prop::collection::vec(segment, 0..4), end).prop_map(|(host, segments, end)| {
        let path: String = segments.iter().map(|segment| format!("/{segment}")).collect();
        let end = if path.is_empty() && end.is_empty() { "/" } else { end };
        format!("{host}{path}{end}")
    })
}

fn path_text() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(vec!["a", "b", "ab", "a.b", "", "a%2Fb", "c"]);
    prop::collection::vec(segment, 1..6)
        .prop_map(|segments| segments.iter().map(|segment| format!("/{segment}")).collect())
}

proptest! {
    #[test]
    fn equals_the_naive_matcher(
        texts in prop::collection::btree_set(route_text(), 0..24),
        path in path_text(),
        host in prop::option::of(prop::sample::select(vec!["a.test", "b.test", "c.test"])),
    ) {
        let routes: Vec<Route> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let claims = routes.iter().enumerate().map(|(at, route)| Claim {
            gene: GeneName::new(&format!("g{at}")).unwrap(),
            routes: vec![route.clone()],
            mount: route.clone(),
        });
        let table = Routes::build(claims.collect()).unwrap();
        prop_assert_eq!(table.resolve(host, &path), naive(&routes, host, &path));
    }
}
