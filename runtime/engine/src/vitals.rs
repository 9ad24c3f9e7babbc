//! A cell's vital signs: what the host reads of a cell without touching its store.
//!
//! One allocation a cell, shared by the store (whose epoch callback measures), the driver (which
//! polls) and the tissue (which lists). Only one thread polls a cell at a time, so the numbers need
//! no ordering among themselves; `failed` alone is published before the body's channel closes.

use std::{
    sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release,
    },
    task::Context,
    time::Instant,
};

use cyte_organism::{Nanos, lineage::Birth};
use futures_util::task::AtomicWaker;

use crate::error::Breach;

/// The host's monotonic clock, as nanoseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The time since the start.
    pub fn now(&self) -> Nanos {
        self.0.elapsed().into()
    }
}

/// A guest that is still in Wasm this long into one poll leaves the threads that serve others.
const PATIENCE: Nanos = Nanos::from_millis(1);

const INLINE: u8 = 0;
const LEAVING: u8 = 1;
const SLOW: u8 = 2;

/// What a tick of the epoch found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tick {
    /// Go on for one more tick.
    Stay,
    /// Yield, so that the driver can move the call to the slow lane.
    Leave,
    /// Yield to the others in the slow lane.
    Share,
    /// The CPU budget is spent.
    Spent,
}

/// What one message cost its cell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effort {
    /// CPU.
    pub(crate) computed: Nanos,
    /// Time in which it could have computed and others did.
    pub(crate) stalled: Nanos,
    /// When the cell was left last.
    pub(crate) left: Nanos,
}

/// What one cell does and has done.
#[derive(Debug)]
pub(crate) struct Vitals {
    pub(crate) birth: Birth,
    pub(crate) born: Nanos,
    clock: Clock,
    uses: AtomicU64,
    memory: AtomicU64,
    request: AtomicU64,
    /// Messages inside.
    inflight: AtomicU32,
    /// Since when it takes messages; 0 while it is being made.
    since: AtomicU64,
    /// When the last poll began, or ended.
    polled: AtomicU64,
    /// Whether the last poll ended although the guest wanted to go on.
    has_yielded: AtomicBool,
    /// See [`Effort::stalled`].
    stalled: AtomicU64,
    /// CPU of the message under way before `used`.
    spent: AtomicU64,
    used: AtomicU64,
    budget: AtomicU64,
    cpu_total: AtomicU64,
    ticks: AtomicU32,
    lane: AtomicU8,
    breach: AtomicU8,
    failed: AtomicBool,
    /// The bits of what its guest released since the last look; [`NOTHING`] where it did not.
    released: AtomicU64,
    /// When it released last, and when it divided last; 0 = never.
    released_at: AtomicU64,
    divided_at: AtomicU64,
    /// The bits of the load that its guest reported last, and when; [`NOTHING`] where it did not.
    reported: AtomicU64,
    reported_at: AtomicU64,
    /// Why it is to end now, with what it holds; 0 = it is not.
    sentence: AtomicU8,
    /// Daughters that were made of it.
    daughters: AtomicU32,
    /// Whether it is told that it ends.
    dying: AtomicBool,
    /// Wakes whoever waits for its guest.
    waiting: AtomicWaker,
    /// See [`Self::waits_for_clock`]; 0 = for none.
    clock_rings: AtomicU64,
    /// Requests that it sent and has not read to their end.
    others: AtomicU32,
    /// Whether it waits for bytes of its client.
    reads: AtomicBool,
    /// Whether somebody waits for what it does next.
    wanted: AtomicBool,
    /// Whether its answer began.
    answers: AtomicBool,
    /// When the message under way began.
    begun: AtomicU64,
    /// When it had been polled last at the ping before.
    pinged: AtomicU64,
}

/// No strength has these bits.
const NOTHING: u64 = u64::MAX;

