//! The standard gene for static files: what it serves, and that there is no way out of its folder.

use super::zoo::{self, Zoo};
use crate::support::http::Response;
use crate::support::project;

fn site() -> Zoo {
    let project = project(
        r#"
[organism]
name = "pages"
version = "0.1.0"
[gene.pages]
source = "pages"
route = "/..."
"#,
    );
    for (name, content) in [
        ("pages/index.html", "<h1>home</h1>".as_bytes()),
        ("pages/style.css", b"body {}"),
        ("pages/app.js", b"1"),
        ("pages/data.json", b"{}"),
        ("pages/a b.txt", b"spaces"),
        ("pages/no-type", b"\x00\x01"),
        ("pages/docs/index.html", b"docs"),
        ("pages/404.html", b"<h1>lost</h1>"),
        ("pages/.well-known/x.txt", b"known"),
        ("pages/large.bin", &super::plain::pattern(1_000_000)),
        ("secret.txt", b"outside"),
    ] {
        project.write(name, content);
    }
    zoo::of(project)
}

fn get(host: &Zoo, path: &str, headers: &[(&str, &str)]) -> Response {
    host.connect().request("GET", path, headers, b"")
}

/// The file server is a gene like any other: inspected, granted and replaced like one.
#[test]
fn the_file_server_is_a_gene_that_another_can_replace() {
    let host = site();
    let gene = host.json(["inspect", "pages"]);
    assert_eq!((&gene["role"], &gene["dna"]["grants"]["files"][0]["to"]), (&"drone".into(), &"/site".into()));
    assert_eq!(get(&host, "/style.css", &[]).text(), "body {}");
    let cells = host.json(["ps"])["cells"].as_array().unwrap().clone();
    assert_eq!(cells.len(), 1, "it lives in cells: {cells:?}");
    let other = project(
        r#"
[organism]
name = "pages"
[gene.pages]
source = "{readonly-escape}"
files = [{ from = "pages", to = "/ro" }]
route = "/..."
"#,
    );
    other.write("pages/file.txt", "served by another");
    let host = zoo::of(other);
    assert_eq!(get(&host, "/read", &[]).text(), "served by another");
}

#[test]
fn files_have_their_types_and_a_folder_its_page() {
    let host = site();
    for (path, kind, text) in [
        ("/", "text/html", "<h1>home</h1>"),
        ("/index.html", "text/html", "<h1>home</h1>"),
        ("/style.css", "text/css", "body {}"),
        ("/app.js", "text/javascript", "1"),
        ("/data.json", "application/json", "{}"),
        ("/a%20b.txt", "text/plain", "spaces"),
        ("/no-type", "application/octet-stream", "\0\u{1}"),
        ("/docs/", "text/html", "docs"),
        ("/.well-known/x.txt", "text/plain", "known"),
    ] {
        let answer = get(&host, path, &[]);
        assert_eq!((answer.status, answer.text().as_str()), (200, text), "{path}");
        assert!(answer.header("content-type").unwrap().starts_with(kind), "{path}: {answer:?}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
    let moved = get(&host, "/docs", &[]);
    assert_eq!((moved.status, moved.header("location")), (308, Some("/docs/")));
    let lost = get(&host, "/nothing", &[]);
    assert_eq!((lost.status, lost.text().as_str()), (404, "<h1>lost</h1>"));
    let post = host.post("/", "x");
    assert_eq!((post.status, post.header("allow")), (405, Some("GET, HEAD")));
}

#[test]
fn a_client_that_has_a_file_is_told_that_it_did_not_change() {
    let host = site();
    let first = get(&host, "/style.css", &[]);
    let tag = first.header("etag").unwrap().to_owned();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    for list in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}"), "*".to_owned()] {
        let again = get(&host, "/style.css", &[("if-none-match", &list)]);
        assert_eq!((again.status, again.body.len()), (304, 0), "{list}");
        assert_eq!(again.header("etag"), Some(&*tag));
    }
    assert_eq!(get(&host, "/style.css", &[("if-none-match", "\"other\"")]).status, 200);
    assert_ne!(get(&host, "/app.js", &[]).header("etag"), Some(&*tag));
}

