//! The hosts of one process and the network between them: what `cyte dev --hosts` runs, and what
//! `cyte host` does to it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cyte_medium::{Mem, Peer};
use cyte_organism::phenotype::HostId;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::Commons;
use crate::codes::Code;
use crate::control::{HostView, HostsView};
use crate::error::CliError;
use crate::state::clock;
use crate::supervise::Host;

/// The longest that a host's messages may be slowed by.
const SLOWEST: Duration = Duration::from_secs(5);

/// One host of the village.
struct House {
    name: String,
    me: HostId,
    url: String,
    commons: Arc<Commons>,
    /// None once it was killed.
    host: Option<Host>,
}

/// Several hosts in one process.
pub struct Village {
    mem: Arc<Mem>,
    houses: Mutex<BTreeMap<u32, House>>,
    begun: Instant,
    changed: Notify,
}

impl std::fmt::Debug for Village {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Village").field("mem", &self.mem).finish_non_exhaustive()
    }
}

impl Village {
    /// A village without hosts on this network, since `begun`.
    #[must_use]
    pub fn new(mem: Arc<Mem>, begun: Instant) -> Arc<Self> {
        Arc::new(Self { mem, houses: Mutex::default(), begun, changed: Notify::new() })
    }

    /// Takes in a host under its number.
    pub fn settle(&self, number: u32, name: String, host: Host) {
        let (me, commons) = (host.view().id(), host.view().commons().clone());
        let url = format!("http://{}", host.address());
        self.lock().insert(number, House { name, me, url, commons, host: Some(host) });
    }

    /// All hosts that live, by number; the village is empty then.
    pub fn leave(&self) -> Vec<Host> {
        std::mem::take(&mut *self.lock()).into_values().filter_map(|house| house.host).collect()
    }

    /// What the first host that lives shows of itself.
    pub fn first(&self) -> Option<Arc<dyn HostView>> {
        self.lock().values().find_map(|house| house.host.as_ref()).map(Host::shown)
    }

    /// Waits until a host was killed.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Ends a host without a word, as a power cut would: nothing of it is heard any more.
    fn kill(&self, number: u32) -> Result<Value, CliError> {
        let (host, me, name) = {
            let mut houses = self.lock();
            let house = houses.get_mut(&number).ok_or_else(|| unknown(number))?;
            let host = house.host.take().ok_or_else(|| dead(&house.name))?;
            (host, house.me, house.name.clone())
        };
        let at_ms = clock::wall_ms();
        self.mem.leave(Peer(me.0));
        self.changed.notify_one();
        // Its threads are waited for, which none of its own may do.
        let ended = std::thread::Builder::new().name("kill".into()).spawn(move || host.kill());
        ended.map_err(|error| CliError::new(Code::Machine, "cannot end a host", error.to_string()))?;
        Ok(json!({"v": 1, "host": name, "did": "kill", "at_ms": at_ms}))
    }

    /// Does something to the network at one host.
    fn change(
        &self,
        number: u32,
        did: &str,
        change: impl FnOnce(&mut cyte_medium::Net, Duration, Peer),
    ) -> Result<Value, CliError> {
        let (peer, name) = {
            let houses = self.lock();
            let house = houses.get(&number).ok_or_else(|| unknown(number))?;
            if house.host.is_none() {
                return Err(dead(&house.name));
            }
            (Peer(house.me.0), house.name.clone())
        };
        self.mem.change(tokio::time::Instant::now(), |net, now| change(net, now, peer));
        Ok(json!({"v": 1, "host": name, "did": did, "at_ms": clock::wall_ms()}))
    }

    /// Parts the hosts: `1,2/3,4`; those that are named nowhere are on a side of their own.
    fn part(&self, sides: &str) -> Result<Value, CliError> {
        let houses = self.lock();
        let peer = |text: &str| {
            let number = parse_number(text)?;
            let house = houses.get(&number).ok_or_else(|| unknown(number))?;
            Ok(Peer(house.me.0))
        };
        let parsed: Result<Vec<Vec<Peer>>, CliError> =
            sides.split('/').map(|side| side.split(',').map(peer).collect()).collect();
        let parsed = parsed?;
        drop(houses);
        self.mem.change(tokio::time::Instant::now(), |net, _| net.part(&parsed));
        Ok(json!({"v": 1, "did": "part", "sides": sides, "at_ms": clock::wall_ms()}))
    }

    fn heal(&self) -> Value {
        self.mem.change(tokio::time::Instant::now(), |net, _| net.heal());
        json!({"v": 1, "did": "heal", "at_ms": clock::wall_ms()})
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, House>> {
        self.houses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn row(&self, number: u32, house: &House, up_ms: u64) -> Value {
        let peer = Peer(house.me.0);
        let frozen = self.mem.change(tokio::time::Instant::now(), |net, _| net.is_frozen(peer));
        let state = match (&house.host, frozen) {
            (None, _) => "killed",
            (Some(_), true) => "frozen",
            (Some(_), false) => "running",
        };
        let counts = self.mem.counts(peer);
        let a_second = |count: u64| count as f64 * 1_000.0 / up_ms.max(1) as f64;
        let mut row = (*house.commons.seen()).clone();
        if !row.is_object() {
            row = json!({});
        }
        if let Some(row) = row.as_object_mut() {
            row.insert("number".into(), number.into());
            row.insert("name".into(), house.name.as_str().into());
            row.insert("host".into(), house.me.to_string().into());
            row.insert("state".into(), state.into());
            row.insert("url".into(), house.url.as_str().into());
            row.insert("medium".into(), json!(counts));
            row.insert("messages_s".into(), a_second(counts.sent).into());
            row.insert("bytes_s".into(), a_second(counts.sent_bytes).into());
        }
        row
    }
}

impl HostsView for Village {
    fn hosts(&self) -> Value {
        let up_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let houses = self.lock();
        let rows: Vec<Value> = houses.iter().map(|(number, house)| self.row(*number, house, up_ms)).collect();
        json!({"v": 1, "up_ms": up_ms, "overflown": self.mem.overflown(), "hosts": rows})
    }

    fn act(&self, deed: &str, what: &str) -> Result<Value, CliError> {
        match deed {
            "kill" => self.kill(parse_number(what)?),
            "freeze" => self.change(parse_number(what)?, deed, |net, _, peer| net.freeze(peer)),
            "thaw" => self.change(parse_number(what)?, deed, |net, now, peer| net.thaw(now, peer)),
            "slow" => {
                let (number, by) = what.split_once(',').unwrap_or((what, "0"));
                let by = by.parse().ok().map(Duration::from_millis).filter(|by| *by <= SLOWEST);
                let by = by.ok_or_else(|| refused("a host is slowed by 0 to 5000 milliseconds"))?;
                self.change(parse_number(number)?, deed, |net, _, peer| net.slow(peer, by))
            }
            "part" => self.part(what),
            "heal" => Ok(self.heal()),
            _ => Err(refused("there is no such deed")),
        }
    }
}

fn parse_number(text: &str) -> Result<u32, CliError> {
    text.trim().parse().map_err(|_| refused(&format!("`{}` is not a host's number", text.escape_debug())))
}

fn refused(why: &str) -> CliError {
    CliError::new(Code::Usage, "cannot do that to a host", why).help("cyte host --help")
}

fn unknown(number: u32) -> CliError {
    refused(&format!("there is no host {number}")).help("cyte hosts")
}

fn dead(name: &str) -> CliError {
    refused(&format!("{name} was killed")).help("cyte hosts")
}
