//! What a folder without a `dna.toml`, or a bare component, is: the text that could stand there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Kind, WorkshopError};

/// The defaults for a bare component: an organism of one gene.
pub(super) fn of_component(path: &Path) -> String {
    let name = name_of(path);
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    text(&name, &BTreeMap::from([(name.clone(), file)]))
}

/// The defaults for a folder.
///
/// # Errors
/// Kind `Missing`: nothing in it could be a gene, or two genes would have one name.
pub(super) fn of_folder(folder: &Path) -> Result<String, WorkshopError> {
    let canonical = fs::canonicalize(folder).map_err(|e| WorkshopError::read(folder, e))?;
    let name = name_of(&canonical);
    let in_genes = sources(&folder.join("genes"), "genes/")?;
    if !in_genes.is_empty() {
        return Ok(text(&name, &in_genes));
    }
    if is_crate(folder) || folder.join("index.html").is_file() {
        return Ok(text(&name, &BTreeMap::from([(name.clone(), ".".to_owned())])));
    }
    let loose: BTreeMap<String, String> =
        sources(folder, "")?.into_iter().filter(|(_, source)| source.ends_with(".wasm")).collect();
    if !loose.is_empty() {
        return Ok(text(&name, &loose));
    }
    let why = "it has no dna.toml, and no crate, genes/ folder, .wasm file or index.html either";
    Err(WorkshopError::new(Kind::Missing, format!("`{}` is not a project", folder.display()), why)
        .help("`cyte new NAME` makes a project"))
}

/// Everything directly in `folder` that could be a gene, by the name it gets.
fn sources(folder: &Path, below: &str) -> Result<BTreeMap<String, String>, WorkshopError> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(file) = entry.file_name().into_string() else { continue };
        let path = entry.path();
        let wasm = path.is_file() && file.ends_with(".wasm");
        if file.starts_with('.') || !(wasm || is_crate(&path) || path.join("index.html").is_file()) {
            continue;
        }
        let (name, source) = (name_of(&path), format!("{below}{file}"));
        if let Some(other) = found.insert(name.clone(), source.clone()) {
            let why = format!("`{other}` and `{source}` would both be the gene `{name}`");
            return Err(WorkshopError::new(
                Kind::Missing,
                format!("`{}` is not a project", folder.display()),
                why,
            )
            .help("rename one of them, or write a dna.toml"));
        }
    }
    Ok(found)
}

/// Whether the folder is a crate, not only a workspace of some.
pub(super) fn is_crate(folder: &Path) -> bool {
    let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    text.parse::<toml::Table>().is_ok_and(|manifest| manifest.contains_key("package"))
}

/// A name out of a file name: what is not allowed becomes `-`.
fn name_of(path: &Path) -> String {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let text: String =
        stem.chars().map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' }).collect();
    let text: String = text.trim_matches('-').chars().take(63).collect();
    if text.is_empty() { "gene".to_owned() } else { text }
}

fn text(organism: &str, genes: &BTreeMap<String, String>) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let mut out = format!("[organism]\nname = {}\n", quoted(organism));
    for (name, source) in genes {
        out.push_str(&format!("\n[gene.{name}]\nsource = {}\n", quoted(source)));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::cache::Temp;
    use super::*;

    fn folder(files: &[(&str, &str)]) -> Temp {
        let temp = Temp::beside(&std::env::temp_dir().join("My_Shop")).unwrap();
        for (name, text) in files {
            let path = temp.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        temp
    }

    fn genes(files: &[(&str, &str)]) -> Vec<String> {
        let text = of_folder(folder(files).path()).unwrap();
        let parsed = cyte_dna::DnaToml::parse(&text).unwrap_or_else(|e| panic!("{text}\n{e}"));
        assert!(parsed.organism.as_str().starts_with("my-shop"));
        parsed.genes.iter().map(|g| g.source.clone()).collect()
    }

    #[test]
    fn a_genes_folder_comes_first_then_the_crate_then_files_then_a_site() {
        let krate = "[package]\nname = \"x\"\n";
        let all: &[(&str, &str)] = &[
            ("genes/a/Cargo.toml", krate),
            ("genes/B.c.wasm", ""),
            ("genes/site/index.html", ""),
            ("genes/notes.md", ""),
            ("genes/lib/README", ""),
            ("Cargo.toml", krate),
            ("z.wasm", ""),
        ];
        assert_eq!(genes(all), ["genes/a", "genes/B.c.wasm", "genes/site"]);
        assert_eq!(genes(&[("Cargo.toml", krate), ("z.wasm", "")]), ["."]);
        assert_eq!(
            genes(&[("Cargo.toml", "[workspace]"), ("z.wasm", ""), ("y.wasm", "")]),
            ["y.wasm", "z.wasm"]
        );
        assert_eq!(genes(&[("index.html", ""), ("a.css", "")]), ["."]);
    }

    #[test]
    fn nothing_and_two_of_one_name_are_refused() {
        assert!(of_folder(folder(&[("a.txt", "")]).path()).unwrap_err().help.unwrap().contains("cyte new"));
        let twice = of_folder(folder(&[("genes/a.wasm", ""), ("genes/A.wasm", "")]).path()).unwrap_err();
        assert!(twice.why.contains("the gene `a`"), "{twice}");
    }

    #[test]
    fn any_file_name_gives_a_name() {
        for (file, name) in
            [("a.wasm", "a"), ("My_Gene.wasm", "my-gene"), ("ü.wasm", "gene"), ("...", "gene")]
        {
            assert_eq!(name_of(Path::new(file)), name);
        }
        let text = of_component(Path::new("/x/we\"ird\\.wasm"));
        let parsed = cyte_dna::DnaToml::parse(&text).unwrap();
        assert_eq!(parsed.genes.first().unwrap().source, "we\"ird\\.wasm");
        assert_eq!(parsed.organism.as_str(), "we-ird");
    }
}
