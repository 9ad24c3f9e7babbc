//! How hosts talk: bytes from one host to another, and nothing more.
//!
//! A [`Medium`] may lose, repeat, delay and reorder what it carries; it never forges. It knows no
//! message, decides nothing and repeats nothing on its own: what has to arrive is said again by
//! whoever wants it to. Losing the medium changes views and never ends a cell.
//!
//! The one medium there is yet is [`Mem`]: several hosts in one process, over [`Net`], a network
//! that is run from a seed and whose links a person or a test can make bad.

mod mem;
mod net;

use bytes::Bytes;

pub use mem::{Inbox, Mem, Station};
pub use net::{Counts, Net, Parcel, Peer, SendError, Weather};

/// The largest message, in bytes. More is refused by the sender's own side.
pub const MESSAGE_MAX: usize = 64 * 1024;

/// One host's way to all others.
pub trait Medium: Send + Sync {
    /// Who this is.
    fn me(&self) -> Peer;
    /// Everybody that can be told something, ascending, without this host; up or not.
    fn peers(&self) -> Vec<Peer>;
    /// Sends `bytes` to one host. Never waits; that it was taken says nothing of its arrival.
    ///
    /// # Errors
    /// [`SendError`]; nothing was sent then.
    fn tell(&self, to: Peer, bytes: Bytes) -> Result<(), SendError>;
    /// Sends `bytes` to every other host; says how many messages that were.
    fn broadcast(&self, bytes: &Bytes) -> usize {
        self.peers().into_iter().filter(|to| self.tell(*to, bytes.clone()).is_ok()).count()
    }
}
