//! Which running host is meant, and where its socket is.
//!
//! Sockets lie in the user's runtime folder under a hash of the state folder's path, because a
//! socket's path may have at most 107 bytes. Beside each lies a small file that names its state
//! folder; together they are the list of running hosts. Both are hints: whether a host runs is
//! decided by the lock of its state folder.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use cyte_dna::Digest;
use serde::{Deserialize, Serialize};

use crate::codes::Code;
use crate::error::CliError;
use crate::state::{IN_PROJECT, atomic, lock};

/// The longest path that a Unix socket's address holds.
const SOCKET_PATH_MAX: usize = 107;
/// How many running hosts are looked at; more were not started by one person.
const HOSTS_MAX: usize = 1_024;

/// A running host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Its state folder.
    pub state: PathBuf,
    /// Its control socket.
    pub socket: PathBuf,
}

/// What says which host is meant.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `--state`, which wins, or CYTE_STATE.
    pub state: Option<PathBuf>,
    /// The folder that the nearest project is looked for from.
    pub from: PathBuf,
    /// XDG_RUNTIME_DIR, where it is set.
    pub runtime: Option<PathBuf>,
}

/// The host that is meant, and whether it was guessed because it is the only one.
///
/// # Errors
/// [`Code::NoHost`] when none runs there, [`Code::ManyHosts`] when it cannot be told which.
pub fn find(asked: &Asked) -> Result<(Running, bool), CliError> {
    if let Some(state) = &asked.state {
        return match running(state) {
            Some(found) => Ok((found, false)),
            None => Err(no_host(&format!("no host runs on state folder `{}`", state.display()))),
        };
    }
    if let Some(found) = nearest_project(&asked.from).and_then(|state| running(&state)) {
        return Ok((found, false));
    }
    only_one(list(asked.runtime.as_deref()))
}

/// Every running host of this user, by state folder.
pub fn list(runtime: Option<&Path>) -> Vec<Running> {
    let mut all: Vec<_> = candidates(runtime)
        .iter()
        .filter_map(|folder| Dir::open_ambient_dir(folder, ambient_authority()).ok())
        .flat_map(|folder| registered(&folder))
        .filter_map(|entry| running(&entry.state))
        .collect();
    all.sort_by(|a, b| a.state.cmp(&b.state));
    all.dedup();
    all
}

fn only_one(mut all: Vec<Running>) -> Result<(Running, bool), CliError> {
    match (all.pop(), all.is_empty()) {
        (Some(only), true) => Ok((only, true)),
        (Some(last), false) => {
            all.push(last);
            let lines: Vec<_> =
                all.iter().map(|host| format!("pid {}  {}", host.pid, host.state.display())).collect();
            let why = format!("more than one runs:\n{}", lines.join("\n"));
            Err(CliError::new(Code::ManyHosts, "cannot tell which host is meant", why)
                .help("name its state folder: --state DIR"))
        }
        (None, _) => Err(no_host("no host of this user runs")),
    }
}

fn no_host(why: &str) -> CliError {
    CliError::new(Code::NoHost, "cannot ask a host", why).help("cyte run PATH starts one")
}

/// The state folder of the nearest project at or above `from`.
pub fn nearest_project(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(IN_PROJECT)).find(|state| state.join("format").is_file())
}

/// The host that holds state folder `state`, if one does and says where it listens.
fn running(state: &Path) -> Option<Running> {
    let state = state.canonicalize().ok()?;
    let dir = Dir::open_ambient_dir(&state, ambient_authority()).ok()?;
    let holder = lock::holder(&dir).ok()??;
    Some(Running { pid: holder.pid, socket: PathBuf::from(holder.socket?), state })
}

fn registered(folder: &Dir) -> Vec<Running> {
    let Ok(entries) = folder.entries() else { return Vec::new() };
    entries
        .take(HOSTS_MAX * 2)
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with(".json"))
        .filter_map(|name| atomic::read_capped(folder, &name, 8 * 1024).ok()?)
        .filter_map(|bytes| serde_json::from_slice(&bytes).ok())
        .collect()
}

