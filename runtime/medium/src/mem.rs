//! The medium in memory: a [`Net`] in real time, for several hosts of one process.
//!
//! Whoever owns it runs [`Mem::run`], the pump: it sleeps until the next message arrives and hands it to
//! the inbox of whom it is for. An inbox that is full drops and counts. Nothing here waits for a
//! host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::{Counts, Medium, Net, Parcel, Peer, SendError, Weather};

/// Messages that one host has not taken yet; more are dropped and counted.
const INBOX: usize = 1_024;

/// Several hosts of one process and the network between them.
pub struct Mem {
    state: Mutex<State>,
    changed: Notify,
    /// The network's time began here.
    begun: Instant,
    overflown: AtomicU64,
}

struct State {
    net: Net,
    inboxes: BTreeMap<Peer, mpsc::Sender<Parcel>>,
}

impl std::fmt::Debug for Mem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mem").field("hosts", &self.lock().inboxes.len()).finish_non_exhaustive()
    }
}

/// What came for one host.
#[derive(Debug)]
pub struct Inbox(mpsc::Receiver<Parcel>);

impl Inbox {
    /// The next message; nothing once this host has left or its network is gone.
    pub async fn next(&mut self) -> Option<Parcel> {
        self.0.recv().await
    }
}

/// One host's place on the network.
#[derive(Clone, Debug)]
pub struct Station {
    me: Peer,
    mem: Arc<Mem>,
}

impl Mem {
    /// A network without hosts whose time begins at `begun`; all its draws come from `seed`.
    #[must_use]
    pub fn new(weather: Weather, seed: u64, begun: Instant) -> Arc<Self> {
        let state = State { net: Net::new(weather, seed), inboxes: BTreeMap::new() };
        Arc::new(Self {
            state: Mutex::new(state),
            changed: Notify::new(),
            begun,
            overflown: AtomicU64::new(0),
        })
    }

    /// A host joins; one of the same number that was there is gone.
    pub fn join(self: &Arc<Self>, me: Peer) -> (Station, Inbox) {
        let (sender, receiver) = mpsc::channel(INBOX);
        let mut state = self.lock();
        state.net.join(me);
        state.inboxes.insert(me, sender);
        drop(state);
        (Station { me, mem: Arc::clone(self) }, Inbox(receiver))
    }

    /// A host ends without a word.
    pub fn leave(&self, peer: Peer) {
        let mut state = self.lock();
        state.net.leave(peer);
        state.inboxes.remove(&peer);
    }

    /// Changes the network at `now`, for example parts it.
    pub fn change<R>(&self, now: Instant, change: impl FnOnce(&mut Net, Duration) -> R) -> R {
        let since = now.saturating_duration_since(self.begun);
        let done = change(&mut self.lock().net, since);
        self.changed.notify_one();
        done
    }

    /// What a host sent and got.
    #[must_use]
    pub fn counts(&self, peer: Peer) -> Counts {
        self.lock().net.counts(peer)
    }

    /// Messages that a full inbox dropped, of all hosts.
    #[must_use]
    pub fn overflown(&self) -> u64 {
        self.overflown.load(Ordering::Relaxed)
    }

    /// Carries messages until it is dropped. `now` reads the clock that the senders' times are by.
    pub async fn run(self: Arc<Self>, now: impl Fn() -> Instant) {
        let mut out = Vec::new();
        loop {
            let next = self.hand_out(now(), &mut out);
            match next {
                None => self.changed.notified().await,
                Some(next) => tokio::select! {
                    () = self.changed.notified() => {}
                    () = tokio::time::sleep_until(self.begun + next) => {}
                },
            }
        }
    }

    /// Hands out what has arrived; says when the next arrives.
    fn hand_out(&self, now: Instant, out: &mut Vec<Parcel>) -> Option<Duration> {
        let mut state = self.lock();
        let State { net, inboxes } = &mut *state;
        net.arrive(now.saturating_duration_since(self.begun), out);
        for parcel in out.drain(..) {
            let taken = inboxes.get(&parcel.to).is_some_and(|inbox| inbox.try_send(parcel).is_ok());
            if !taken {
                self.overflown.fetch_add(1, Ordering::Relaxed);
            }
        }
        net.next()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Station {
    /// The network that it is on.
    #[must_use]
    pub fn mem(&self) -> &Arc<Mem> {
        &self.mem
    }
}

impl Medium for Station {
    fn me(&self) -> Peer {
        self.me
    }

    fn peers(&self) -> Vec<Peer> {
        self.mem.lock().net.peers().into_iter().filter(|peer| *peer != self.me).collect()
    }

    fn tell(&self, to: Peer, bytes: Bytes) -> Result<(), SendError> {
        let parcel = Parcel { from: self.me, to, bytes };
        let now = Instant::now().saturating_duration_since(self.mem.begun);
        let mut state = self.mem.lock();
        let before = state.net.next();
        state.net.send(now, parcel)?;
        let is_sooner = state.net.next() != before;
        drop(state);
        if is_sooner {
            // Only then does the pump sleep too long.
            self.mem.changed.notify_one();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_of_one_process_hear_each_other_after_the_delay() {
        let begun = Instant::now();
        let weather =
            Weather { least: Duration::from_millis(5), most: Duration::from_millis(5), ..Weather::FAIR };
        let mem = Mem::new(weather, 1, begun);
        let pump = tokio::spawn(Arc::clone(&mem).run(Instant::now));
        let (a, _inbox_a) = mem.join(Peer(1));
        let (b, mut inbox_b) = mem.join(Peer(2));
        let (_c, mut inbox_c) = mem.join(Peer(3));
        assert_eq!((a.me(), a.peers()), (Peer(1), vec![Peer(2), Peer(3)]));
        assert_eq!(a.broadcast(&Bytes::from_static(b"hi")), 2);
        let got = inbox_b.next().await.unwrap();
        assert_eq!((got.from, &got.bytes[..]), (Peer(1), b"hi".as_slice()));
        assert!(begun.elapsed() >= Duration::from_millis(5));
        assert!(inbox_c.next().await.is_some());
        mem.leave(Peer(3));
        assert!(inbox_c.next().await.is_none(), "who left hears nothing more");
        mem.change(Instant::now(), |net, _| net.part(&[vec![Peer(1)]]));
        b.tell(Peer(1), Bytes::new()).unwrap();
        assert_eq!((mem.counts(Peer(1)).lost, mem.counts(Peer(1)).sent), (1, 2));
        pump.abort();
    }

    #[tokio::test]
    async fn a_full_inbox_drops_and_counts() {
        let mem = Mem::new(Weather::FAIR, 1, Instant::now());
        let pump = tokio::spawn(Arc::clone(&mem).run(Instant::now));
        let (a, _inbox) = mem.join(Peer(1));
        let (_b, mut inbox) = mem.join(Peer(2));
        for _ in 0..INBOX + 3 {
            a.tell(Peer(2), Bytes::new()).unwrap();
        }
        while mem.overflown() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(mem.overflown(), 3);
        assert!(inbox.next().await.is_some());
        pump.abort();
    }
}
