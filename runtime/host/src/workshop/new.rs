//! New projects, made from the templates inside the binary. No network.
//!
//! A project appears whole or not at all, and nothing that exists is overwritten. One with a crate
//! gets the SDK as sources in `.cyte/sdk-VERSION`, so that it builds anywhere.

use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{Kind, WorkshopError, cache, sources};

/// The template of `cyte new` without `--template`.
pub const DEFAULT_TEMPLATE: &str = "http";

/// Names that cargo or rustc keep for themselves. Rust's keywords are no crate names either.
const RESERVED: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "build",
    "const",
    "continue",
    "core",
    "crate",
    "cyte",
    "cyte-sdk",
    "deps",
    "do",
    "dyn",
    "else",
    "enum",
    "examples",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "incremental",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
];

/// One template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its name, as `--template` takes it.
    pub name: &'static str,
    /// What one gets, in one line.
    pub about: String,
}

/// A project that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The project's folder, as it was given.
    pub folder: PathBuf,
    /// The project's name: the folder's last part.
    pub name: String,
    /// The files a person may want to look at, relative to the folder, sorted.
    pub files: Vec<String>,
}

/// All templates, by name.
pub fn templates() -> Vec<Template> {
    let mut names: Vec<&'static str> = sources::under(sources::TEMPLATES)
        .filter_map(|(path, _)| path.split_once('/').map(|(name, _)| name))
        .collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(|name| Template { name, about: about(name) }).collect()
}

/// Make the project `folder`; its last part is the project's name.
///
/// # Errors
/// Kind `Usage`: a bad name or an unknown template; `New`: the folder exists and is not empty;
/// `Write`. Nothing is left behind.
pub fn create(folder: &Path, template: &str) -> Result<Created, WorkshopError> {
    let name = project_name(folder)?;
    let files = files_of(template, &name)?;
    let exists = folder.exists();
    if exists && !is_empty_folder(folder)? {
        return Err(WorkshopError::new(
            Kind::New,
            format!("cannot make `{}`", folder.display()),
            "it exists already, and nothing is ever overwritten",
        )
        .help("`cyte new` with another name"));
    }
    // Inside an existing folder, so that a shell that stands in it keeps its place.
    // Only what has a crate needs the SDK.
    let needs_sdk = files.iter().any(|(path, _)| path.ends_with("Cargo.toml"));
    let temp = match exists {
        true => cache::Temp::beside(&folder.join("new"))?,
        false => cache::Temp::beside(folder)?,
    };
    let given = files.iter().map(|(path, text)| (path.as_str(), text.as_slice()));
    sources::extract(given, temp.path())?;
    if needs_sdk {
        write_sdk(&temp.path().join(".cyte"))?;
    }
    match exists {
        true => move_in(temp.path(), folder)?,
        false => cache::replace(temp.path(), folder)?,
    }
    let mut files: Vec<String> = files.into_iter().map(|(path, _)| path).collect();
    files.sort();
    Ok(Created { folder: folder.to_owned(), name, files })
}

/// The folder name of this version's SDK inside `.cyte`.
pub(super) fn sdk_folder() -> String {
    format!("sdk-{}", sources::VERSION)
}

/// Write the SDK of this version into a project's `.cyte` folder, if it is not there.
pub(super) fn write_sdk(dot_cyte: &Path) -> Result<(), WorkshopError> {
    let place = dot_cyte.join(sdk_folder());
    if place.exists() {
        return Ok(());
    }
    make_private(dot_cyte)?;
    let temp = cache::Temp::beside(&place)?;
    sources::extract(sources::sdk(), temp.path())?;
    match cache::replace(temp.path(), &place) {
        // Somebody else was quicker; it is the same.
        Err(_) if place.exists() => Ok(()),
        done => done,
    }
}

/// Make `.cyte` as a state folder is made, 0700, so that a host may use it too.
pub(super) fn make_private(folder: &Path) -> Result<(), WorkshopError> {
    use std::os::unix::fs::DirBuilderExt;
    let parent = folder.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|e| WorkshopError::write(parent, e))?;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => Err(WorkshopError::write(folder, e)),
        _ => Ok(()),
    }
}

/// The last part of the folder, if it can name an organism, a gene and a crate.
fn project_name(folder: &Path) -> Result<String, WorkshopError> {
    let last = match folder.components().next_back() {
        Some(Component::Normal(name)) => name.to_owned(),
        // `.` or `..`: the folder has a name of its own.
        _ => fs::canonicalize(folder)
            .map_err(|e| WorkshopError::read(folder, e))?
            .file_name()
            .map(ToOwned::to_owned)
            .unwrap_or_default(),
    };
    let name = last.to_string_lossy();
    let bad = |why: &str| {
        WorkshopError::new(Kind::Usage, format!("`{}` cannot name a project", name.escape_debug()), why)
            .help("a name of a-z, 0-9 and -, such as `cyte new my-shop`")
    };
    if cyte_dna::GeneName::new(&name).is_err() {
        return Err(bad("a name has 1 to 63 characters out of a-z, 0-9 and -"));
    }
    if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Err(bad("a crate's name begins with a letter"));
    }
    if name.ends_with('-') {
        return Err(bad("a name does not end with -"));
    }
    if RESERVED.contains(&name.as_ref()) {
        return Err(bad("Rust keeps that name for itself"));
    }
    Ok(name.into_owned())
}

fn is_empty_folder(path: &Path) -> Result<bool, WorkshopError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => Ok(false),
        Err(e) => Err(WorkshopError::read(path, e)),
    }
}

