//! The one place that turns bytes into running native code.

use wasmtime::{Engine, component::Component};

/// Loads compiled code.
///
/// The caller hands in only what came from this host's compiler child or, authenticated, from the
/// code cache; nothing else may ever reach this function.
#[expect(unsafe_code, reason = "loading compiled code is unsafe by nature; see SAFETY below")]
pub(crate) fn component(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `code` was made by `Engine::precompile_component` of this same binary: either a
    // moment ago in our own child, or earlier and then kept under a MAC with this host's key.
    // wasmtime itself refuses code of another version or configuration.
    unsafe { Component::deserialize(engine, code) }
}