impl Vitals {
    pub(crate) fn new(clock: Clock, birth: Birth) -> Self {
        Self {
            birth,
            born: clock.now(),
            clock,
            uses: AtomicU64::new(0),
            memory: AtomicU64::new(0),
            request: AtomicU64::new(0),
            inflight: AtomicU32::new(0),
            since: AtomicU64::new(0),
            polled: AtomicU64::new(0),
            has_yielded: AtomicBool::new(false),
            stalled: AtomicU64::new(0),
            spent: AtomicU64::new(0),
            used: AtomicU64::new(0),
            budget: AtomicU64::new(u64::MAX),
            cpu_total: AtomicU64::new(0),
            ticks: AtomicU32::new(0),
            lane: AtomicU8::new(INLINE),
            breach: AtomicU8::new(0),
            failed: AtomicBool::new(false),
            released: AtomicU64::new(NOTHING),
            released_at: AtomicU64::new(0),
            divided_at: AtomicU64::new(0),
            reported: AtomicU64::new(NOTHING),
            reported_at: AtomicU64::new(0),
            sentence: AtomicU8::new(0),
            daughters: AtomicU32::new(0),
            dying: AtomicBool::new(false),
            waiting: AtomicWaker::new(),
            clock_rings: AtomicU64::new(0),
            others: AtomicU32::new(0),
            reads: AtomicBool::new(false),
            wanted: AtomicBool::new(true),
            answers: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            pinged: AtomicU64::new(0),
        }
    }

    /// The guest waits for a clock that rings in so long.
    pub(crate) fn waits_for_clock(&self, rest: Nanos) {
        // By the poll that goes on: a little early, which a ping in whole intervals does not notice.
        let rings = self.polled.load(Relaxed).saturating_add(rest.0);
        self.clock_rings.fetch_max(rings, Relaxed);
    }

    /// The guest begins or ceases to wait for the answer to a request of its own.
    pub(crate) fn waits_for_others(&self, begins: bool) {
        if begins {
            self.others.fetch_add(1, Relaxed);
        } else {
            self.others.fetch_sub(1, Relaxed);
        }
    }

    /// Whether the guest waits for bytes of its client.
    pub(crate) fn waits_for_client(&self, waits: bool) {
        self.reads.store(waits, Relaxed);
    }

    /// Whether somebody waits for what the guest does next.
    pub(crate) fn is_wanted(&self, is_wanted: bool) {
        self.wanted.store(is_wanted, Relaxed);
    }

    /// The guest's answer began.
    pub(crate) fn head_is_out(&self) {
        self.answers.store(true, Relaxed);
    }

    /// A ping, the one before was an `interval` ago: for how long nothing happened in a cell that holds
    /// a message, was not polled since the ping before, and waits for nothing that could come. A clock
    /// that rings only after the message's own time, `until_head` until its answer begins, cannot. One
    /// that just rang was something that happened: its cell may wait for a core.
    pub(crate) fn ping(&self, now: Nanos, interval: Nanos, until_head: Nanos) -> Option<Nanos> {
        let polled = self.polled.load(Relaxed);
        let was_polled = self.pinged.swap(polled, Relaxed) != polled;
        // One that wants to go on waits for a core, and is as alive as the machine lets it be.
        let is_idle = self.inflight() == 0 || self.since().is_none() || self.has_yielded.load(Relaxed);
        // A message that was just taken in was not polled yet.
        let is_new = self.begun.load(Relaxed) == 0;
        if was_polled || is_idle || is_new {
            return None;
        }
        let rings = self.clock_rings.load(Relaxed);
        let ends = match self.answers.load(Relaxed) {
            true => u64::MAX,
            false => self.begun.load(Relaxed).saturating_add(until_head.0),
        };
        let waits = self.others.load(Relaxed) > 0
            || self.reads.load(Relaxed)
            || !self.wanted.load(Relaxed)
            || (now.0 < rings && rings <= ends);
        let has_just_rung = rings <= now.0 && now.since(Nanos(rings)) < interval;
        (!waits && !has_just_rung).then(|| now.since(Nanos(polled)))
    }

    /// What the message under way did so far, in words.
    pub(crate) fn last_deed(&self) -> String {
        let computed = self.spent.load(Relaxed).saturating_add(self.used.load(Relaxed));
        let part =
            if self.answers.load(Relaxed) { "in the middle of its answer" } else { "before its answer" };
        format!("it computed for {} us and fell silent {part}", computed / 1_000)
    }

    /// Keeps a hormone of this strength for the next look, unless one waits already or was released
    /// less than `every` ago; says whether it was kept.
    pub(crate) fn release(&self, strength: f64, every: Nanos) -> bool {
        if self.released.load(Relaxed) != NOTHING || !self.is_rested(&self.released_at, every) {
            return false;
        }
        self.released.store(strength.to_bits(), Relaxed);
        true
    }

