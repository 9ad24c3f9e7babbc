//! A file of wishes as people write it: one table a gene, every fault with its line.
//!
//! Text in, wishes out; whether they are allowed is not asked here.

use std::collections::BTreeMap;
use std::ops::Range;

use cyte_dna::{GeneName, Scope, SourceError, limits};
use cyte_organism::wish::{Constraint, Count, Kind, Labels, OutOfEnvelope, PRIORITY_DEFAULT, Wish};
use serde::Deserialize;
use toml::Spanned;

use crate::codes::Code;
use crate::error::CliError;

/// The longest file of wishes, in bytes.
pub const FILE_MAX: usize = limits::WISH_FILE_BYTES;

/// Wishes with the places that they were written at.
#[derive(Debug)]
pub struct WishFile<'t> {
    name: &'t str,
    text: &'t str,
    entries: Vec<Placed>,
}

#[derive(Debug)]
struct Placed {
    wish: Wish,
    /// The gene's name in the head of its table.
    head: Range<usize>,
    /// Where each field's value stands.
    fields: BTreeMap<&'static str, Range<usize>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    gene: BTreeMap<Spanned<String>, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    version: Option<Spanned<String>>,
    count: Option<Spanned<Count>>,
    scope: Option<Spanned<Scope>>,
    labels: Option<Spanned<Labels>>,
    constraints: Option<Spanned<Vec<Constraint>>>,
    priority: Option<Spanned<u16>>,
    companions: Option<Spanned<Vec<GeneName>>>,
    expressor: Option<Spanned<Kind>>,
}

impl<'t> WishFile<'t> {
    /// Reads `text`; faults are shown with file name `name`.
    ///
    /// # Errors
    /// [`Code::Wish`]: the first fault with its line, the reason and what to write instead.
    pub fn parse(name: &'t str, text: &'t str) -> Result<Self, CliError> {
        let mut file = Self { name, text, entries: Vec::new() };
        if text.len() > FILE_MAX {
            let why = format!("it has {} bytes, the most is {FILE_MAX}", text.len());
            let made = CliError::new(Code::Wish, format!("cannot apply `{name}`"), why);
            return Err(made.help("split it into several files"));
        }
        let document: Document = toml::from_str(text).map_err(|error| file.syntax(&error))?;
        for (gene, entry) in document.gene {
            let head = gene.span();
            let name = GeneName::new(gene.get_ref())
                .map_err(|error| file.fault(head.clone(), error.to_string(), error.help()))?;
            file.entries.push(entry.place(name, head));
        }
        if file.entries.is_empty() {
            return Err(file.fault(0..0, "it wishes nothing", "add [gene.NAME] with count = \"1..4\""));
        }
        for placed in &file.entries {
            if let Err(error) = placed.wish.check() {
                let remedy = remedy(error.field);
                return Err(file.fault(placed.place_of(error.field), error.to_string(), remedy));
            }
        }
        Ok(file)
    }

    /// The wishes, ascending by gene.
    pub fn wishes(&self) -> impl Iterator<Item = &Wish> {
        self.entries.iter().map(|placed| &placed.wish)
    }

    /// A wish of this file that the DNA does not allow, with its line.
    pub fn outside(&self, error: &OutOfEnvelope) -> CliError {
        let placed = self.entries.iter().find(|placed| placed.wish.gene == error.gene);
        let span = placed.map_or(0..0, |placed| placed.place_of(error.field));
        let remedy = match error.field {
            "gene" => "cyte get lists the genes that may be wished for".to_owned(),
            _ => format!("ask for what is allowed (cyte get {}), or change the DNA", error.gene),
        };
        let mut made = self.fault(span, error.to_string(), remedy);
        (made.code, made.exit) = (Code::Envelope, Code::Envelope.exit());
        made
    }

    fn syntax(&self, error: &toml::de::Error) -> CliError {
        let span = error.span().unwrap_or(self.text.len()..self.text.len());
        let help =
            "a wish is [gene.NAME] with count = \"2..8\", scope, priority, labels, constraints, companions";
        self.fault(span, error.message(), help)
    }

