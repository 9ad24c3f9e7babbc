//! Files that people name on the command line: read within a cap, written whole or not at all.

use std::io::{self, Read as _};
use std::path::Path;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cyte_dna::{DnaError, Germline, SigningKey};

use crate::codes::Code;
use crate::error::CliError;
use crate::state::atomic::write_atomic;
use crate::state::trust::dna_error;

/// The largest bundle: all its blobs, its manifest, and what holds them together.
pub(super) const BUNDLE_MAX: u64 = cyte_dna::limits::BUNDLE_BYTES + 8 * cyte_dna::limits::MIB;
/// The largest key or germline file.
const TEXT_MAX: u64 = 64 * 1024;

/// The bytes of `path`, at most `cap`.
///
/// # Errors
/// [`Code::Missing`] when it is not there, not readable or too large.
pub(super) fn read(path: &Path, cap: u64) -> Result<Vec<u8>, CliError> {
    let failed = |why: String| CliError::new(Code::Missing, format!("cannot read `{}`", path.display()), why);
    let file = std::fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(cap + 1).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    if bytes.len() as u64 > cap {
        return Err(failed(format!("it is larger than {cap} bytes")));
    }
    Ok(bytes)
}

/// The text of `path`.
///
/// # Errors
/// As [`read`]; also when it is not text.
pub(super) fn text(path: &Path) -> Result<String, CliError> {
    String::from_utf8(read(path, TEXT_MAX)?).map_err(|_| {
        CliError::new(Code::Missing, format!("cannot read `{}`", path.display()), "it is not text")
    })
}

/// Replaces `path` by `bytes` with `mode`, whole or not at all.
///
/// # Errors
/// [`Code::Write`] when it cannot be written; then the old file is still there.
pub(super) fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    write_io(path, bytes, mode).map_err(|error| {
        CliError::new(Code::Write, format!("cannot write `{}`", path.display()), error.to_string())
    })
}

fn write_io(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it has no plain file name"))?;
    write_atomic(&Dir::open_ambient_dir(parent, ambient_authority())?, name, bytes, mode)
}

/// As [`write`], but never over something that is there.
///
/// # Errors
/// [`Code::Write`] when something is there, or as [`write`].
pub(super) fn write_new(path: &Path, bytes: &[u8], mode: u32) -> Result<(), CliError> {
    if path.symlink_metadata().is_ok() {
        let why = "it exists, and a key is never overwritten";
        return Err(CliError::new(Code::Write, format!("cannot write `{}`", path.display()), why)
            .help("name another file, or remove it yourself"));
    }
    write(path, bytes, mode)
}

/// The signing key in `path`.
///
/// # Errors
/// [`Code::Key`] when it is not one, or other users may read it.
pub(super) fn signing_key(path: &Path) -> Result<SigningKey, CliError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |why: String| CliError::new(Code::Key, format!("cannot use key `{}`", path.display()), why);
    let meta = std::fs::metadata(path).map_err(|error| failed(error.to_string()))?;
    if meta.permissions().mode() & 0o077 != 0 {
        let why = format!("other users may read it (mode {:03o})", meta.permissions().mode() & 0o777);
        return Err(failed(why).help(format!("chmod 600 {}", path.display())));
    }
    SigningKey::from_text(&text(path)?)
        .map_err(|error| failed(error.to_string()).help("cyte dna keygen --out K makes one"))
}

/// The germline in `path`.
///
/// # Errors
/// [`Code::Key`] when it is not one.
pub(super) fn germline(path: &Path) -> Result<Germline, CliError> {
    Germline::from_text(&text(path)?).map_err(|error: DnaError| {
        let mut made = dna_error(&path.display().to_string(), &error);
        made.code = Code::Key;
        made.exit = Code::Key.exit();
        made
    })
}