/// Removes what hosts left behind that ended badly. A folder whose lock is held is left alone even
/// if it says nothing yet: that host is just starting.
fn forget_dead(folder: &Dir) {
    for entry in registered(folder) {
        let is_dead = match Dir::open_ambient_dir(&entry.state, ambient_authority()) {
            Ok(state) => matches!(lock::holder(&state), Ok(None)),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        let name = entry.socket.file_stem().map(|name| name.to_string_lossy().into_owned());
        if let (true, Some(name)) = (is_dead, name) {
            for kind in ["json", "sock"] {
                let _ = folder.remove_file(format!("{name}.{kind}"));
            }
        }
    }
}

/// A host's place in the list of running hosts; its files go when it is dropped.
#[derive(Debug)]
pub struct Place {
    folder: Dir,
    name: String,
    socket: PathBuf,
}

impl Place {
    /// Makes the place for the host on `state`, in the first runtime folder that is usable.
    ///
    /// # Errors
    /// [`Code::Machine`] when there is none.
    pub fn make(state: &Path, runtime: Option<&Path>) -> Result<Self, CliError> {
        let name = Digest::of(state.as_os_str().as_bytes()).to_string();
        let name = name.get(..20).unwrap_or(&name).to_owned();
        let mut why = String::from("no runtime folder has a path that is short enough");
        for folder in candidates(runtime) {
            let socket = folder.join(format!("{name}.sock"));
            if socket.as_os_str().len() > SOCKET_PATH_MAX {
                continue;
            }
            match private_folder(&folder) {
                Ok(()) => match Dir::open_ambient_dir(&folder, ambient_authority()) {
                    Ok(folder) => return Ok(Self { folder, name, socket }),
                    Err(error) => why = format!("`{}`: {error}", folder.display()),
                },
                Err(error) => why = format!("`{}`: {error}", folder.display()),
            }
        }
        Err(CliError::new(Code::Machine, "cannot make a control socket", why)
            .help("set XDG_RUNTIME_DIR to a folder of your own"))
    }

    /// Where the socket belongs, free to be bound. A leftover of a host that ended badly is
    /// removed: the caller holds the state folder's lock, so nobody else can be using it.
    pub fn socket(&self) -> &Path {
        let _ = self.folder.remove_file(format!("{}.sock", self.name));
        &self.socket
    }

    /// Where the socket is.
    pub fn path(&self) -> &Path {
        &self.socket
    }

    /// Enters the host into the list.
    ///
    /// # Errors
    /// What the file system says.
    pub fn register(&self, state: &Path) -> io::Result<()> {
        let running =
            Running { pid: std::process::id(), state: state.to_owned(), socket: self.socket.clone() };
        let text = serde_json::to_vec(&running)?;
        forget_dead(&self.folder);
        // Not synced: after a power cut there is no running host to be found.
        let temporary = format!(".{}.tmp", self.name);
        self.folder.write(&temporary, &text)?;
        self.folder.rename(&temporary, &self.folder, format!("{}.json", self.name))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for kind in ["sock", "json"] {
            // A leftover is a hint that is not believed; failing to remove it harms nobody.
            let _ = self.folder.remove_file(format!("{}.{kind}", self.name));
        }
    }
}

/// The folders that a socket may lie in, best first.
fn candidates(runtime: Option<&Path>) -> Vec<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let mut folders = Vec::new();
    folders.extend(runtime.filter(|path| path.is_absolute()).map(|path| path.join("cyte")));
    let run = PathBuf::from(format!("/run/user/{uid}"));
    if run.is_dir() {
        folders.push(run.join("cyte"));
    }
    folders.push(PathBuf::from(format!("/tmp/cyte-{uid}")));
    folders.dedup();
    folders
}

