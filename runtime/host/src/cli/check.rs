//! `cyte check`: what `build` does, without side effects.

use std::path::PathBuf;

use clap::Args;
use cyte_dna::{Descent, Germline, SigningKey};

use super::{Context, Done, build, project};
use crate::codes::Code;
use crate::error::CliError;
use crate::workshop::Mode;

/// Look for faults without changing anything: dna.toml, genes, routes, imports
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  cyte check\n  cyte check examples/hello")]
pub(super) struct Check {
    /// The project: a folder, a dna.toml, or a component
    #[arg(default_value = ".")]
    path: PathBuf,
}

pub(super) fn run(verb: &Check, context: &Context) -> Done {
    let made = project::make(project::open(&verb.path)?, Mode::Check, context)?;
    made.check_imports()?;
    let facts = build::facts(&made);
    // A manifest that no key ever signs, only to have its rules checked.
    let organism = made.project.toml().organism.clone();
    let key = SigningKey::generate(std::array::from_fn(|i| i as u8))
        .map_err(|error| CliError::new(Code::Machine, "cannot check", error.to_string()))?;
    made.assemble(Descent::first(Germline::single(organism, key.public())))?;
    // Only now: a table above a fault would read as if all were well.
    build::show(&facts, context)
}
