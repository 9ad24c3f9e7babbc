//! Compilation: in a child process with caps, because a small valid module can take a compiler any
//! amount of time and memory, and an allocation that fails ends the process.
//!
//! The child gets the component on stdin and writes code to stdout. It has no environment, may
//! open no file and no socket, and is bounded in CPU, memory and output.

use std::{
    ffi::OsString,
    io::{self, Read, Write},
    process::{Child, Command, ExitCode, ExitStatus, Stdio},
    time::Duration,
};

use cyte_dna::limits::{COMPILE_CPU_MS, COMPILE_CPU_PER_MIB_MS, COMPILE_INPUT_BYTES, COMPILE_MEMORY_BYTES};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::{
    engines::{self, Kind},
    inspect,
};

/// Address space beside what compiling may use: the program itself.
const PROGRAM_BYTES: u64 = 256 << 20;

/// Most code that one component may become; about four times its Wasm is usual.
const CODE_BYTES_MAX: u64 = 512 << 20;

/// Exit status of a child whose component is at fault.
const UNFIT: u8 = 3;

/// What the child says, at most.
const MESSAGE_BYTES_MAX: u64 = 4 << 10;

/// Why no code came out.
#[derive(Debug)]
pub(crate) enum CompileError {
    /// The component is invalid.
    Unfit(String),
    /// Its CPU was spent.
    Slow(String),
    /// Another cap was hit.
    Cap(String),
    /// The child could not be run.
    Io(io::Error),
}

/// Who compiles, and how long it may take.
#[derive(Clone, Debug)]
pub struct Compiler {
    /// The program, with its first arguments, whose main calls [`child`].
    pub command: Vec<OsString>,
    /// CPU that one component may take, where a slow machine was given more than the usual.
    pub cpu: Option<Duration>,
}

impl Compiler {
    /// CPU that so many bytes of Wasm may take, in whole seconds.
    fn cpu_s(&self, size: u64) -> u64 {
        let usual = COMPILE_CPU_MS + size.div_ceil(1 << 20) * COMPILE_CPU_PER_MIB_MS;
        let ms = self.cpu.map_or(usual, |cpu| u64::try_from(cpu.as_millis()).unwrap_or(u64::MAX));
        ms.div_ceil(1_000)
    }
}

/// Compiles in a child. Blocks.
pub(crate) fn in_child(compiler: &Compiler, kind: Kind, wasm: &[u8]) -> Result<Vec<u8>, CompileError> {
    let size = wasm.len() as u64;
    if size > COMPILE_INPUT_BYTES {
        return Err(CompileError::Cap(format!("{size} bytes of Wasm, {COMPILE_INPUT_BYTES} are allowed")));
    }
    let cpu_s = compiler.cpu_s(size);
    let mut child = spawn(&compiler.command, kind, cpu_s).map_err(CompileError::Io)?;
    let result = converse(&mut child, wasm);
    if result.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(CompileError::Io)?;
    let (code, message) = result.map_err(CompileError::Io)?;
    judge(status, code, &message, size, cpu_s)
}

fn spawn(command: &[OsString], kind: Kind, cpu_s: u64) -> io::Result<Child> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::other("no compiler command is configured"))?;
    Command::new(program)
        .args(arguments)
        .arg(kind.as_str())
        .arg(cpu_s.to_string())
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
}

fn converse(child: &mut Child, wasm: &[u8]) -> io::Result<(Vec<u8>, String)> {
    let missing = || io::Error::other("the compiler child has no pipes");
    let mut stdin = child.stdin.take().ok_or_else(missing)?;
    let stdout = child.stdout.take().ok_or_else(missing)?;
    let stderr = child.stderr.take().ok_or_else(missing)?;
    std::thread::scope(|scope| {
        // A child that ends early closes the pipe; its status says why.
        scope.spawn(move || {
            let _ = stdin.write_all(wasm);
        });
        let message = scope.spawn(move || {
            let mut message = String::new();
            let _ = stderr.take(MESSAGE_BYTES_MAX).read_to_string(&mut message);
            message
        });
        let mut code = Vec::new();
        stdout.take(CODE_BYTES_MAX + 1).read_to_end(&mut code)?;
        if code.len() as u64 > CODE_BYTES_MAX {
            return Err(io::Error::other("the code is larger than allowed"));
        }
        Ok((code, message.join().unwrap_or_default()))
    })
}

fn judge(
    status: ExitStatus,
    code: Vec<u8>,
    message: &str,
    size: u64,
    cpu_s: u64,
) -> Result<Vec<u8>, CompileError> {
    use std::os::unix::process::ExitStatusExt;

    use rustix::process::Signal;

    if status.success() {
        return Ok(code);
    }
    if status.code() == Some(i32::from(UNFIT)) {
        return Err(CompileError::Unfit(message.trim().to_owned()));
    }
    let is = |signal: Signal| status.signal() == Some(signal.as_raw());
    if is(Signal::XCPU) || is(Signal::KILL) {
        let why =
            format!("compiling it takes more than the {cpu_s} s of CPU that {size} bytes of Wasm may take");
        return Err(CompileError::Slow(why));
    }
    Err(CompileError::Cap(if is(Signal::ABORT) || is(Signal::SEGV) || is(Signal::BUS) {
        format!("compiling it takes more than {} MiB of memory", COMPILE_MEMORY_BYTES >> 20)
    } else {
        format!("the compiler ended with {status}: {}", message.trim())
    }))
}

/// The child's whole life. `arguments` are the engine's kind and the CPU seconds.
pub fn child(arguments: &[String]) -> ExitCode {
    match compile_stdin(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            let _ = writeln!(io::stderr(), "{message}");
            ExitCode::from(UNFIT)
        }
    }
}

fn compile_stdin(arguments: &[String]) -> Result<(), String> {
    let [kind, cpu_s] = arguments else {
        return Err("two arguments are needed: engine and CPU seconds".into());
    };
    let kind = Kind::parse(kind).ok_or_else(|| format!("no engine is called {kind}"))?;
    let cpu_s = cpu_s.parse().map_err(|_| "the CPU seconds are no number".to_owned())?;
    enclose(cpu_s).map_err(|error| format!("cannot set my limits: {error}"))?;
    let mut wasm = Vec::new();
    io::stdin().take(COMPILE_INPUT_BYTES + 1).read_to_end(&mut wasm).map_err(|error| error.to_string())?;
    let component = inspect::as_component(&wasm)?;
    let engine = engines::compiler(kind).map_err(|error| format!("{error:#}"))?;
    let code = engine.precompile_component(&component).map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).map_err(|error| error.to_string())
}

/// Gives up everything that compiling does not need.
fn enclose(cpu_s: u64) -> rustix::io::Result<()> {
    let cap = |resource, value| {
        let hard = getrlimit(resource).maximum.map_or(value, |hard| hard.min(value));
        match setrlimit(resource, Rlimit { current: Some(hard), maximum: Some(hard) }) {
            // Linux always lets a hard limit go down. Emulators that count instructions do not;
            // there the soft one, which is what the kernel enforces, must do.
            Err(rustix::io::Errno::PERM) => {
                setrlimit(resource, Rlimit { current: Some(hard), ..getrlimit(resource) })
            }
            result => result,
        }
    };
    cap(Resource::Cpu, cpu_s)?;
    cap(Resource::As, COMPILE_MEMORY_BYTES + PROGRAM_BYTES)?;
    cap(Resource::Core, 0)?;
    cap(Resource::Fsize, 0)?;
    // The three pipes are open; with this, nothing else can be: no file, no socket.
    cap(Resource::Nofile, 3)
}
