//! What the workshop may know of the process around it: read once by `main`, handed in as a value.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::WorkshopError;

/// Variables of ours and of the outer cargo that an inner cargo must not see, by prefix.
const CLEARED: &[&str] = &["CARGO", "RUST"];

/// Exceptions to [`CLEARED`]: where crates come from and how cargo talks, never what it compiles.
const KEPT: &[&str] =
    &["CARGO_HOME", "CARGO_NET_", "CARGO_REGISTR", "CARGO_HTTP_", "CARGO_TERM_", "RUSTUP_HOME"];

/// Kept besides [`KEPT`] for calls of the Rust toolchain itself (`rustup`, `rustc --print`): where
/// toolchains come from, and whether rustup may fetch one unasked.
const KEPT_FOR_RUSTUP: &[&str] =
    &["RUSTUP_DIST_", "RUSTUP_UPDATE_ROOT", "RUSTUP_AUTO_INSTALL", "RUSTUP_USE_"];

/// Which way to the wasm32-wasip2 standard library is allowed (`CYTE_WASM_STD`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum WasmStdChoice {
    /// The first of the ways that works.
    #[default]
    Any,
    /// Only the one in the Rust toolchain (`CYTE_WASM_STD=rustup`).
    Rustup,
    /// Only the one made from Debian's packages (`CYTE_WASM_STD=debian`).
    Debian,
}

/// The process environment as the workshop sees it. Nothing below reads the process's own.
#[derive(Debug, Clone)]
pub struct Env {
    vars: BTreeMap<OsString, OsString>,
    cache: Option<PathBuf>,
    wasm_std: WasmStdChoice,
    colour: bool,
}

impl Env {
    /// The environment of this process; `colour` says whether tools may colour what they print.
    ///
    /// # Errors
    /// Kind `Usage` when `CYTE_WASM_STD` holds something else than
    /// `debian` or `rustup`.
    pub fn from_process(colour: bool) -> Result<Self, WorkshopError> {
        Self::from_vars(std::env::vars_os(), colour)
    }

