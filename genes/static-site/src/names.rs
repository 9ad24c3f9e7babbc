//! From the path of a request to the name of a file, and nowhere else.

/// A name below the folder, made of plain parts only.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    /// The parts, joined by slashes; empty for the folder itself.
    joined: String,
    /// Whether the path ended with a slash, and so means a folder.
    folder: bool,
}

impl Name {
    /// Decodes a path; none where it is not one that could be served.
    ///
    /// A part may not be empty, `.` or `..`, hold a slash, a backslash or a control character, in
    /// whatever encoding, nor begin with a dot, except `.well-known`.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let folder = path.ends_with('/');
        let below = path.strip_prefix('/').unwrap_or(path);
        let mut joined = String::with_capacity(below.len());
        if !below.is_empty() {
            for part in below.strip_suffix('/').unwrap_or(below).split('/') {
                let part = decode(part)?;
                if !is_plain(&part) {
                    return None;
                }
                if !joined.is_empty() {
                    joined.push('/');
                }
                joined.push_str(&part);
            }
        }
        Some(Self { joined, folder })
    }

    /// The parts, joined by slashes; empty for the folder itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.joined
    }

    pub(crate) fn parts(&self) -> impl Iterator<Item = &str> {
        self.joined.split('/').filter(|part| !part.is_empty())
    }

    /// Whether the path says that it means a folder.
    pub(crate) fn is_folder(&self) -> bool {
        self.folder
    }

    /// The page of a folder.
    pub(crate) fn index(&self) -> Self {
        let slash = if self.joined.is_empty() { "" } else { "/" };
        Self { joined: format!("{}{slash}index.html", self.joined), folder: false }
    }
}

/// Whether a part names something in its folder, and nothing hidden.
fn is_plain(part: &str) -> bool {
    let hidden = part.starts_with('.') && part != ".well-known";
    !part.is_empty() && !hidden && !part.contains(|c: char| c == '/' || c == '\\' || c.is_control())
}

/// Decodes percent codes; none where one is malformed or the result is not UTF-8.
fn decode(part: &str) -> Option<String> {
    if !part.contains('%') {
        return Some(part.to_owned());
    }
    let mut bytes = part.bytes();
    let mut out = Vec::with_capacity(part.len());
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'%' => hex(bytes.next()?)? << 4 | hex(bytes.next()?)?,
            other => other,
        });
    }
    String::from_utf8(out).ok()
}

/// The value of one hexadecimal digit.
fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<String> {
        Name::parse(path).map(|name| name.joined)
    }

    #[test]
    fn plain_paths_are_names() {
        assert_eq!(parse("/").unwrap(), "");
        assert_eq!(parse("").unwrap(), "");
        assert_eq!(parse("/a/b.txt").unwrap(), "a/b.txt");
        assert_eq!(parse("/a%20b/%C3%BC").unwrap(), "a b/ü");
        assert_eq!(parse("/a..b/c...").unwrap(), "a..b/c...");
        assert_eq!(parse("/.well-known/x").unwrap(), ".well-known/x");
        assert!(Name::parse("/a/").unwrap().is_folder());
        assert_eq!(Name::parse("/a/").unwrap().index().as_str(), "a/index.html");
        assert_eq!(Name::parse("/").unwrap().index().as_str(), "index.html");
    }

    #[test]
    fn nothing_leads_out_or_to_what_is_hidden() {
        for path in [
            "/..",
            "/../x",
            "/a/../b",
            "/a/..",
            "/.",
            "/a/./b",
            "//",
            "//x",
            "/a//b",
            "/%2e%2e/x",
            "/%2E./x",
            "/a%2fb",
            "/a%2F..%2Fb",
            "/a\\b",
            "/..%5cx",
            "/%00",
            "/a%00.txt",
            "/a\u{7f}",
            "/%0a",
            "/.git/config",
            "/.env",
            "/a/.hidden",
            "/%2ehidden",
            "/%",
            "/%1",
            "/%zz",
            "/%ff",
            "/%c0%ae%c0%ae/",
        ] {
            assert_eq!(parse(path), None, "{path:?}");
        }
    }
}
