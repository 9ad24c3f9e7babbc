//! `cyte top`: a live screen of a running host.
//!
//! It asks what every verb asks, once a second, and draws the answers; the host keeps nothing for it.
//! The terminal is given back on every way out: a key, a signal, an error, a panic.

mod draw;
mod model;

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers, poll, read};
use tokio::signal::unix::{SignalKind, signal};

use super::{Context, Done, Exit, Which, ask, span};
use crate::codes::Code;
use crate::control::client::Client;
use crate::error::CliError;
use model::{Look, Screen};

/// The soonest that a screen is drawn anew.
const EVERY_MIN: Duration = Duration::from_millis(100);
/// How far apart the two looks of `--once` are: rates need two.
const ONCE: Duration = Duration::from_millis(500);
/// How soon a signal is noticed.
const ATTENTION: Duration = Duration::from_millis(100);

/// Watch a running host: cells, requests, delays, memory, hormones
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  cyte top\n  cyte top --every 200ms\n  cyte top --once\n  cyte top --once --output json\n\nq ends it, the arrow keys move through the genes. REQ/S is since the screen before; P50 and P99 are\nof all calls of the gene; DELAY is how long requests wait for a cell; WANT is how many cells the law\nwants, GROWTH the level of its hormone."
)]
pub(super) struct Top {
    /// How often it looks, at most ten times a second
    #[arg(long, value_name = "SPAN", default_value = "1s", value_parser = span::parse)]
    every: Duration,
    /// One screen as text, for those who have no terminal
    #[arg(long)]
    once: bool,
    #[command(flatten)]
    which: Which,
}

pub(super) fn run(verb: &Top, context: &Context) -> Done {
    let client = ask::host(&verb.which, context)?;
    if verb.once {
        let before = look(&client)?;
        std::thread::sleep(ONCE);
        return once(&Screen::of(&look(&client)?, Some(&before)), context);
    }
    if context.is_json() || !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let why = "it needs a terminal to draw on and keys from it";
        return Err(CliError::new(Code::Usage, "cannot show a live screen", why).help("cyte top --once"));
    }
    live(&client, verb.every.max(EVERY_MIN))
}

fn once(screen: &Screen, context: &Context) -> Done {
    if context.is_json() {
        let value = serde_json::to_value(screen)
            .map_err(|error| CliError::new(Code::Machine, "cannot say what is there", error.to_string()))?;
        context.object(&value)?;
    } else {
        context.print(&draw::text(screen))?;
    }
    Ok(Exit::OK)
}

/// What the host says now.
fn look(client: &Client) -> Result<Look, CliError> {
    let (status, ps) = (client.get("/v1/status")?, client.get("/v1/ps")?);
    // A host without hormones has no such answer; one that is gone would have had none before.
    let hormones = client.get("/v1/hormones").ok();
    Ok(Look { status, ps, hormones, at: Instant::now() })
}

/// A terminal that is ours until this is dropped; a panic gives it back too.
struct Stage(DefaultTerminal);

impl Stage {
    fn enter() -> Result<Self, CliError> {
        ratatui::try_init().map(Self).map_err(|error| unshown(&error))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // Nothing is left to be done where the terminal itself is gone.
        let _ = ratatui::try_restore();
    }
}

fn unshown(error: &std::io::Error) -> CliError {
    CliError::new(Code::Machine, "cannot show a live screen", error.to_string()).help("cyte top --once")
}

fn live(client: &Client, every: Duration) -> Done {
    let is_over = signals()?;
    let mut stage = Stage::enter()?;
    let (mut before, mut shown) = (None, look(client)?);
    let mut first = 0;
    loop {
        let screen = Screen::of(&shown, before.as_ref());
        first = first.min(screen.genes.len().saturating_sub(1));
        stage.0.draw(|frame| draw::frame(frame, &screen, first)).map_err(|error| unshown(&error))?;
        match next(shown.at + every, &is_over).map_err(|error| unshown(&error))? {
            Next::End => return Ok(Exit::OK),
            Next::Look => before = Some(std::mem::replace(&mut shown, look(client)?)),
            Next::Draw => {}
            Next::Up(by) => first = first.saturating_sub(by),
            Next::Down(by) => first = first.saturating_add(by),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    End,
    Look,
    Draw,
    Up(usize),
    Down(usize),
}

/// What comes first: a key that means something, a signal, or the time to look again.
fn next(due: Instant, is_over: &AtomicBool) -> std::io::Result<Next> {
    loop {
        if is_over.load(Ordering::Relaxed) {
            return Ok(Next::End);
        }
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Next::Look);
        }
        if poll(left.min(ATTENTION))?
            && let Some(next) = meaning(&read()?)
        {
            return Ok(next);
        }
    }
}

fn meaning(event: &Event) -> Option<Next> {
    let (code, modifiers) = match event {
        Event::Key(KeyEvent {
            code, modifiers, kind: KeyEventKind::Press | KeyEventKind::Repeat, ..
        }) => (*code, *modifiers),
        Event::Resize(..) => return Some(Next::Draw),
        _ => return None,
    };
    match code {
        KeyCode::Char('c') if modifiers.contains(KeyModifiers::CONTROL) => Some(Next::End),
        KeyCode::Char('q') | KeyCode::Esc => Some(Next::End),
        KeyCode::Up | KeyCode::Char('k') => Some(Next::Up(1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Next::Down(1)),
        KeyCode::PageUp => Some(Next::Up(10)),
        KeyCode::PageDown => Some(Next::Down(10)),
        _ => None,
    }
}

/// Turns true at a signal that would end the program and leave the terminal as it is.
fn signals() -> Result<Arc<AtomicBool>, CliError> {
    let failed =
        |error: std::io::Error| CliError::new(Code::Machine, "cannot listen for signals", error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
    let mut signals = Vec::new();
    {
        let _inside = runtime.enter();
        for kind in kinds {
            signals.push(signal(kind).map_err(failed)?);
        }
    }
    let is_over = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_over);
    let listen = move || {
        runtime.block_on(async {
            futures_util::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
        });
        told.store(true, Ordering::Relaxed);
    };
    std::thread::Builder::new().name("signals".into()).spawn(listen).map_err(failed)?;
    Ok(is_over)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: KeyCode, modifiers: KeyModifiers) -> Option<Next> {
        meaning(&Event::Key(KeyEvent::new(code, modifiers)))
    }

    #[test]
    fn keys_mean_what_the_help_says() {
        assert_eq!(key(KeyCode::Char('q'), KeyModifiers::NONE), Some(Next::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::CONTROL), Some(Next::End));
        assert_eq!(key(KeyCode::Char('c'), KeyModifiers::NONE), None);
        assert_eq!(key(KeyCode::Down, KeyModifiers::NONE), Some(Next::Down(1)));
        assert_eq!(meaning(&Event::Resize(10, 10)), Some(Next::Draw));
        assert_eq!(meaning(&Event::FocusGained), None);
    }

    #[test]
    fn a_signal_ends_it_before_a_look_is_due() {
        let later = Instant::now() + Duration::from_secs(60);
        assert_eq!(next(later, &AtomicBool::new(true)).unwrap(), Next::End);
        assert_eq!(next(Instant::now(), &AtomicBool::new(false)).unwrap(), Next::Look);
    }
}