    /// The same from given variables, for tests.
    ///
    /// # Errors
    /// As [`Env::from_process`].
    pub fn from_vars(
        vars: impl IntoIterator<Item = (OsString, OsString)>,
        colour: bool,
    ) -> Result<Self, WorkshopError> {
        let vars: BTreeMap<OsString, OsString> = vars.into_iter().collect();
        let get = |name: &str| vars.get(OsStr::new(name)).filter(|v| !v.is_empty());
        let wasm_std = match get("CYTE_WASM_STD").map(|v| v.to_string_lossy()) {
            None => WasmStdChoice::Any,
            Some(v) if v == "rustup" => WasmStdChoice::Rustup,
            Some(v) if v == "debian" => WasmStdChoice::Debian,
            Some(v) => return Err(WorkshopError::unknown_wasm_std(&v)),
        };
        // The rules of XDG: a relative XDG_CACHE_HOME counts as unset.
        let cache = get("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|p| p.is_absolute())
            .or_else(|| get("HOME").map(|h| Path::new(h).join(".cache")))
            .map(|p| p.join("cyte"));
        Ok(Self { vars, cache, wasm_std, colour })
    }

    /// The same environment with another cache folder.
    #[must_use]
    pub fn with_cache(mut self, cache: impl Into<PathBuf>) -> Self {
        self.cache = Some(cache.into());
        self
    }

    /// The same environment with one way to the standard library.
    #[must_use]
    pub fn with_wasm_std(mut self, choice: WasmStdChoice) -> Self {
        self.wasm_std = choice;
        self
    }

    /// The user's cache folder for cyte; everything in it can be deleted at any time.
    ///
    /// # Errors
    /// Kind `Write` where neither `XDG_CACHE_HOME` nor `HOME` is set.
    pub fn cache(&self) -> Result<&Path, WorkshopError> {
        self.cache.as_deref().ok_or_else(WorkshopError::no_cache)
    }

    /// Which way to the standard library is allowed.
    pub fn wasm_std(&self) -> WasmStdChoice {
        self.wasm_std
    }

    /// Whether tools may colour their messages.
    pub fn colour(&self) -> bool {
        self.colour
    }

    pub(super) fn var(&self, name: &str) -> Option<&OsStr> {
        self.vars.get(OsStr::new(name)).map(OsString::as_os_str)
    }

    /// Every variable an inner cargo gets, `CARGO*` and `RUST*` cleared but for the list.
    ///
    /// An outer cargo's flags are for the host; leaking through `CARGO_ENCODED_RUSTFLAGS` they
    /// break the wasm link.
    pub(super) fn for_cargo(&self) -> Vec<(OsString, OsString)> {
        self.filtered(KEPT)
    }

    /// Every variable that calls of `rustup` and questions to `rustc` get.
    pub(super) fn for_rustup(&self) -> Vec<(OsString, OsString)> {
        let kept: Vec<&str> = KEPT.iter().chain(KEPT_FOR_RUSTUP).copied().collect();
        self.filtered(&kept)
    }

    fn filtered(&self, kept: &[&str]) -> Vec<(OsString, OsString)> {
        let begins = |name: &str, with: &[&str]| with.iter().any(|p| name.starts_with(p));
        self.vars
            .iter()
            .filter(|(name, _)| {
                let name = name.to_string_lossy();
                !begins(&name, CLEARED) || begins(&name, kept)
            })
            .filter_map(|(name, value)| match name.to_str() {
                Some("LD_LIBRARY_PATH") => self.library_path(value).map(|v| (name.clone(), v)),
                _ => Some((name.clone(), value.clone())),
            })
            .collect()
    }

    /// `LD_LIBRARY_PATH` without what rustup put in: another compiler must not load its libraries.
    fn library_path(&self, value: &OsStr) -> Option<OsString> {
        let rustup = self
            .var("RUSTUP_HOME")
            .map(PathBuf::from)
            .or_else(|| self.var("HOME").map(|h| Path::new(h).join(".rustup")));
        let left = std::env::split_paths(value)
            .filter(|p| !p.as_os_str().is_empty())
            .filter(|p| rustup.as_ref().is_none_or(|r| !p.starts_with(r)));
        std::env::join_paths(left).ok().filter(|v| !v.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(vars: &[(&str, &str)]) -> Result<Env, WorkshopError> {
        Env::from_vars(vars.iter().map(|(k, v)| ((*k).into(), (*v).into())), false)
    }

    #[test]
    fn inner_cargo_sees_no_flags_of_the_outer() {
        let env = env(&[
            ("PATH", "/bin"),
            ("HOME", "/home/a"),
            ("CARGO", "/x/cargo"),
            ("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-cpu=native"),
            ("CARGO_MANIFEST_DIR", "/x"),
            ("CARGO_HOME", "/home/a/.cargo"),
            ("CARGO_NET_OFFLINE", "true"),
            ("CARGO_REGISTRIES_X_INDEX", "y"),
            ("RUSTFLAGS", "-Cx"),
            ("RUSTUP_TOOLCHAIN", "nightly"),
            ("RUSTUP_HOME", "/home/a/.rustup"),
            ("RUSTUP_AUTO_INSTALL", "0"),
            ("RUST_BACKTRACE", "1"),
            ("LD_LIBRARY_PATH", "/home/a/.rustup/toolchains/x/lib:/opt/lib"),
        ])
        .unwrap();
        let names: Vec<String> = env
            .for_cargo()
            .into_iter()
            .map(|(k, v)| format!("{}={}", k.to_string_lossy(), v.to_string_lossy()))
            .collect();
        assert_eq!(
            names,
            [
                "CARGO_HOME=/home/a/.cargo",
                "CARGO_NET_OFFLINE=true",
                "CARGO_REGISTRIES_X_INDEX=y",
                "HOME=/home/a",
                "LD_LIBRARY_PATH=/opt/lib",
                "PATH=/bin",
                "RUSTUP_HOME=/home/a/.rustup",
            ]
        );
        assert!(env.for_rustup().iter().any(|(k, _)| k == "RUSTUP_AUTO_INSTALL"));
    }

    #[test]
    fn cache_follows_xdg() {
        let cache = |vars: &[(&str, &str)]| env(vars).unwrap().cache().ok().map(Path::to_owned);
        assert_eq!(cache(&[("HOME", "/h")]), Some("/h/.cache/cyte".into()));
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]), Some("/c/cyte".into()));
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "rel")]), Some("/h/.cache/cyte".into()));
        assert_eq!(cache(&[]), None);
    }

    #[test]
    fn the_choice_of_way_is_checked() {
        assert_eq!(env(&[]).unwrap().wasm_std(), WasmStdChoice::Any);
        assert_eq!(env(&[("CYTE_WASM_STD", "")]).unwrap().wasm_std(), WasmStdChoice::Any);
        assert_eq!(env(&[("CYTE_WASM_STD", "debian")]).unwrap().wasm_std(), WasmStdChoice::Debian);
        let err = env(&[("CYTE_WASM_STD", "arch")]).unwrap_err();
        assert!(err.to_string().contains("arch"), "{err}");
    }
}
