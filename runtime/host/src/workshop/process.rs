//! Child processes under bounds: their time where it is not the user's own build, and what is
//! kept of their output in every case.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use super::{Notes, WorkshopError};

/// Output kept of a question to a tool; more is read and dropped.
const CAPTURE: usize = 1 << 20;
/// Longest line of a tool that is kept whole.
const LINE: usize = 256 << 10;
/// Lines of a tool's messages kept for the error.
const TAIL_LINES: usize = 200;
/// Pause between two looks at a child that has a time limit.
const STEP: Duration = Duration::from_millis(10);

/// What a bounded child left behind.
#[derive(Debug)]
pub(super) struct Captured {
    pub(super) ok: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// A command with exactly the given environment and nothing on stdin.
pub(super) fn command(program: impl Into<OsString>, vars: Vec<(OsString, OsString)>) -> Command {
    let mut command = Command::new(program.into());
    command.env_clear().envs(vars).stdin(Stdio::null());
    command
}

/// Run a short command within `limit`; `None` when it was killed for taking longer.
///
/// # Errors
/// Kind `Toolchain` when it cannot be started.
pub(super) fn capture(command: &mut Command, limit: Duration) -> Result<Option<Captured>, WorkshopError> {
    // A group of its own, so that the limit ends its children too and no pipe stays open.
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = spawn(command)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| {
        let out = scope.spawn(move || bounded(out));
        let err = scope.spawn(move || bounded(err));
        let status = wait(&mut child, limit)?;
        let (stdout, stderr) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
        Ok(status.map(|status| Captured { ok: status.success(), stdout, stderr }))
    })
}

/// The status and the last lines of a streamed child.
#[derive(Debug)]
pub(super) struct Streamed {
    pub(super) status: ExitStatus,
    pub(super) tail: String,
}

/// Run a build tool for as long as it takes: stderr goes to `notes` line by line, stdout to `line`.
///
/// # Errors
/// Kind `Toolchain` when it cannot be started or waited for.
pub(super) fn stream(
    command: &mut Command,
    notes: &dyn Notes,
    mut line: impl FnMut(&str),
) -> Result<Streamed, WorkshopError> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command)?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let tail = thread::scope(|scope| {
        let tail = scope.spawn(move || {
            let mut tail = VecDeque::new();
            lines(err, |line| {
                notes.tool(line);
                if tail.len() == TAIL_LINES {
                    tail.pop_front();
                }
                tail.push_back(line.to_owned());
            });
            Vec::from(tail).join("\n")
        });
        lines(out, |text| line(text));
        tail.join().unwrap_or_default()
    });
    let status = child.wait().map_err(|source| spawn_error(command, &source))?;
    Ok(Streamed { status, tail })
}

fn spawn(command: &mut Command) -> Result<Child, WorkshopError> {
    command.spawn().map_err(|source| spawn_error(command, &source))
}

fn spawn_error(command: &Command, source: &std::io::Error) -> WorkshopError {
    WorkshopError::spawn(&command.get_program().to_string_lossy(), source)
}

/// Wait at most `limit`, then kill the whole group. Counts its own pauses instead of a clock.
fn wait(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>, WorkshopError> {
    let failed = |source: std::io::Error| WorkshopError::spawn("a child process", &source);
    let steps = limit.as_millis() / STEP.as_millis().max(1);
    for _ in 0..steps.max(1) {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return Ok(Some(status));
        }
        thread::sleep(STEP);
    }
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        // An error means that it is gone already.
        let _ = rustix::process::kill_process_group(pid, rustix::process::Signal::KILL);
    }
    child.wait().map_err(failed)?;
    Ok(None)
}

/// Everything a pipe gives, the first [`CAPTURE`] bytes kept.
fn bounded(pipe: Option<impl Read>) -> String {
    let Some(mut pipe) = pipe else { return String::new() };
    let mut kept = Vec::new();
    let limit = u64::try_from(CAPTURE).unwrap_or(u64::MAX);
    // A pipe that breaks has said all it will say.
    let _ = pipe.by_ref().take(limit).read_to_end(&mut kept);
    let _ = std::io::copy(&mut pipe, &mut std::io::sink());
    String::from_utf8_lossy(&kept).into_owned()
}

/// Every line of a pipe without its end; a line longer than [`LINE`] comes in pieces.
fn lines(pipe: Option<impl Read>, mut each: impl FnMut(&str)) {
    let Some(pipe) = pipe else { return };
    let mut pipe = BufReader::new(pipe);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = u64::try_from(LINE).unwrap_or(u64::MAX);
        match pipe.by_ref().take(limit).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => each(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r'])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workshop::Silent;

    fn sh(script: &str) -> Command {
        let mut command = command("sh", vec![("PATH".into(), "/usr/bin:/bin".into())]);
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_slow_child_is_killed_with_its_children() {
        let done = capture(&mut sh("sleep 600 & sleep 600"), Duration::from_millis(50)).unwrap();
        assert!(done.is_none());
    }

    #[test]
    fn output_is_bounded_and_the_child_still_ends() {
        let done = capture(
            &mut sh("head -c 3000000 /dev/zero | tr '\\0' a; echo e >&2; exit 3"),
            Duration::from_secs(60),
        )
        .unwrap()
        .unwrap();
        assert!(!done.ok);
        assert_eq!(done.stdout.len(), CAPTURE);
        assert_eq!(done.stderr, "e\n");
    }

    #[test]
    fn streamed_lines_keep_a_tail() {
        let mut seen = Vec::new();
        let script = "for i in $(seq 500); do echo line$i >&2; done; echo a; echo b; exit 1";
        let done = stream(&mut sh(script), &Silent, |l| seen.push(l.to_owned())).unwrap();
        assert_eq!(seen, ["a", "b"]);
        assert_eq!(done.status.code(), Some(1));
        assert_eq!(done.tail.lines().count(), TAIL_LINES);
        assert!(done.tail.ends_with("line500"));
    }

    #[test]
    fn a_missing_tool_is_named() {
        let err = capture(&mut command("no-such-tool", vec![]), STEP).unwrap_err();
        assert!(err.to_string().contains("no-such-tool"), "{err}");
    }
}
