//! `cyte new`: a project from a template inside the binary.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use super::table::table;
use super::{Context, Done, Exit, project};
use crate::codes::Code;
use crate::error::CliError;
use crate::workshop::new::{DEFAULT_TEMPLATE, create, templates};

/// Make a project: dna.toml, a gene, a test; offline
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte new hello && cd hello && cyte run .\n  cyte new site --template static-site\n  cyte new --list"
)]
pub(super) struct New {
    /// The folder to make; its name becomes the organism's
    #[arg(required_unless_present = "list")]
    name: Option<PathBuf>,
    /// What kind of project
    #[arg(long, value_name = "TEMPLATE", default_value = DEFAULT_TEMPLATE)]
    template: String,
    /// List the templates
    #[arg(long)]
    list: bool,
}

pub(super) fn run(verb: New, context: &Context) -> Done {
    if verb.list {
        return list(context);
    }
    let Some(folder) = verb.name else {
        return Err(
            CliError::new(Code::Usage, "cannot make a project", "it has no name").help("cyte new hello")
        );
    };
    let made = create(&folder, &verb.template).map_err(|error| project::workshop_error(&error))?;
    let value = json!({
        "v": 1,
        "name": made.name,
        "folder": made.folder,
        "template": verb.template,
        "files": made.files,
    });
    context.answer(&value, "", |_| {
        let shown = made.folder.display();
        format!("made {shown}/ ({})\nnext: cd {shown} && cyte run .\n", made.files.join(", "))
    })?;
    Ok(Exit::OK)
}

fn list(context: &Context) -> Done {
    let all = templates();
    let rows: Vec<Vec<String>> =
        all.iter().map(|template| vec![template.name.to_owned(), template.about.clone()]).collect();
    let items: Vec<_> =
        all.iter().map(|template| json!({"name": template.name, "about": template.about})).collect();
    context.answer(&json!({"v": 1, "templates": items}), "templates", |_| {
        table(&["TEMPLATE", "WHAT YOU GET"], &rows)
    })?;
    Ok(Exit::OK)
}
