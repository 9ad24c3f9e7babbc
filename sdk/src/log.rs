//! The gene's log.
//!
//! Lines go out through `wasi:logging`, with their level. What is printed (`println!`,
//! `eprintln!`) reaches the log too, without one, and works under hosts that have no
//! `wasi:logging`. The host keeps a bounded rate and counts what it drops; a line is cut at its
//! limit (`cyte limits`).
//!
//! ```
//! use cyte_sdk::log;
//!
//! log::info!("{} items", 3);
//! ```

use crate::sys;

/// How much a line matters, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Steps of the code itself.
    Trace,
    /// What helps to find a fault.
    Debug,
    /// What normally happens.
    Info,
    /// Unexpected, and the work goes on.
    Warn,
    /// Something failed.
    Error,
}

/// Writes one line.
pub fn line(level: Level, message: &str) {
    sys::log(level, message);
}

/// Formats a line and writes it; what the macros stand for.
#[doc(hidden)]
pub fn __line(level: Level, message: std::fmt::Arguments<'_>) {
    match message.as_str() {
        Some(text) => line(level, text),
        None => line(level, &message.to_string()),
    }
}

/// Writes a line at level trace; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __trace {
    ($($arg:tt)*) => { $crate::log::__line($crate::log::Level::Trace, ::core::format_args!($($arg)*)) };
}

/// Writes a line at level debug; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __debug {
    ($($arg:tt)*) => { $crate::log::__line($crate::log::Level::Debug, ::core::format_args!($($arg)*)) };
}

/// Writes a line at level info; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __info {
    ($($arg:tt)*) => { $crate::log::__line($crate::log::Level::Info, ::core::format_args!($($arg)*)) };
}

/// Writes a line at level warn; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __warn {
    ($($arg:tt)*) => { $crate::log::__line($crate::log::Level::Warn, ::core::format_args!($($arg)*)) };
}

/// Writes a line at level error; takes what `format!` takes.
#[macro_export]
#[doc(hidden)]
macro_rules! __error {
    ($($arg:tt)*) => { $crate::log::__line($crate::log::Level::Error, ::core::format_args!($($arg)*)) };
}

#[doc(inline)]
pub use crate::{__debug as debug, __error as error, __info as info, __trace as trace, __warn as warn};

#[cfg(test)]
mod tests {
    use super::Level;
    use crate::testing;

    #[test]
    fn lines_are_seen_by_the_test() {
        testing::take_log();
        super::info!("{} items", 3);
        super::warn!("plain");
        assert_eq!(
            testing::take_log(),
            [(Level::Info, "3 items".to_owned()), (Level::Warn, "plain".to_owned())]
        );
    }
}
