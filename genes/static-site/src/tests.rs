//! The gene over a folder of the test's own.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use cyte_sdk::testing::{get, request};

use super::*;

/// A folder that goes away with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("static-site-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(root.join("site/docs")).unwrap();
        let folder = Self(root);
        folder.write("secret.txt", "outside");
        folder.write("site/index.html", "<p>home</p>");
        folder.write("site/docs/index.html", "<p>docs</p>");
        folder.write("site/a b.txt", "0123456789");
        folder.write("site/empty.css", "");
        folder.write("site/.env", "hidden");
        folder
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn site(&self) -> Site {
        self.site_with("", false)
    }

    fn site_with(&self, base: &str, watch: bool) -> Site {
        Site {
            shelf: Shelf::new(self.0.join("site"), watch),
            base: base.to_owned(),
            cache_control: HeaderValue::from_static("max-age=60"),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Status and body.
fn ask(site: &Site, request: Request) -> (u16, String) {
    let mut response = site.answer(&request).unwrap();
    (response.status().as_u16(), response.body_mut().read_text().unwrap())
}

fn with(mut request: Request, name: HeaderName, value: &str) -> Request {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[test]
fn files_have_their_type_length_and_tag() {
    let folder = Folder::new();
    let site = folder.site();
    let mut response = site.answer(&get("/a%20b.txt")).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(response.header("content-length"), Some("10"));
    assert_eq!(response.header("cache-control"), Some("max-age=60"));
    assert_eq!(response.header("accept-ranges"), Some("bytes"));
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(response.header("etag").unwrap().len(), 34);
    assert_eq!(response.body_mut().read_text().unwrap(), "0123456789");
    assert_eq!(ask(&site, get("/empty.css")), (200, String::new()));
}

#[test]
fn folders_have_their_page_and_their_slash() {
    let folder = Folder::new();
    let site = folder.site();
    assert_eq!(ask(&site, get("/")), (200, "<p>home</p>".into()));
    assert_eq!(ask(&site, get("/docs/")), (200, "<p>docs</p>".into()));
    let response = site.answer(&get("/docs?a=b")).unwrap();
    assert_eq!((response.status().as_u16(), response.header("location")), (308, Some("/docs/?a=b")));
    assert_eq!(ask(&site, get("/a%20b.txt/")).0, 404);
    fs::create_dir(folder.0.join("site/none")).unwrap();
    assert_eq!(ask(&site, get("/none/")).0, 404);
}

#[test]
fn a_known_tag_is_not_sent_again() {
    let folder = Folder::new();
    let site = folder.site();
    let tag = site.answer(&get("/")).unwrap().header("etag").unwrap().to_owned();
    let mut response = site.answer(&with(get("/"), header::IF_NONE_MATCH, &tag)).unwrap();
    assert_eq!((response.status().as_u16(), response.header("etag")), (304, Some(tag.as_str())));
    assert!(response.body_mut().is_empty());
    assert_eq!(ask(&site, with(get("/"), header::IF_NONE_MATCH, "\"other\"")).0, 200);
    // The same content has the same tag in another cell.
    assert_eq!(folder.site().answer(&get("/")).unwrap().header("etag"), Some(tag.as_str()));
}

#[test]
fn ranges_give_the_part() {
    let folder = Folder::new();
    folder.write("site/big.bin", (0..600_000_u32).map(|n| (n % 251) as u8).collect::<Vec<_>>());
    let site = folder.site();
    let part = |path: &str, range: &str| site.answer(&with(get(path), header::RANGE, range)).unwrap();
    let mut response = part("/a%20b.txt", "bytes=2-4");
    assert_eq!(response.status(), 206);
    assert_eq!(response.header("content-range"), Some("bytes 2-4/10"));
    assert_eq!(response.header("content-length"), Some("3"));
    assert_eq!(response.body_mut().read_text().unwrap(), "234");
    let mut response = part("/big.bin", "bytes=250000-");
    assert_eq!(response.header("content-range"), Some("bytes 250000-599999/600000"));
    let bytes = response.body_mut().read_bytes().unwrap();
    assert_eq!((bytes.len(), bytes[0]), (350_000, (250_000 % 251) as u8));
    let response = part("/a%20b.txt", "bytes=10-");
    assert_eq!((response.status().as_u16(), response.header("content-range")), (416, Some("bytes */10")));
    assert_eq!(part("/a%20b.txt", "bytes=0-1,4-5").status(), 200);
    let stale = with(with(get("/a%20b.txt"), header::RANGE, "bytes=0-1"), header::IF_RANGE, "\"old\"");
    assert_eq!(ask(&site, stale), (200, "0123456789".into()));
}

#[test]
fn head_has_the_length_and_no_body() {
    let folder = Folder::new();
    let mut response = folder.site().answer(&request(Method::HEAD, "/a%20b.txt", ())).unwrap();
    assert_eq!((response.status().as_u16(), response.header("content-length")), (200, Some("10")));
    assert!(response.body_mut().is_empty());
}

#[test]
fn other_methods_are_refused() {
    let folder = Folder::new();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let response = folder.site().answer(&request(method, "/", ())).unwrap();
        assert_eq!((response.status().as_u16(), response.header("allow")), (405, Some("GET, HEAD")));
    }
}

#[test]
fn the_own_404_page_is_used() {
    let folder = Folder::new();
    assert_eq!(ask(&folder.site(), get("/x")), (404, "not found\n".into()));
    folder.write("site/404.html", "<p>lost</p>");
    let site = folder.site();
    assert_eq!(ask(&site, get("/x")), (404, "<p>lost</p>".into()));
    assert_eq!(ask(&site, get("/.env")), (404, "<p>lost</p>".into()));
    assert!(site.answer(&get("/x")).unwrap().header("etag").is_none());
}

#[test]
fn there_is_no_way_out() {
    let folder = Folder::new();
    let site = folder.site();
    for path in [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/docs/..%2f..%2fsecret.txt",
        "/..%5csecret.txt",
        "//etc/passwd",
    ] {
        assert_eq!(ask(&site, get(path)).0, 404, "{path}");
    }
    #[cfg(unix)]
    {
        let link = |to: &Path, from: &str| std::os::unix::fs::symlink(to, folder.0.join(from)).unwrap();
        link(&folder.0.join("secret.txt"), "site/link.txt");
        link(&folder.0, "site/up");
        link(Path::new("index.html"), "site/inner.html");
        for path in ["/link.txt", "/up/secret.txt", "/up/", "/up", "/inner.html"] {
            assert_eq!(ask(&site, get(path)).0, 404, "{path}");
        }
    }
}

#[test]
fn the_base_is_taken_off() {
    let folder = Folder::new();
    let site = folder.site_with("/shop/site", false);
    assert_eq!(ask(&site, get("/shop/site/")), (200, "<p>home</p>".into()));
    let response = site.answer(&get("/shop/site")).unwrap();
    assert_eq!((response.status().as_u16(), response.header("location")), (308, Some("/shop/site/")));
    let response = site.answer(&get("/shop/site/docs")).unwrap();
    assert_eq!(response.header("location"), Some("/shop/site/docs/"));
    for outside in ["/", "/shop/", "/shop/sitemap", "/index.html"] {
        assert_eq!(ask(&site, get(outside)).0, 404, "{outside}");
    }
}

#[test]
fn changes_are_seen_only_where_watched() {
    let folder = Folder::new();
    let (kept, watched) = (folder.site(), folder.site_with("", true));
    for site in [&kept, &watched] {
        assert_eq!(ask(site, get("/a%20b.txt")).1, "0123456789");
    }
    folder.write("site/a b.txt", "changed");
    assert_eq!(ask(&kept, get("/a%20b.txt")).1, "0123456789");
    assert_eq!(ask(&watched, get("/a%20b.txt")).1, "changed");
}