    /// What was released since this was asked last.
    pub(crate) fn take_released(&self) -> Option<f64> {
        // A load costs every other cell less than a swap.
        let is_there = self.released.load(Relaxed) != NOTHING;
        is_there.then(|| f64::from_bits(self.released.swap(NOTHING, Relaxed)))
    }

    /// Its guest says that there is so much to do now.
    pub(crate) fn report(&self, amount: f64) {
        self.reported.store(amount.to_bits(), Relaxed);
        self.reported_at.store(self.clock.now().0, Relaxed);
    }

    /// What its guest reported last, and when.
    pub(crate) fn reported(&self) -> Option<(f64, Nanos)> {
        let amount = self.reported.load(Relaxed);
        (amount != NOTHING).then(|| (f64::from_bits(amount), Nanos(self.reported_at.load(Relaxed))))
    }

    /// Whether it may divide, having divided no sooner than `every` ago; if so it counts as divided.
    pub(crate) fn may_divide(&self, every: Nanos) -> bool {
        self.is_rested(&self.divided_at, every)
    }

    fn is_rested(&self, last: &AtomicU64, every: Nanos) -> bool {
        let now = self.clock.now();
        let before = Nanos(last.load(Relaxed));
        let is_rested = before == Nanos(0) || now.since(before) >= every;
        if is_rested {
            last.store(now.0.max(1), Relaxed);
        }
        is_rested
    }

    /// A daughter was made of it.
    pub(crate) fn has_daughter(&self) {
        self.daughters.fetch_add(1, Relaxed);
    }

    /// Daughters that were made of it.
    pub(crate) fn daughters(&self) -> u32 {
        self.daughters.load(Relaxed)
    }

    /// It takes no messages any more and ends as soon as it was told so.
    pub(crate) fn begins_dying(&self) {
        self.dying.store(true, Relaxed);
    }

    /// Whether that was said of it.
    pub(crate) fn is_dying(&self) -> bool {
        self.dying.load(Relaxed)
    }

    /// It is to end now, with what it holds. Whoever drives it does so when it is woken.
    pub(crate) fn condemn(&self, why: Breach) {
        let _ = self.sentence.compare_exchange(0, why as u8, Release, Relaxed);
        self.waiting.wake();
    }

    /// Why it is to end now, if it is; else `context` is woken when that changes.
    pub(crate) fn sentenced(&self, context: &Context<'_>) -> Option<Breach> {
        self.waiting.register(context.waker());
        Breach::from_code(self.sentence.load(Acquire))
    }

    /// It takes messages from now on.
    pub(crate) fn settle(&self, now: Nanos) {
        self.since.store(now.0.max(1), Relaxed);
    }

    /// Since when it takes messages; `None` while it is being made.
    pub(crate) fn since(&self) -> Option<Nanos> {
        let since = self.since.load(Relaxed);
        (since > 0).then_some(Nanos(since))
    }

    /// Something begins, with this much CPU to spend before its answer's head.
    pub(crate) fn begin(&self, request: u64, budget: Nanos) {
        self.request.store(request, Relaxed);
        self.used.store(0, Relaxed);
        self.spent.store(0, Relaxed);
        self.stalled.store(0, Relaxed);
        self.budget.store(budget.0, Relaxed);
        self.lane.store(INLINE, Relaxed);
        self.clock_rings.store(0, Relaxed);
        self.reads.store(false, Relaxed);
        self.wanted.store(true, Relaxed);
        self.answers.store(false, Relaxed);
        self.begun.store(0, Relaxed);
    }

    /// A message is inside.
    pub(crate) fn take_in(&self) {
        self.inflight.fetch_add(1, Relaxed);
    }

    /// A message is inside no more.
    pub(crate) fn let_out(&self) {
        self.inflight.fetch_sub(1, Relaxed);
    }

    /// Messages inside.
    pub(crate) fn inflight(&self) -> u32 {
        self.inflight.load(Relaxed)
    }

    /// The cell takes one more message.
    pub(crate) fn count_use(&self) {
        self.uses.store(self.uses.load(Relaxed) + 1, Relaxed);
    }