/// Move all of `from`, which lies in `to`, one level up.
fn move_in(from: &Path, to: &Path) -> Result<(), WorkshopError> {
    let entries = fs::read_dir(from).map_err(|e| WorkshopError::read(from, e))?;
    for entry in entries.flatten() {
        cache::replace(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The finished files of a template: paths without `.tmpl`, placeholders filled in.
fn files_of(template: &str, name: &str) -> Result<Vec<(String, Vec<u8>)>, WorkshopError> {
    let folder = format!("{}/{template}", sources::TEMPLATES);
    let known = templates().iter().any(|t| t.name == template);
    if !known {
        let names: Vec<&str> = templates().iter().map(|t| t.name).collect();
        let why = format!("the templates are: {}", names.join(", "));
        return Err(WorkshopError::new(
            Kind::Usage,
            format!("no template `{}`", template.escape_debug()),
            why,
        )
        .help("`cyte new --list`"));
    }
    Ok(sources::under(&folder).map(|(path, bytes)| finish(path, bytes, name)).collect())
}

/// One file of a template: `.tmpl` files have their placeholders filled in, others stay.
fn finish(path: &str, bytes: &[u8], name: &str) -> (String, Vec<u8>) {
    let Some(out) = path.strip_suffix(".tmpl") else { return (path.to_owned(), bytes.to_vec()) };
    let up = "../".repeat(out.matches('/').count());
    let text = String::from_utf8_lossy(bytes)
        .replace("{{name}}", name)
        .replace("{{crate}}", &name.replace('-', "_"))
        .replace("{{version}}", sources::VERSION)
        .replace("{{sdk}}", &format!("{up}.cyte/{}", sdk_folder()));
    let text = match out.rsplit('/').next() {
        Some("Cargo.lock") => sorted_lock(&text),
        _ => text,
    };
    (out.to_owned(), text.into_bytes())
}

/// A lock file with its packages in cargo's order again, now that one of them has another name.
fn sorted_lock(text: &str) -> String {
    const MARK: &str = "[[package]]\n";
    let mut parts = text.split(MARK);
    let head = parts.next().unwrap_or_default();
    let mut packages: Vec<&str> = parts.map(str::trim_end).collect();
    packages.sort_by_key(|p| p.lines().next().unwrap_or_default());
    let packages: Vec<String> = packages.into_iter().map(|p| format!("{MARK}{p}\n")).collect();
    format!("{head}{}", packages.join("\n"))
}

/// The first sentence of a template's README, as plain text.
fn about(template: &str) -> String {
    let folder = format!("{}/{template}", sources::TEMPLATES);
    let readme = sources::under(&folder)
        .find(|(path, _)| ["README.md", "README.md.tmpl"].contains(path))
        .map(|(_, bytes)| String::from_utf8_lossy(bytes));
    first_sentence(&readme.unwrap_or_default())
}

/// The first sentence after the heading of a Markdown text, on one line, links as their text.
fn first_sentence(markdown: &str) -> String {
    let lines = markdown.lines().map(str::trim).skip_while(|l| l.is_empty() || l.starts_with('#'));
    let paragraph: Vec<&str> = lines.take_while(|l| !l.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    let sentence = paragraph.split(". ").next().and_then(|s| s.split(": ").next()).unwrap_or_default();
    let sentence = sentence.trim_end_matches('.');
    let mut text = String::new();
    let mut rest = sentence;
    while let Some((before, (link, after))) = rest
        .split_once('[')
        .and_then(|(before, link)| Some((before, link.split_once("](")?)))
        .and_then(|(before, (link, url))| Some((before, (link, url.split_once(')')?.1))))
    {
        text.push_str(before);
        text.push_str(link);
        rest = after;
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_cannot_name_a_crate_are_refused() {
        let long = "a".repeat(64);
        let bad = ["", "A", "a_b", "a.b", "1a", "-a", "a-", "fn", "test", "std", "ä", "a b", "a\nb", &long];
        for name in bad {
            let error = project_name(&Path::new("/tmp").join(format!("x/{name}"))).err();
            let error = match name {
                // The empty one makes the folder `x`, which can name a project.
                "" => continue,
                _ => error.expect(name),
            };
            assert_eq!(error.kind, Kind::Usage, "{name:?}");
            assert!(!error.what.contains('\n'), "{error}");
        }
        assert_eq!(project_name(Path::new("apps/my-shop2")).unwrap(), "my-shop2");
        assert!(project_name(Path::new("..x/a/..")).is_err());
    }

    #[test]
    fn placeholders_are_filled_in_templates_only() {
        let (path, text) = finish("gene/Cargo.toml.tmpl", b"{{name}} {{crate}} {{sdk}} {{other}}", "a-b");
        assert_eq!(path, "gene/Cargo.toml");
        let expected = format!("a-b a_b ../.cyte/sdk-{} {{{{other}}}}", sources::VERSION);
        assert_eq!(String::from_utf8(text).unwrap(), expected);
        assert_eq!(finish("a.rs", b"{{name}}", "n").1, b"{{name}}");
    }

    #[test]
    fn a_template_is_described_in_one_sentence() {
        let text = "# {{name}}\n\nThe folder [site](site/x), served\nby a [gene](g). More.\n\nElse.\n";
        assert_eq!(first_sentence(text), "The folder site, served by a gene");
        assert_eq!(first_sentence("# x"), "");
        assert_eq!(first_sentence("a [b c"), "a [b c");
        for template in templates() {
            assert!((10..90).contains(&template.about.len()), "{template:?}");
        }
    }

    #[test]
    fn a_lock_file_stays_in_order() {
        let text =
            "version = 4\n\n[[package]]\nname = \"zoo\"\nversion = \"1\"\n\n[[package]]\nname = \"bytes\"\n";
        let sorted =
            "version = 4\n\n[[package]]\nname = \"bytes\"\n\n[[package]]\nname = \"zoo\"\nversion = \"1\"\n";
        assert_eq!(sorted_lock(text), sorted);
    }
}
