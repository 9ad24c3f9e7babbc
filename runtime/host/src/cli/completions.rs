//! `cyte completions`: what a shell needs to complete command lines.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, Context, Done, Exit};

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte completions bash > ~/.local/share/bash-completion/completions/cyte\n  cyte completions fish > ~/.config/fish/completions/cyte.fish\n  cyte completions zsh > ~/.zfunc/_cyte"
)]
pub(super) struct Completions {
    /// The shell that is to complete
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(verb: &Completions, context: &Context) -> Done {
    let mut script = Vec::new();
    clap_complete::generate(verb.shell, &mut Cli::command(), "cyte", &mut script);
    context.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::OK)
}