    /// The only message inside ended; says what it cost. Ending twice costs nothing more.
    pub(crate) fn end(&self) -> Effort {
        self.inflight.store(0, Relaxed);
        self.refill();
        let computed = Nanos(self.spent.load(Relaxed));
        let (stalled, left) = (Nanos(self.stalled.load(Relaxed)), Nanos(self.polled.load(Relaxed)));
        Effort { computed, stalled, left }
    }

    /// The guest is about to be polled.
    pub(crate) fn enter(&self) {
        self.ticks.store(0, Relaxed);
        let now = self.clock.now();
        if self.has_yielded.load(Relaxed) {
            self.has_yielded.store(false, Relaxed);
            let stalled = now.since(Nanos(self.polled.load(Relaxed)));
            self.stalled.store(self.stalled.load(Relaxed).saturating_add(stalled.0), Relaxed);
        }
        if self.begun.load(Relaxed) == 0 {
            self.begun.store(now.0, Relaxed);
        }
        self.polled.store(now.0, Relaxed);
    }

    /// The guest was polled; returns the time now, so that the caller need not ask again.
    pub(crate) fn leave(&self) -> Nanos {
        let now = self.clock.now();
        let spent = now.since(Nanos(self.polled.load(Relaxed)));
        self.polled.store(now.0, Relaxed);
        self.used.store(self.used.load(Relaxed).saturating_add(spent.0), Relaxed);
        now
    }

    /// Whether the guest was interrupted while it computed and was not polled since.
    pub(crate) fn waits_for_core(&self) -> bool {
        self.has_yielded.load(Relaxed) && self.inflight() > 0
    }

    /// Called from the epoch callback, inside a poll.
    pub(crate) fn tick(&self) -> Tick {
        let spent = self.clock.now().since(Nanos(self.polled.load(Relaxed)));
        if self.used.load(Relaxed).saturating_add(spent.0) > self.budget.load(Relaxed) {
            self.breach(Breach::Cpu);
            return Tick::Spent;
        }
        if self.lane.load(Relaxed) == SLOW {
            self.has_yielded.store(true, Relaxed);
            return Tick::Share;
        }
        let ticks = self.ticks.load(Relaxed) + 1;
        self.ticks.store(ticks, Relaxed);
        if ticks < 2 || spent < PATIENCE {
            return Tick::Stay;
        }
        self.lane.store(LEAVING, Relaxed);
        self.has_yielded.store(true, Relaxed);
        Tick::Leave
    }

    /// Whether the guest yielded in order to be moved; if so it counts as moved from here on.
    pub(crate) fn moves_to_slow_lane(&self) -> bool {
        let leaving = self.lane.load(Relaxed) == LEAVING;
        if leaving {
            self.lane.store(SLOW, Relaxed);
        }
        leaving
    }

    /// The answer's head is out or bytes moved: the CPU budget counts anew.
    pub(crate) fn refill(&self) {
        let used = self.used.load(Relaxed);
        self.used.store(0, Relaxed);
        self.spent.store(self.spent.load(Relaxed).saturating_add(used), Relaxed);
        self.cpu_total.store(self.cpu_total.load(Relaxed).saturating_add(used), Relaxed);
    }

    /// Leaves the guest only this much more CPU.
    pub(crate) fn curb(&self, rest: Nanos) {
        self.budget.store(self.used.load(Relaxed).saturating_add(rest.0), Relaxed);
    }

    /// Records which limit was broken; the first one counts.
    pub(crate) fn breach(&self, breach: Breach) {
        let _ = self.breach.compare_exchange(0, breach as u8, Relaxed, Relaxed);
    }

    /// Which limit was broken, if any.
    pub(crate) fn breached(&self) -> Option<Breach> {
        Breach::from_code(self.breach.load(Relaxed))
    }

    /// The guest ended badly. Published before its store, and with it the body's channel, goes.
    pub(crate) fn mark_failed(&self) {
        self.failed.store(true, Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Acquire)
    }

    pub(crate) fn set_memory(&self, bytes: u64) {
        self.memory.store(bytes, Relaxed);
    }

    pub(crate) fn memory(&self) -> u64 {
        self.memory.load(Relaxed)
    }

    pub(crate) fn uses(&self) -> u64 {
        self.uses.load(Relaxed)
    }

    pub(crate) fn request(&self) -> u64 {
        self.request.load(Relaxed)
    }

