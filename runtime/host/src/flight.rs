//! Recordings of this host: made when somebody asks, and kept by itself after an incident.
//!
//! The governor hands over what the law's tape held (see `cyte_organism::flight`) at the moment of
//! the incident; encoding, digest and disk are a thread's of its own, one at a time, so that
//! nothing waits for them. A recording holds counts and names of genes, never a request.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cap_std::fs::{Dir, DirBuilder, DirBuilderExt as _};
use cyte_dna::limits;
use cyte_organism::Nanos;
use cyte_organism::flight::{About, Recording, Segment};

use crate::calendar::file_stamp;
use crate::event::{EventLog, Happening};
use crate::governor::Incident;
use crate::state::atomic::write_atomic;
use crate::state::clock::wall_ms;

/// How recordings of incidents are called at their end.
pub const EXTENSION: &str = "flight";
/// The folder of the state folder that they are kept in.
pub const FOLDER: &str = "incidents";

/// Where recordings of incidents go.
#[derive(Debug)]
struct Place {
    state: Dir,
    events: Arc<EventLog>,
}

/// What makes recordings of one host.
#[derive(Debug, Default)]
pub struct Flight {
    organism: String,
    genes: Vec<String>,
    place: Option<Place>,
    is_writing: AtomicBool,
    missed: AtomicU64,
    too_soon: AtomicU64,
}

impl Flight {
    /// Recordings of an organism whose classes are these genes; incidents are kept in `state` and
    /// told in `events`.
    #[must_use]
    pub fn new(organism: String, genes: Vec<String>, state: Dir, events: Arc<EventLog>) -> Self {
        Self { organism, genes, place: Some(Place { state, events }), ..Self::default() }
    }

    /// A recording of these segments, made now; `made` is the same moment on the host's clock.
    #[must_use]
    pub fn recording(&self, reason: String, made: Nanos, segments: Vec<Arc<Segment>>) -> Recording {
        let about = About {
            cyte: env!("CARGO_PKG_VERSION").to_owned(),
            organism: self.organism.clone(),
            reason,
            made_ms: wall_ms(),
            made,
            genes: self.genes.clone(),
        };
        Recording { about, segments }
    }

    /// Keeps a recording of an incident, on a thread of its own. While another is being written it
    /// is missed, and counted.
    pub fn keep(self: &Arc<Self>, incident: Incident, made: Nanos, segments: Vec<Arc<Segment>>) {
        if self.place.is_none() {
            return;
        }
        if self.is_writing.swap(true, Ordering::AcqRel) {
            self.missed();
            return;
        }
        let recording = self.recording(incident.to_string(), made, segments);
        let flight = Arc::clone(self);
        let write = move || {
            flight.write(&incident, &recording);
            flight.is_writing.store(false, Ordering::Release);
        };
        if std::thread::Builder::new().name("incident".into()).spawn(write).is_err() {
            self.is_writing.store(false, Ordering::Release);
            self.missed();
        }
    }

    /// So many incidents came too soon after another, since the host started.
    pub fn too_soon(&self, count: u64) {
        self.too_soon.store(count, Ordering::Relaxed);
    }

    fn missed(&self) {
        self.missed.fetch_add(1, Ordering::Relaxed);
    }

    /// Incidents of which there is no recording, since the host started.
    pub fn dropped(&self) -> u64 {
        self.missed.load(Ordering::Relaxed).saturating_add(self.too_soon.load(Ordering::Relaxed))
    }

    fn write(&self, incident: &Incident, recording: &Recording) {
        let Some(place) = &self.place else { return };
        match store(&place.state, incident, recording) {
            Ok(file) => place.events.record(Happening::Incident {
                kind: incident.kind.to_string(),
                gene: incident.gene.clone(),
                why: incident.why.clone(),
                file,
            }),
            Err(error) => {
                self.missed();
                tracing::warn!("cannot keep a recording of an incident ({incident}): {error}");
            }
        }
    }
}

/// Writes one more file and lets the oldest go; its path within the state folder.
fn store(state: &Dir, incident: &Incident, recording: &Recording) -> io::Result<String> {
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    match state.create_dir_with(FOLDER, &builder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let folder = state.open_dir(FOLDER)?;
    let at = file_stamp(recording.about.made_ms);
    let name = format!("{at}-{}-{}.{EXTENSION}", incident.kind, incident.gene);
    write_atomic(&folder, &name, &recording.to_bytes(), 0o600)?;
    prune(&folder, &name)?;
    Ok(format!("{FOLDER}/{name}"))
}

/// Only the last ones stay, `newest` in any case: a clock may have gone back.
fn prune(folder: &Dir, newest: &str) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in folder.entries()? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name != newest && name.ends_with(&format!(".{EXTENSION}")) {
            names.push(name);
        }
    }
    names.sort_unstable();
    let surplus = (names.len() + 1).saturating_sub(limits::INCIDENTS_KEPT);
    names.iter().take(surplus).try_for_each(|name| folder.remove_file(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::governor::Kind;
    use crate::state::tests::scratch;

    fn incident() -> Incident {
        Incident { kind: Kind::Breach, gene: "front".into(), why: "memory".into() }
    }

    #[test]
    fn only_the_last_incidents_are_kept() {
        let (path, dir) = scratch("incidents");
        let flight = Flight::default();
        let mut files = Vec::new();
        for at in 0..12 {
            let mut recording = flight.recording(incident().to_string(), Nanos(0), Vec::new());
            recording.about.made_ms = 1_795_000_000_000 + at * 30_000;
            files.push(store(&dir, &incident(), &recording).unwrap());
        }
        assert!(files[0].starts_with("incidents/2026-11-") && files[0].ends_with("Z-breach-front.flight"));
        for (at, file) in files.iter().enumerate() {
            assert_eq!(path.join(file).exists(), at >= 12 - limits::INCIDENTS_KEPT, "{file}");
        }
        let bytes = std::fs::read(path.join(files.last().unwrap())).unwrap();
        let back = Recording::from_bytes(&bytes).unwrap();
        assert_eq!(back.about.reason, "breach of front: memory");
        // The clock went back: what was just written stays.
        let mut early = flight.recording(String::new(), Nanos(0), Vec::new());
        early.about.made_ms = 0;
        let file = store(&dir, &incident(), &early).unwrap();
        assert!(path.join(file).exists());
    }

    #[test]
    fn an_incident_is_told_with_its_file() {
        let (path, dir) = scratch("incident");
        let events = EventLog::new(None);
        let flight = Arc::new(Flight::new("shop".into(), vec!["front".into()], dir, events.clone()));
        flight.keep(incident(), Nanos(5), Vec::new());
        let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
        let told = loop {
            if let Some((_, record)) = events.after(0, 9).entries.pop() {
                break record.what;
            }
            assert!(std::time::Instant::now() < end);
            std::thread::yield_now();
        };
        let Happening::Incident { kind, gene, why, file } = told else { panic!("{told:?}") };
        assert_eq!((kind.as_str(), gene.as_str(), why.as_str()), ("breach", "front", "memory"));
        assert!(path.join(file).exists());
        assert_eq!(flight.dropped(), 0);
    }
}
