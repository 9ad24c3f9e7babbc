//! The command line: what can be typed, and what every verb shares.
//!
//! One file a verb. A verb takes its arguments and a [`Context`], prints data on standard output
//! and notes on standard error, and ends with an exit status or a [`CliError`]; rendering that is
//! done here and nowhere else.

mod ask;
mod bench;
mod build;
mod cells;
mod check;
mod completions;
mod dev;
mod develop;
mod dna;
mod events;
mod explain;
mod files;
mod hormones;
mod hosts;
mod inspect;
mod limits;
mod logs;
mod new;
mod output;
mod project;
mod ps;
mod record;
mod replay;
mod run;
mod secret;
mod sim;
mod span;
mod table;
mod top;
mod tree;
mod when;
mod why;
mod wish;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

use crate::codes::Code;
use crate::error::CliError;
use crate::voice;
pub use output::{Context, Output};

/// How a verb ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exit(pub u8);

impl Exit {
    /// All is well.
    pub const OK: Self = Self(0);
    /// There are differences, and saying so was the question.
    pub const DIFFERENCES: Self = Self(3);
}

/// How a verb ends.
pub type Done = Result<Exit, CliError>;

/// A host for WebAssembly cells: signed genes in, HTTP out, everything else denied.
#[derive(Debug, Parser)]
#[command(
    name = "cyte",
    version,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "Examples:\n  cyte new hello && cd hello\n  cyte run .\n  cyte ps\n\nEvery verb has an example: cyte VERB --help"
)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands, before it or after it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Everywhere")]
pub struct Globals {
    /// Start in this folder: relative paths are looked for there
    #[arg(short = 'C', value_name = "DIR", global = true)]
    folder: Option<PathBuf>,
    /// How data is printed: for people, as one JSON object, or as one object a line
    #[arg(
        long,
        value_enum,
        value_name = "FORM",
        global = true,
        env = "CYTE_OUTPUT",
        hide_env = true,
        default_value = "text"
    )]
    output: Output,
    /// Say less: no notes on standard error
    #[arg(short, long, global = true)]
    quiet: bool,
    /// Say more; -vv says what the host's code says while one debugs it
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// When to colour; NO_COLOR and CLICOLOR_FORCE count for `auto`
    #[arg(long, value_enum, value_name = "WHEN", global = true, default_value = "auto")]
    color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

#[derive(Debug, Subcommand)]
enum Verb {
    New(new::New),
    Build(build::Build),
    Check(check::Check),
    Run(run::Run),
    Dev(dev::Dev),
    Hosts(hosts::Hosts),
    Host(hosts::HostVerb),
    Dna(dna::Dna),
    Ps(ps::Ps),
    Top(top::Top),
    Inspect(inspect::Inspect),
    Logs(logs::Logs),
    Events(events::Events),
    Apply(wish::Apply),
    Get(wish::Get),
    Delete(wish::Delete),
    Search(wish::Search),
    Why(why::Why),
    Divide(cells::Divide),
    Kill(cells::Kill),
    Hormones(hormones::Hormones),
    Hormone(hormones::HormoneVerb),
    Record(record::Record),
    Replay(replay::Replay),
    Limits(limits::Limits),
    Secret(secret::Secret),
    Bench(bench::Bench),
    Sim(sim::Sim),
    Explain(explain::Explain),
    Completions(completions::Completions),
}

/// Which running host is meant.
#[derive(Debug, Clone, Args)]
pub struct Which {
    /// The state folder of the host that is meant
    #[arg(long, value_name = "DIR", env = "CYTE_STATE", hide_env = true)]
    state: Option<PathBuf>,
}

/// Runs the command line `args` (the program first) and says how it ended.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output with status 0, the rest is a usage error.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Code::Usage.exit()));
        }
    };
    let context = Context::new(&cli.globals);
    voice::start(context.verbose, context.quiet);
    let ended = enter(&cli.globals).and_then(|()| dispatch(cli.verb, &context));
    voice::finish();
    match ended {
        Ok(Exit(status)) => ExitCode::from(status),
        Err(error) => {
            context.error(&error);
            ExitCode::from(error.exit)
        }
    }
}

fn enter(globals: &Globals) -> Result<(), CliError> {
    let Some(folder) = &globals.folder else { return Ok(()) };
    std::env::set_current_dir(folder).map_err(|error| {
        CliError::new(Code::Missing, format!("cannot start in `{}`", folder.display()), error.to_string())
            .help("-C DIR names a folder that is there")
    })
}

fn dispatch(verb: Verb, context: &Context) -> Done {
    match verb {
        Verb::New(verb) => new::run(verb, context),
        Verb::Build(verb) => build::run(&verb, context),
        Verb::Check(verb) => check::run(&verb, context),
        Verb::Run(verb) => run::run(verb, context),
        Verb::Dev(verb) => dev::run(&verb, context),
        Verb::Hosts(verb) => hosts::run(&verb, context),
        Verb::Host(verb) => hosts::act(&verb, context),
        Verb::Dna(verb) => dna::run(verb, context),
        Verb::Top(verb) => top::run(&verb, context),
        Verb::Ps(verb) => ps::run(&verb, context),
        Verb::Inspect(verb) => inspect::run(&verb, context),
        Verb::Logs(verb) => logs::run(&verb, context),
        Verb::Events(verb) => events::run(&verb, context),
        Verb::Apply(verb) => wish::apply(&verb, context),
        Verb::Get(verb) => wish::get(&verb, context),
        Verb::Delete(verb) => wish::delete(&verb, context),
        Verb::Search(verb) => wish::search(&verb, context),
        Verb::Why(verb) => why::run(&verb, context),
        Verb::Divide(verb) => cells::divide(&verb, context),
        Verb::Kill(verb) => cells::kill(&verb, context),
        Verb::Hormones(verb) => hormones::run(&verb, context),
        Verb::Hormone(verb) => hormones::release(&verb, context),
        Verb::Record(verb) => record::run(&verb, context),
        Verb::Replay(verb) => replay::run(&verb, context),
        Verb::Limits(verb) => limits::run(&verb, context),
        Verb::Secret(verb) => secret::run(verb, context),
        Verb::Bench(verb) => bench::run(verb, context),
        Verb::Sim(verb) => sim::run(&verb, context),
        Verb::Explain(verb) => explain::run(&verb, context),
        Verb::Completions(verb) => completions::run(&verb, context),
    }
}

#[cfg(test)]
mod tests;
