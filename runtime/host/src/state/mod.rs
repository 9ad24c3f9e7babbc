//! The state folder: everything one host keeps on disk, and the only place that touches it.
//!
//! ```text
//! lock         who holds the folder (flock; pid and control socket inside)
//! format       the version of this layout
//! host.key     the host's own secret, 0600; every other key of the host is derived from it
//! germline     whom this folder trusts
//! dna/         the last five bundles      current      which of them is in force
//! head.redb    accepted versions, time floor, sealed secrets, what is wanted, audit trail
//! phenotype.redb   what was observed, for a day
//! code/        compiled genes (a cache)   files/       what genes may write
//! logs/        guests' lines and events, rotated
//! ```
//!
//! Every file is replaced whole. The folder is the user's alone (0700), and a folder that holds
//! something else is refused rather than filled.

pub mod atomic;
pub mod bundles;
pub mod clock;
pub mod lock;
pub mod rotate;
pub mod secrets;
pub mod trust;

use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cyte_dna::HostKey;
use cyte_store::{Head, StoreError};

use crate::codes::Code;
use crate::error::CliError;
use lock::{Lock, LockError};

/// The version of the folder's layout that this build reads and writes.
pub const FORMAT: u32 = 1;
/// The name of a state folder inside a project.
pub const IN_PROJECT: &str = ".cyte";

const FOLDERS: [&str; 5] = ["dna", "code", "files", "folders", "logs"];
const KEY_CAP: u64 = 4 * 1024;

/// A state folder that this process holds.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    dir: Dir,
    head: Arc<Head>,
    host_key: HostKey,
    lock: Lock,
}

impl StateFolder {
    /// Opens the folder at `path` and takes its lock, making it when it is not there.
    ///
    /// # Errors
    /// [`Code::StateBusy`] when another process holds it, [`Code::StateNewer`] when a newer cyte
    /// wrote it, [`Code::State`] for everything else. Nothing of an existing folder has changed
    /// then, other than that its mode may have been tightened to 0700.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let path = make_folder(path)?;
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).map_err(|error| broken(&path, &error))?;
        let fresh = check_format(&path, &dir)?;
        let lock = Lock::take(&dir).map_err(|error| lock_error(&path, error))?;
        if fresh {
            lay_out(&dir).map_err(|error| broken(&path, &error))?;
        }
        let host_key = host_key(&dir).map_err(|error| broken(&path, &error))?;
        let head = Head::open(&path.join("head.redb")).map_err(|error| head_error(&path, &error))?;
        Ok(Self { path, dir, head: Arc::new(head), host_key, lock })
    }

    /// Where the folder is, with links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The folder itself.
    pub fn dir(&self) -> &Dir {
        &self.dir
    }

    /// What is kept durably.
    pub fn head(&self) -> &Arc<Head> {
        &self.head
    }

    /// The host's own secret.
    pub fn host_key(&self) -> &HostKey {
        &self.host_key
    }

    /// Writes into `lock` where this process can be asked.
    ///
    /// # Errors
    /// [`Code::State`] when the file cannot be written.
    pub fn announce(&mut self, socket: &Path) -> Result<(), CliError> {
        let path = self.path.clone();
        self.lock.announce(&socket.to_string_lossy()).map_err(|error| broken(&path, &error))
    }

    /// The folder of compiled code, a cache that may be deleted at any time.
    pub fn code_path(&self) -> PathBuf {
        self.path.join("code")
    }

    /// The file of what was observed.
    pub fn phenotype_path(&self) -> PathBuf {
        self.path.join("phenotype.redb")
    }

    /// The folder that gene `gene` may write under the name `from`, made on first use. `from` is
    /// a path as the DNA names it; its parts become folders and none may lead out.
    ///
    /// # Errors
    /// [`Code::State`] when it cannot be made or `from` would lead out of the folder.
    pub fn files_path(&self, gene: &str, from: &str) -> Result<PathBuf, CliError> {
        let mut path = self.path.join("files");
        path.push(plain_part(&self.path, gene)?);
        for part in from.split('/').filter(|part| !part.is_empty() && *part != ".") {
            path.push(plain_part(&self.path, part)?);
        }
        make_private(&path).map_err(|error| broken(&path, &error))?;
        Ok(path)
    }

    /// The folder of logs.
    ///
    /// # Errors
    /// [`Code::State`] when it cannot be opened.
    pub fn logs(&self) -> Result<Dir, CliError> {
        self.dir.open_dir("logs").map_err(|error| broken(&self.path, &error))
    }
}

/// Refuses a part that is not one plain folder name.
fn plain_part<'a>(state: &Path, part: &'a str) -> Result<&'a str, CliError> {
    if part.is_empty() || part == "." || part == ".." || part.contains(['/', '\0']) {
        let what = format!("cannot make a folder under `{}`", state.display());
        return Err(CliError::new(Code::State, what, format!("`{part}` is no plain name")));
    }
    Ok(part)
}

