//! Outside Wasm: what tests set stands in for the host (see `crate::testing`).

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};

use crate::body::Arriving;
use crate::hormone::{Hormone, Refusal};
use crate::identity::Identity;
use crate::load;
use crate::log::Level;
use crate::testing::Asked;
use crate::{Body, FetchError, FetchOptions, Request, Response};

/// What answers for the world outside.
type Upstream = Box<dyn FnMut(Request) -> Result<Response, FetchError>>;

/// What a test has set, one for each thread: tests do not see each other's.
#[derive(Default)]
pub(crate) struct World {
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) upstream: Option<Upstream>,
    pub(crate) log: Vec<(Level, String)>,
    pub(crate) errors: Vec<String>,
    pub(crate) me: Option<Identity>,
    pub(crate) released: Vec<(Hormone, f64)>,
    pub(crate) reported: Vec<f64>,
    pub(crate) asked: Vec<Asked>,
}

thread_local! {
    pub(crate) static WORLD: RefCell<World> = RefCell::default();
}

pub(crate) fn config_get(key: &str) -> Result<Option<String>, String> {
    WORLD.with_borrow(|world| Ok(world.config.get(key).cloned()))
}

pub(crate) fn config_all() -> Result<Vec<(String, String)>, String> {
    WORLD.with_borrow(|world| Ok(world.config.clone().into_iter().collect()))
}

pub(crate) fn log(level: Level, message: &str) {
    WORLD.with_borrow_mut(|world| world.log.push((level, message.to_owned())));
}

pub(crate) fn error_line(line: &str) {
    WORLD.with_borrow_mut(|world| world.errors.push(line.to_owned()));
}

pub(crate) fn me() -> Identity {
    WORLD
        .with_borrow(|world| world.me.clone())
        .unwrap_or_else(|| Identity::new((1, None, 0), ("test".into(), "0.0.0".into(), "test".into())))
}

pub(crate) fn report(amount: f64) -> Result<(), load::Refusal> {
    if !(0.0..=1e12).contains(&amount) {
        return Err(load::Refusal::Value);
    }
    WORLD.with_borrow_mut(|world| world.reported.push(amount));
    Ok(())
}

pub(crate) fn release(kind: Hormone, strength: f64) -> Result<(), Refusal> {
    if !(0.0..=1.0).contains(&strength) {
        return Err(Refusal::Strength);
    }
    WORLD.with_borrow_mut(|world| world.released.push((kind, strength)));
    Ok(())
}

/// The first cell of a test is 1, so its first daughter is 2.
pub(crate) fn divide() -> Result<u64, crate::division::Refusal> {
    WORLD.with_borrow_mut(|world| {
        world.asked.push(Asked::Divide);
        let daughters = world.asked.iter().filter(|asked| **asked == Asked::Divide).count();
        Ok(1 + daughters as u64)
    })
}

pub(crate) fn retire(cell: u64) -> Result<(), crate::division::Refusal> {
    WORLD.with_borrow_mut(|world| world.asked.push(Asked::Retire(cell)));
    Ok(())
}

#[allow(clippy::panic, reason = "documented: a native test sees the status as a panic")]
pub(crate) fn exit(status: u8) -> ! {
    panic!("the task ended with exit status {status}")
}

pub(crate) fn fetch(request: Request, _options: &FetchOptions) -> Result<Response, FetchError> {
    // Taken out while it runs, so that it may use the configuration or the log.
    let Some(mut upstream) = WORLD.with_borrow_mut(|world| world.upstream.take()) else {
        return Err(FetchError::Denied("no upstream in this test; set one with testing::on_fetch".into()));
    };
    let answer = upstream(request);
    WORLD.with_borrow_mut(|world| {
        world.upstream.get_or_insert(upstream);
    });
    answer
}

/// Heads are always given in tests: there is no value of this type.
pub enum Source {}

impl crate::head::Source for Source {
    fn method(&self) -> Method {
        match *self {}
    }

    fn target(&self) -> String {
        match *self {}
    }

    fn uri(&self, _target: &str) -> Uri {
        match *self {}
    }

    fn headers(&self) -> HeaderMap {
        match *self {}
    }
}

pub(crate) fn open(source: &Source) -> Body {
    match *source {}
}

/// A body in pieces, as it would arrive.
pub(crate) struct Incoming {
    pub(crate) pieces: VecDeque<Bytes>,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) broken: bool,
}

impl Arriving for Incoming {
    fn read(&mut self, most: usize) -> io::Result<Option<Bytes>> {
        loop {
            let Some(piece) = self.pieces.front_mut() else {
                return if self.broken { Err(io::ErrorKind::ConnectionReset.into()) } else { Ok(None) };
            };
            let taken = piece.split_to(piece.len().min(most));
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            if !taken.is_empty() {
                return Ok(Some(taken));
            }
        }
    }

    fn trailers(&mut self) -> io::Result<Option<HeaderMap>> {
        Ok(self.trailers.take())
    }

    fn pass_on(&mut self, out: &mut Outgoing) -> io::Result<Option<HeaderMap>> {
        while let Some(piece) = self.read(usize::MAX)? {
            out.write_all(&piece)?;
        }
        self.trailers()
    }
}

/// Keeps what is written.
#[derive(Debug)]
pub(crate) struct Outgoing(Vec<u8>);

impl Outgoing {
    pub(crate) fn kept() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn into_kept(self) -> Bytes {
        self.0.into()
    }

    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