/// Makes the folder 0700, or makes sure that it is ours alone. A link is refused: in a shared
/// folder another user could have put it there.
fn private_folder(path: &Path) -> io::Result<()> {
    match std::fs::DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let meta = std::fs::symlink_metadata(path)?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is not this user's folder"));
    }
    if meta.mode() & 0o077 != 0 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::StateFolder;
    use crate::state::tests::{Scratch, scratch};

    /// A held state folder whose host is in the list of `runtime`.
    fn host(runtime: &Path, name: &str) -> (StateFolder, Place, Scratch) {
        let (path, _) = scratch(name);
        let mut state = StateFolder::open(&path).unwrap();
        let place = Place::make(state.path(), Some(runtime)).unwrap();
        let socket = place.socket().to_owned();
        state.announce(&socket).unwrap();
        place.register(state.path()).unwrap();
        (state, place, path)
    }

    fn asked(runtime: &Path) -> Asked {
        Asked { state: None, from: "/nonexistent".into(), runtime: Some(runtime.to_owned()) }
    }

    /// Other hosts of this user may run while the tests do; only ours count here.
    fn ours(runtime: &Path) -> Vec<Running> {
        let prefix = runtime.to_owned();
        list(Some(runtime)).into_iter().filter(|r| r.socket.starts_with(&prefix)).collect()
    }

    #[test]
    fn a_host_is_found_by_state_and_in_the_list_until_it_ends() {
        let (runtime, _) = scratch("rt1");
        let (state, place, _path) = host(&runtime, "found");
        let by_state = Asked { state: Some(state.path().to_owned()), ..asked(&runtime) };
        let (found, guessed) = find(&by_state).unwrap();
        assert_eq!((found.pid, guessed), (std::process::id(), false));
        assert!(found.socket.starts_with(&runtime));
        assert_eq!(ours(&runtime), [found]);
        drop((state, place));
        assert_eq!(find(&by_state).unwrap_err().code, Code::NoHost);
        assert!(ours(&runtime).is_empty());
    }

    #[test]
    fn the_nearest_project_wins_and_a_stranger_is_only_guessed() {
        let (runtime, _) = scratch("rt2");
        let (project, _) = scratch("project");
        std::fs::create_dir_all(project.join("genes/deep")).unwrap();
        let mut state = StateFolder::open(&project.join(IN_PROJECT)).unwrap();
        let place = Place::make(state.path(), Some(&runtime)).unwrap();
        state.announce(place.socket()).unwrap();
        let from_inside = Asked { from: project.join("genes/deep"), ..asked(&runtime) };
        let (found, guessed) = find(&from_inside).unwrap();
        assert!(!guessed && found.state.ends_with(IN_PROJECT));
    }

    #[test]
    fn one_is_guessed_several_are_listed_none_is_said() {
        let one = Running { pid: 1, state: "/a".into(), socket: "/s".into() };
        assert_eq!(only_one(vec![one.clone()]).unwrap(), (one.clone(), true));
        let error = only_one(vec![one, Running { pid: 2, state: "/b".into(), socket: "/t".into() }]);
        let error = error.unwrap_err();
        assert_eq!(error.code, Code::ManyHosts);
        assert!(error.why.contains("pid 1  /a\npid 2  /b"), "{}", error.why);
        assert_eq!(only_one(vec![]).unwrap_err().code, Code::NoHost);
    }

    #[test]
    fn the_next_host_clears_away_what_a_dead_one_left() {
        let (runtime, _) = scratch("rt4");
        let (dead, place, _path) = host(&runtime, "dead");
        std::mem::forget(place);
        drop(dead);
        assert_eq!(std::fs::read_dir(runtime.join("cyte")).unwrap().count(), 1);
        let (_starting, _, _starting_at) = host(&runtime, "starting");
        let (_state, _place, _at) = host(&runtime, "alive");
        assert_eq!(std::fs::read_dir(runtime.join("cyte")).unwrap().count(), 1);
    }

    #[test]
    fn a_long_runtime_path_falls_back_and_a_link_is_refused() {
        let (runtime, _) = scratch("rt3");
        let long = runtime.join("x".repeat(100));
        std::fs::create_dir_all(&long).unwrap();
        let place = Place::make(Path::new("/some/state"), Some(&long)).unwrap();
        assert!(place.socket().as_os_str().len() <= SOCKET_PATH_MAX);
        std::os::unix::fs::symlink("/tmp", runtime.join("link")).unwrap();
        assert!(private_folder(&runtime.join("link")).is_err());
    }
}