    pub(crate) fn cpu_total(&self) -> Nanos {
        Nanos(self.cpu_total.load(Relaxed))
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock
    }
}

#[cfg(test)]
mod tests {
    use cyte_organism::lineage::Lineage;

    use super::*;

    #[test]
    fn a_spent_budget_is_noticed_at_a_tick_and_bytes_refill_it() {
        let vitals = Vitals::new(Clock::start(), Lineage::default().add(None));
        vitals.begin(7, Nanos(0));
        vitals.enter();
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert_eq!(vitals.tick(), Tick::Spent);
        assert_eq!(vitals.breached(), Some(Breach::Cpu));
        vitals.begin(8, Nanos::from_millis(60_000));
        vitals.enter();
        assert_eq!(vitals.tick(), Tick::Stay);
        std::thread::sleep(std::time::Duration::from_millis(2));
        assert_eq!(vitals.tick(), Tick::Leave);
        assert!(vitals.moves_to_slow_lane());
        assert!(!vitals.moves_to_slow_lane());
        assert_eq!(vitals.tick(), Tick::Share);
    }

    #[test]
    fn a_cell_is_stuck_that_was_not_polled_between_two_pings_and_waits_for_nothing() {
        let ms = Nanos::from_millis;
        let vitals = Vitals::new(Clock::start(), Lineage::default().add(None));
        vitals.settle(ms(1));
        let poll = || {
            vitals.enter();
            vitals.leave()
        };
        let begin = || {
            vitals.end();
            vitals.begin(1, ms(500));
            vitals.take_in();
            poll();
        };
        let pings = |times: usize| -> Vec<bool> {
            (0..times).map(|_| vitals.ping(vitals.clock().now(), ms(0), ms(10_000)).is_some()).collect()
        };
        begin();
        assert_eq!(pings(3), [false, true, true], "found at the second ping");
        poll();
        assert_eq!(pings(2), [false, true], "a poll is a pong");
        vitals.waits_for_others(true);
        assert_eq!(pings(1), [false]);
        vitals.waits_for_others(false);
        vitals.waits_for_client(true);
        assert_eq!(pings(1), [false]);
        begin();
        vitals.waits_for_clock(ms(5_000));
        assert_eq!(pings(2), [false, false], "a timer within its time");
        begin();
        vitals.waits_for_clock(ms(0));
        let rung = |interval| {
            vitals.ping(vitals.clock().now(), ms(interval), ms(10_000));
            vitals.ping(vitals.clock().now(), ms(interval), ms(10_000)).is_some()
        };
        assert!(!rung(60_000) && rung(0), "who was just woken may wait for a core");
        begin();
        vitals.waits_for_clock(ms(20_000));
        assert_eq!(pings(2), [false, true], "a timer that its time does not reach");
        vitals.head_is_out();
        assert_eq!(pings(1), [false], "after the head it may");
        begin();
        vitals.is_wanted(false);
        assert_eq!(pings(2), [false, false], "its client reads slowly");
        vitals.is_wanted(true);
        vitals.end();
        assert_eq!(pings(2), [false, false], "it holds nothing");
    }

    #[test]
    fn a_message_pays_for_what_it_computes_and_not_for_what_others_do() {
        let vitals = Vitals::new(Clock::start(), Lineage::default().add(None));
        let pause = || std::thread::sleep(std::time::Duration::from_millis(2));
        vitals.begin(1, Nanos::from_millis(60_000));
        vitals.take_in();
        vitals.enter();
        pause();
        vitals.tick();
        assert_eq!(vitals.tick(), Tick::Leave);
        vitals.leave();
        pause();
        vitals.enter();
        vitals.refill();
        vitals.leave();
        // A wait of its own is not stalled.
        pause();
        vitals.enter();
        vitals.leave();
        let effort = vitals.end();
        let two = Nanos::from_millis(2);
        assert!(effort.computed >= two && effort.stalled >= two, "{effort:?}");
        let all = vitals.clock().now().since(Nanos(0));
        assert!(effort.computed.0 + effort.stalled.0 + two.0 <= all.0, "{effort:?} of {all:?}");
        assert_eq!((vitals.end().computed, vitals.inflight()), (effort.computed, 0));
        assert_eq!(vitals.cpu_total(), effort.computed);
    }
}