/// Makes the folder (0700), or checks one that is there, and resolves its path.
fn make_folder(path: &Path) -> Result<PathBuf, CliError> {
    match std::fs::metadata(path) {
        Ok(meta) if !meta.is_dir() => {
            return Err(state_error(path, "it is a file").help("--state DIR names a folder"));
        }
        Ok(meta) => check_owner(path, &meta)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_private(path).map_err(|error| broken(path, &error))?;
        }
        Err(error) => return Err(broken(path, &error)),
    }
    path.canonicalize().map_err(|error| broken(path, &error))
}

fn make_private(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Another user's folder is refused; ours is closed to others if it was open.
fn check_owner(path: &Path, meta: &std::fs::Metadata) -> Result<(), CliError> {
    let me = rustix::process::geteuid().as_raw();
    if meta.uid() != me {
        let why = format!("it belongs to user {}, this process runs as user {me}", meta.uid());
        return Err(state_error(path, &why).help("give it a folder of its own: --state DIR"));
    }
    if !is_ours_or_empty(path)? {
        let why = "it holds other files and no `format`, so it is not a state folder";
        return Err(state_error(path, why).help("give it a folder of its own: --state DIR"));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
            .map_err(|error| broken(path, &error))?;
    }
    Ok(())
}

/// A project's `.cyte` may hold the SDK and build outputs before the first run.
fn is_ours_or_empty(path: &Path) -> Result<bool, CliError> {
    if path.file_name().is_some_and(|name| name == IN_PROJECT) || path.join("format").exists() {
        return Ok(true);
    }
    let entries = std::fs::read_dir(path).map_err(|error| broken(path, &error))?;
    for entry in entries {
        if !is_begun(&entry.map_err(|error| broken(path, &error))?) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether an entry may be there because a process ended while it laid the folder out: `format`
/// comes last, and nothing is put into a folder before it.
fn is_begun(entry: &std::fs::DirEntry) -> bool {
    let name = entry.file_name();
    let is_empty = || match entry.file_type() {
        Ok(kind) if kind.is_dir() => {
            std::fs::read_dir(entry.path()).is_ok_and(|mut all| all.next().is_none())
        }
        _ => false,
    };
    name == lock::NAME
        || name.to_string_lossy().starts_with(".format.")
        || (FOLDERS.iter().any(|folder| name == *folder) && is_empty())
}

/// Whether the folder is new; an error when a newer cyte wrote it.
fn check_format(path: &Path, dir: &Dir) -> Result<bool, CliError> {
    let bytes = atomic::read_capped(dir, "format", 64).map_err(|error| broken(path, &error))?;
    let Some(bytes) = bytes else {
        return Ok(true);
    };
    let text = String::from_utf8_lossy(&bytes);
    match text.trim().parse::<u32>() {
        Ok(FORMAT) => Ok(false),
        Ok(newer) if newer > FORMAT => Err(CliError::new(
            Code::StateNewer,
            format!("cannot use state folder `{}`", path.display()),
            format!("it has format {newer}, this cyte knows formats up to {FORMAT}"),
        )
        .help("run the newer cyte, or use another folder: --state DIR")),
        _ => Err(state_error(path, "its `format` file does not hold a known number")),
    }
}

/// `format` comes last: a folder without it is laid out again.
fn lay_out(dir: &Dir) -> io::Result<()> {
    for folder in FOLDERS {
        let mut builder = cap_std::fs::DirBuilder::new();
        cap_std::fs::DirBuilderExt::mode(&mut builder, 0o700);
        match dir.create_dir_with(folder, &builder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    atomic::write_atomic(dir, "format", format!("{FORMAT}\n").as_bytes(), 0o600)
}

/// Reads the host's key, or makes and keeps one. A damaged key is never replaced: what it sealed
/// would be lost for good.
fn host_key(dir: &Dir) -> io::Result<HostKey> {
    let damaged = |error: cyte_dna::DnaError| {
        io::Error::new(io::ErrorKind::InvalidData, format!("`host.key`: {error}"))
    };
    if let Some(bytes) = atomic::read_capped(dir, "host.key", KEY_CAP)? {
        return HostKey::from_text(&String::from_utf8_lossy(&bytes)).map_err(damaged);
    }
    let mut random = [0_u8; 32];
    getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
    let key = HostKey::generate(random).map_err(damaged)?;
    atomic::write_atomic(dir, "host.key", key.to_text().as_bytes(), 0o600)?;
    Ok(key)
}

fn lock_error(path: &Path, error: LockError) -> CliError {
    let what = format!("cannot use state folder `{}`", path.display());
    match error {
        LockError::Held(Some(holder)) => {
            CliError::new(Code::StateBusy, what, format!("process {} holds it", holder.pid))
                .help(format!("stop it (kill {}), or use another folder: --state DIR", holder.pid))
        }
        LockError::Held(None) => CliError::new(Code::StateBusy, what, "another process holds it")
            .help("use another folder: --state DIR"),
        LockError::Io(error) => broken(path, &error),
    }
}

pub(crate) fn head_error(path: &Path, error: &StoreError) -> CliError {
    state_error(path, &error.to_string())
}

fn broken(path: &Path, error: &io::Error) -> CliError {
    state_error(path, &error.to_string())
}

fn state_error(path: &Path, why: &str) -> CliError {
    CliError::new(Code::State, format!("cannot use state folder `{}`", path.display()), why)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// A folder that goes with its test; a failed test leaves it, so that one can look.
    #[derive(Debug)]
    pub(crate) struct Scratch(PathBuf);

    impl std::ops::Deref for Scratch {
        type Target = Path;

        fn deref(&self) -> &Path {
            &self.0
        }
    }

    impl AsRef<Path> for Scratch {
        fn as_ref(&self) -> &Path {
            &self.0
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                let _ = std::fs::remove_dir_all(&self.0);
            }
        }
    }

    /// An empty folder of this test's own.
    pub(crate) fn scratch(name: &str) -> (Scratch, Dir) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("cyte-{name}-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let dir = Dir::open_ambient_dir(&path, ambient_authority()).unwrap();
        (Scratch(path), dir)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_new_folder_is_private_and_complete() {
        let (path, _) = scratch("fresh");
        let state = path.join("a/b");
        let folder = StateFolder::open(&state).unwrap();
        assert_eq!(mode(&state), 0o700);
        assert_eq!(mode(&state.join("host.key")), 0o600);
        assert_eq!(std::fs::read_to_string(state.join("format")).unwrap(), "1\n");
        for name in FOLDERS {
            assert!(state.join(name).is_dir());
        }
        let id = folder.host_key().id();
        drop(folder);
        let again = StateFolder::open(&state).unwrap();
        assert_eq!(again.host_key().id(), id, "the key is kept");
    }

    #[test]
    fn a_second_run_is_told_the_pid() {
        let (path, _) = scratch("second");
        let _first = StateFolder::open(&path).unwrap();
        let error = StateFolder::open(&path).unwrap_err();
        assert_eq!(error.code, Code::StateBusy);
        assert!(error.why.contains(&std::process::id().to_string()), "{}", error.why);
    }

    #[test]
    fn a_newer_folder_is_left_alone() {
        let (path, _) = scratch("newer");
        std::fs::write(path.join("format"), "2\n").unwrap();
        let error = StateFolder::open(&path).unwrap_err();
        assert_eq!(error.code, Code::StateNewer);
        assert!(error.why.contains("format 2"));
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 1, "nothing was added");
    }

    #[test]
    fn a_folder_of_other_things_is_refused_but_a_projects_is_not() {
        let (path, _) = scratch("other");
        std::fs::write(path.join("thesis.txt"), "x").unwrap();
        let error = StateFolder::open(&path).unwrap_err();
        assert_eq!(error.code, Code::State);
        let project = path.join(IN_PROJECT);
        std::fs::create_dir_all(project.join("sdk-0.1.0")).unwrap();
        StateFolder::open(&project).unwrap();
        assert_eq!(mode(&project), 0o700);
    }

    #[test]
    fn a_folder_that_was_being_laid_out_is_laid_out_again() {
        let (path, _) = scratch("begun");
        std::fs::write(path.join("lock"), "{}").unwrap();
        std::fs::create_dir(path.join("dna")).unwrap();
        std::fs::write(path.join(".format.7.tmp"), "").unwrap();
        StateFolder::open(&path).unwrap();
        let (path, _) = scratch("not-begun");
        std::fs::create_dir(path.join("files")).unwrap();
        std::fs::write(path.join("files/thesis.txt"), "x").unwrap();
        assert_eq!(StateFolder::open(&path).unwrap_err().code, Code::State);
    }

    #[test]
    fn a_damaged_key_is_an_error_and_is_not_replaced() {
        let (path, _) = scratch("badkey");
        drop(StateFolder::open(&path).unwrap());
        std::fs::write(path.join("host.key"), "zz").unwrap();
        assert_eq!(StateFolder::open(&path).unwrap_err().code, Code::State);
        assert_eq!(std::fs::read_to_string(path.join("host.key")).unwrap(), "zz");
    }

    #[test]
    fn writable_folders_cannot_lead_out() {
        let (path, _) = scratch("files");
        let folder = StateFolder::open(&path).unwrap();
        let inside = folder.files_path("front", "./data//deep").unwrap();
        assert!(inside.ends_with("files/front/data/deep") && inside.is_dir());
        assert!(folder.files_path("front", "../x").is_err());
        assert!(folder.files_path("..", "x").is_err());
    }
}
