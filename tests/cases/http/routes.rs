//! Which gene answers: host names and paths.

use super::zoo::{self, refused};
use crate::support::project;

#[test]
fn the_longest_prefix_wins_and_a_named_host_wins_over_any() {
    let project = project(
        r#"
[organism]
name = "paths"
version = "0.1.0"
[gene.all]
source = "{env-probe}"
config = { gene = "all" }
route = "/..."
[gene.api]
source = "{env-probe}"
config = { gene = "api" }
route = ["/api/...", "/exact"]
[gene.deep]
source = "{env-probe}"
config = { gene = "deep" }
route = "/api/v1/..."
[gene.shop]
source = "{env-probe}"
config = { gene = "shop" }
route = ["shop.test/...", "[::1]/..."]
[gene.cart]
source = "{env-probe}"
config = { gene = "cart" }
route = "shop.test/cart/..."
"#,
    );
    let host = zoo::of(project);
    let gene = |name: &str, path: &str| {
        let answer = host.connect().request("GET", path, &[("host", name)], b"");
        let text = answer.text();
        let line = text.lines().find_map(|line| line.strip_prefix("config gene="));
        line.unwrap_or_else(|| panic!("{name}{path}: {answer:?}")).to_owned()
    };
    for (name, path, expected) in [
        ("any.test", "/", "all"),
        ("any.test", "/apix", "all"),
        ("any.test", "/api/", "api"),
        ("any.test", "/api/x", "api"),
        ("any.test", "/exact", "api"),
        ("any.test", "/exact/more", "all"),
        ("any.test", "/api/v1/x", "deep"),
        ("any.test", "/api/v1x", "api"),
        ("shop.test", "/", "shop"),
        ("SHOP.test:8080", "/api/v1/x", "shop"),
        ("shop.test.", "/", "shop"),
        ("[::1]:80", "/", "shop"),
        ("shop.test", "/cart/1", "cart"),
        ("xshop.test", "/cart/1", "all"),
        ("a.shop.test", "/", "all"),
        // What a gene sees as the path decides, not what it might mean to a file system.
        ("any.test", "/x/../api/", "all"),
        ("any.test", "/%61pi/", "all"),
        ("any.test", "//api/", "all"),
        ("any.test", "/api?/api/v1/", "api"),
    ] {
        assert_eq!(gene(name, path), expected, "{name}{path}");
    }
}

#[test]
fn where_nothing_is_mounted_nothing_answers() {
    let project = project(
        r#"
[organism]
name = "one"
version = "0.1.0"
[gene.one]
source = "{spin}"
route = ["one.test/a/...", "one.test/b"]
"#,
    );
    let host = zoo::of(project);
    let get = |name: &str, path: &str| host.connect().request("GET", path, &[("host", name)], b"");
    assert_eq!(get("one.test", "/a/x").text(), "healthy\n");
    assert_eq!(get("one.test", "/b").text(), "healthy\n");
    for (name, path) in
        [("one.test", "/"), ("one.test", "/b/"), ("other.test", "/a/x"), ("127.0.0.1", "/a/x")]
    {
        refused(&get(name, path), 404, "no-route");
    }
}

#[test]
fn two_genes_on_one_route_are_refused_by_name() {
    for (one, two) in [("/api/...", "/api/..."), ("shop.test/x", "SHOP.test/x"), ("/...", "/...")] {
        let project = project(&format!(
            "[organism]\nname = \"twice\"\nversion = \"0.1.0\"\n\
             [gene.first]\nsource = \"{{spin}}\"\nroute = \"{one}\"\n\
             [gene.second]\nsource = \"{{echo}}\"\nroute = \"{two}\"\n"
        ));
        let ran = zoo::start(&project).try_start().expect_err("two genes cannot both answer");
        let error: serde_json::Value = serde_json::from_str(&ran.stderr).unwrap();
        let why = error["error"]["why"].as_str().unwrap();
        assert!(why.contains("`first`") && why.contains("`second`"), "{one} {two}: {why}");
        assert_eq!(error["error"]["exit"], ran.code(), "{error}");
        assert!(ran.code() > 0);
    }
}