    fn fault(&self, span: Range<usize>, message: impl Into<String>, help: impl Into<String>) -> CliError {
        let help = help.into();
        let shown = SourceError::new(span, message, "").render(self.name, self.text);
        let made = CliError::new(
            Code::Wish,
            format!("cannot apply `{}`", self.name),
            shown.strip_prefix("error: ").unwrap_or(&shown),
        );
        if help.is_empty() { made } else { made.help(help) }
    }
}

impl Placed {
    fn place_of(&self, field: &str) -> Range<usize> {
        self.fields.get(field).unwrap_or(&self.head).clone()
    }
}

impl Entry {
    fn place(self, gene: GeneName, head: Range<usize>) -> Placed {
        let mut fields = BTreeMap::new();
        let wish = Wish {
            version: taken(self.version, "version", &mut fields),
            count: taken(self.count, "count", &mut fields).unwrap_or_default(),
            scope: taken(self.scope, "scope", &mut fields).unwrap_or_default(),
            labels: taken(self.labels, "labels", &mut fields).unwrap_or_default(),
            constraints: taken(self.constraints, "constraints", &mut fields).unwrap_or_default(),
            priority: taken(self.priority, "priority", &mut fields).unwrap_or(PRIORITY_DEFAULT),
            companions: taken(self.companions, "companions", &mut fields).unwrap_or_default(),
            expressor: taken(self.expressor, "expressor", &mut fields).unwrap_or_default(),
            gene,
        };
        Placed { wish, head, fields }
    }
}

fn taken<T>(
    field: Option<Spanned<T>>,
    name: &'static str,
    fields: &mut BTreeMap<&'static str, Range<usize>>,
) -> Option<T> {
    let field = field?;
    fields.insert(name, field.span());
    Some(field.into_inner())
}

fn remedy(field: &str) -> &'static str {
    match field {
        "count" => "write count = 3, \"2..8\" or \"2..\"",
        "priority" => "write a priority from 0 to 1000",
        "labels" => "write labels = { team = \"web\" }, at most 32",
        "companions" => "name other genes, each once, at most 8",
        "constraints" => "write constraints = [\"os=linux\", \"not-with:other\"], at most 16",
        "version" => "write the version that the DNA gives the gene, or leave it out",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wish_says_what_it_says_and_leaves_the_rest_as_usual() {
        let text = "[gene.front]\ncount = \"2..8\"\npriority = 700\nlabels = { team = \"web\" }\n\
                    companions = [\"back\"]\nconstraints = [\"os=linux\"]\n[gene.back]\ncount = 3\n";
        let file = WishFile::parse("w.toml", text).unwrap();
        let wishes: Vec<_> = file.wishes().cloned().collect();
        assert_eq!(wishes[0], Wish { count: Count::exact(3), ..Wish::new("back".parse().unwrap()) });
        assert_eq!((wishes[1].count, wishes[1].priority), (Count::range(2, 8), 700));
        assert_eq!(wishes[1].companions, ["back".parse().unwrap()]);
    }

    #[test]
    fn every_fault_shows_its_line_and_a_remedy() {
        for (text, line, words) in [
            ("[gene.front]\ncount = \"8..2\"\n", 2, "empty"),
            ("[gene.front]\ncount = \"many\"\n", 2, "not a count"),
            ("[gene.front]\n\ncoutn = 3\n", 3, "unknown field `coutn`"),
            ("[gene.front]\npriority = 1001\n", 2, "above 1000"),
            ("[gene.Front]\ncount = 3\n", 1, "gene name"),
            ("[gene.front]\ncompanions = [\"front\"]\n", 2, "cannot come with itself"),
            ("[gene.front\n", 1, ""),
            ("", 1, "wishes nothing"),
        ] {
            let error = WishFile::parse("w.toml", text).unwrap_err();
            assert_eq!(error.code, Code::Wish, "{text}");
            assert!(error.why.contains(&format!("w.toml:{line}:")), "{text}: {}", error.why);
            assert!(error.why.contains(words), "{text}: {}", error.why);
            assert!(error.help.is_some(), "{text}");
        }
        let long = "#".repeat(FILE_MAX + 1);
        assert!(WishFile::parse("w.toml", &long).unwrap_err().why.contains("bytes"));
    }
}