#[test]
fn parts_of_a_file() {
    let host = site();
    let whole = super::plain::pattern(1_000_000);
    for (range, start, end) in [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=999990-", 999_990, 1_000_000),
        ("bytes=-10", 999_990, 1_000_000),
        ("bytes=5-99999999", 5, 1_000_000),
    ] {
        let answer = get(&host, "/large.bin", &[("range", range)]);
        assert_eq!(answer.status, 206, "{range}");
        assert!(answer.body == whole[start..end], "{range}: {} bytes", answer.body.len());
        let place = format!("bytes {start}-{}/1000000", end - 1);
        assert_eq!(answer.header("content-range"), Some(&*place), "{range}");
    }
    for range in ["bytes=1000000-", "bytes=2000000-2000001", "bytes=-0"] {
        let answer = get(&host, "/large.bin", &[("range", range)]);
        assert_eq!(
            (answer.status, answer.header("content-range")),
            (416, Some("bytes */1000000")),
            "{range}"
        );
    }
    for range in ["bytes=a-b", "bytes=5-2", "bytes=0-1,3-4", "lines=1-2"] {
        let answer = get(&host, "/large.bin", &[("range", range)]);
        assert_eq!((answer.status, answer.body.len()), (200, 1_000_000), "{range}");
    }
    let tag = get(&host, "/large.bin", &[]).header("etag").unwrap().to_owned();
    let same = get(&host, "/large.bin", &[("range", "bytes=0-9"), ("if-range", &tag)]);
    assert_eq!((same.status, same.body.len()), (206, 10));
    let other = get(&host, "/large.bin", &[("range", "bytes=0-9"), ("if-range", "\"other\"")]);
    assert_eq!(other.status, 200, "the file is another one by now");
}

#[test]
fn head_tells_the_same_as_get() {
    let host = site();
    for path in ["/", "/large.bin", "/docs", "/nothing"] {
        let get = get(&host, path, &[]);
        let mut connection = host.connect();
        let head = connection.request("HEAD", path, &[], b"");
        assert_eq!(head.status, get.status, "{path}");
        for name in ["content-type", "content-length", "etag", "location"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
        assert_eq!(connection.get("/app.js").text(), "1", "nothing follows the head");
    }
}

#[test]
fn there_is_no_way_out_of_the_folder() {
    let host = site();
    for path in [
        "/../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/%2e%2e%2fsecret.txt",
        "/docs/../../secret.txt",
        "/docs/..%5c..%5csecret.txt",
        "/..\\secret.txt",
        "/%00",
        "/style.css%00.html",
        "/docs/%2e%2e/%2e%2e/secret.txt",
        "/%c0%ae%c0%ae/secret.txt",
        "/....//secret.txt",
        "//etc/passwd",
        "/etc/passwd",
        "/%2fetc/passwd",
        "/dna.toml",
        "/.cyte/host.key",
        "/./style.css",
        "/docs/.",
        "/docs/..",
        "/style.css/",
        "/style.css/../style.css",
        "/%zz",
    ] {
        let mut connection = host.connect();
        connection.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"));
        let answer = connection.response().unwrap();
        assert!(matches!(answer.status, 400 | 404), "{path}: {answer:?}");
        let text = answer.text();
        assert!(!text.contains("outside") && !text.contains("root:"), "{path}: {text}");
    }
    assert_eq!(host.get("/style.css").status, 200);
}

#[test]
fn a_link_in_the_folder_leads_nowhere() {
    let project = project(
        "[organism]\nname = \"pages\"\nversion = \"0.1.0\"\n[gene.pages]\nsource = \"pages\"\nroute = \"/...\"\n",
    );
    project.write("pages/index.html", "home");
    let secret = project.write("secret.txt", "outside");
    std::os::unix::fs::symlink(secret, project.join("pages/link.txt")).unwrap();
    std::os::unix::fs::symlink(project.path(), project.join("pages/up")).unwrap();
    match zoo::start(&project).try_start() {
        // Either such a folder is not packed at all ...
        Err(ran) => assert!(ran.stderr.contains("link"), "{}", ran.stderr),
        // ... or the links are not part of it.
        Ok(host) => {
            for path in ["/link.txt", "/up/secret.txt", "/up/"] {
                assert_eq!(host.get(path).status, 404, "{path}");
            }
        }
    }
}
