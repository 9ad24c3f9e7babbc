//! What the library needs from where it runs: the WASI host, or a native test.
//!
//! Both modules give the same functions; nothing else in the crate asks which one it is. Public for
//! the macros only.

#[cfg(target_family = "wasm")]
pub(crate) mod bridge;
#[cfg(any(target_family = "wasm", test))]
pub(crate) mod fields;
#[cfg(not(target_family = "wasm"))]
mod native;
#[cfg(target_family = "wasm")]
mod streams;
#[cfg(target_family = "wasm")]
mod told;
#[cfg(target_family = "wasm")]
mod wasi;

#[cfg(not(target_family = "wasm"))]
pub(crate) use native::*;
#[cfg(target_family = "wasm")]
pub(crate) use {bridge::open, streams::*, wasi::DroneRequest as Source};
#[cfg(target_family = "wasm")]
pub use {told::*, wasi::*};

/// Refuses, when the gene is compiled, a number of uses that the host could not read.
pub const fn check_reuse(uses: u32, text: &str) {
    assert!(uses >= 1, "reuse counts uses, from 1");
    let mut rest = text.as_bytes();
    while let [first, others @ ..] = rest {
        assert!(first.is_ascii_digit(), "write reuse in plain digits");
        rest = others;
    }
}

/// The bytes of a text whose length is known.
#[must_use]
pub const fn digits<const N: usize>(text: &str) -> [u8; N] {
    match text.as_bytes().first_chunk::<N>() {
        Some(digits) => *digits,
        None => [b'1'; N],
    }
}
