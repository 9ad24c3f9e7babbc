//! Tasks: genes that run once.

use crate::{Error, sys};

/// Runs once, from start to end, with arguments, stdin and stdout.
///
/// Implement it on a type of your own and name that type in [`task!`](crate::task).
///
/// ```
/// use cyte_sdk::prelude::*;
///
/// struct Greet;
///
/// impl Task for Greet {
///     fn run(args: &[String]) -> Result<(), Error> {
///         println!("hello {}", args.first().map_or("there", String::as_str));
///         Ok(())
///     }
/// }
///
/// cyte_sdk::task!(Greet);
/// ```
pub trait Task {
    /// Does the work. `args` are the arguments after the program's name.
    ///
    /// # Errors
    ///
    /// An error is written to stderr, with its causes, and the task ends with exit status 1.
    fn run(args: &[String]) -> Result<(), Error>;
}

/// Ends the task here with an exit status of its own.
///
/// Nothing after this call runs, and destructors do not either. In a native test it panics with
/// the status in its text.
pub fn exit(status: u8) -> ! {
    sys::exit(status)
}

/// Runs a task as the host sees it.
#[cfg_attr(not(target_family = "wasm"), allow(dead_code, reason = "called by the export"))]
pub(crate) fn run<T: Task>() -> Result<(), ()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    T::run(&args).map_err(|error| sys::error_line(&error.to_string()))
}
