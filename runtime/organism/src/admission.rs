//! Admission classes: background requests of a gene make room while its clients suffer.
//!
//! A tissue has one queue, first come first served. What stands before it is policy: a request of the
//! background passes at once while no client suffers, and is held back while one does, in a buffer
//! that is bounded in number and in time. Clients are not seen here at all, so they pay nothing.
//!
//! The rules, which the tests below hold it to:
//! - Nobody suffers and nobody is held: a newcomer passes at once.
//! - Never more than [`Bounds::held_max`] are held; one more is refused, and only while clients suffer.
//! - Who came first leaves first.
//! - Nobody is held for longer than [`Bounds::hold`], or than it asked for, whatever clients suffer.
//! - After clients suffered, those who are held leave by twos, fours, eights, a [`PACE`] apart: all at
//!   once would be the next thing that clients suffer from.
//!
//! `W` wakes a held request; this crate does not look into it.

use std::collections::VecDeque;

use cyte_dna::limits;
use serde::Serialize;

use crate::Nanos;

/// Between two looks at whether clients still suffer, while somebody is held.
pub const PACE: Nanos = Nanos::from_millis(limits::BACKGROUND_PACE_MS);

/// How much may be held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// Requests at once; none = refused at once while clients suffer.
    pub held_max: u32,
    /// How long each at most.
    pub hold: Nanos,
}

/// What became of background requests since the start: those that came are `passed + held + refused`,
/// those that were held are `calmed + overdue + left` and whoever is held now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Went on at once.
    pub passed: u64,
    /// Were held back.
    pub held: u64,
    /// Went on because no client suffered any more.
    pub calmed: u64,
    /// Went on because their time was over.
    pub overdue: u64,
    /// Found the buffer full.
    pub refused: u64,
    /// Were held when their client went away.
    pub left: u64,
}

/// Who is held, in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(u64);

/// What becomes of one that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It goes on.
    Pass,
    /// It is held; see [`Background::turn`].
    Hold(Ticket),
    /// There is no room to hold it: refuse.
    Full,
}

/// How it stands with one that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It goes on.
    Go,
    /// It waits until it is woken, or until then, and then calls [`Background::look`].
    Wait(Nanos),
}

#[derive(Debug)]
struct Held<W> {
    ticket: Ticket,
    until: Nanos,
    waker: W,
}

/// The background requests of one gene that are held back.
#[derive(Debug)]
pub struct Background<W> {
    bounds: Bounds,
    held: VecDeque<Held<W>>,
    next: u64,
    /// When to look whether clients still suffer.
    look_at: Nanos,
    /// How many left at the last look that found nobody suffering; 0 = somebody did.
    burst: u32,
    counts: Counts,
}

impl<W> Background<W> {
    /// Nobody is held yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            held: VecDeque::new(),
            next: 0,
            look_at: Nanos(0),
            burst: 0,
            counts: Counts::default(),
        }
    }

    /// A background request arrives, which waits `most` if that is less than all wait. Who is let go by
    /// that is put into `woken`.
    pub fn arrive(
        &mut self,
        now: Nanos,
        most: Option<Nanos>,
        do_clients_suffer: bool,
        waker: impl FnOnce() -> W,
        woken: &mut Vec<W>,
    ) -> Arrival {
        let is_full = self.held.len() >= self.bounds.held_max as usize;
        match (do_clients_suffer, is_full) {
            (false, _) if self.held.is_empty() => {
                self.counts.passed += 1;
                return Arrival::Pass;
            }
            (true, true) => {
                self.counts.refused += 1;
                return Arrival::Full;
            }
            // Nobody is refused while all is well, and nobody overtakes.
            (false, true) => self.release(1, woken),
            (_, false) => {}
        }
        if self.held.is_empty() {
            (self.look_at, self.burst) = (now + PACE, 0);
        }
        let ticket = Ticket(self.next);
        self.next += 1;
        self.counts.held += 1;
        let hold = most.map_or(self.bounds.hold, |most| most.min(self.bounds.hold));
        self.held.push_back(Held { ticket, until: now + hold, waker: waker() });
        Arrival::Hold(ticket)
    }

    /// How it stands with one that was held. Who is first looks after all of them; the others wait for
    /// no more than the end of their own time.
    #[must_use]
    pub fn turn(&self, ticket: Ticket) -> Turn {
        let Ok(at) = self.held.binary_search_by_key(&ticket, |held| held.ticket) else { return Turn::Go };
        let until = self.held.get(at).map_or(Nanos(0), |held| held.until);
        Turn::Wait(if at == 0 { until.min(self.look_at) } else { until })
    }

    /// Lets go whose time is over, and some where no client suffers; they are put into `woken`, and
    /// behind them who is first now.
    pub fn look(&mut self, now: Nanos, do_clients_suffer: bool, woken: &mut Vec<W>)
    where
        W: Clone,
    {
        let before = self.held.len();
        self.held.retain(|held| {
            let is_over = held.until <= now;
            if is_over {
                woken.push(held.waker.clone());
            }
            !is_over
        });
        self.counts.overdue += (before - self.held.len()) as u64;
        if now >= self.look_at {
            self.look_at = now + PACE;
            self.burst = if do_clients_suffer { 0 } else { self.burst.saturating_mul(2).max(2) };
            self.release(self.burst as usize, woken);
        }
        woken.extend(self.held.front().map(|first| first.waker.clone()));
    }

    /// One that was held is no more: its client went away, or it goes on. Gives whom to wake: the one
    /// that is first now.
    pub fn leave(&mut self, ticket: Ticket) -> Option<&W> {
        let at = self.held.binary_search_by_key(&ticket, |held| held.ticket).ok()?;
        self.held.remove(at)?;
        self.counts.left += 1;
        self.held.front().filter(|_| at == 0).map(|first| &first.waker)
    }

    fn release(&mut self, count: usize, woken: &mut Vec<W>) {
        let count = count.min(self.held.len());
        self.counts.calmed += count as u64;
        woken.extend(self.held.drain(..count).map(|held| held.waker));
    }

    /// Requests that are held now.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How much may be held back.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Changes that for whoever comes from now on; who is held keeps place and time.
    pub fn set_bounds(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ms(ms: u64) -> Nanos {
        Nanos::from_millis(ms)
    }

    fn buffer(held_max: u32) -> Background<u32> {
        Background::new(Bounds { held_max, hold: ms(100) })
    }

    fn come(buffer: &mut Background<u32>, now: u64, suffer: bool, who: u32) -> (Arrival, Vec<u32>) {
        let mut woken = Vec::new();
        let arrival = buffer.arrive(ms(now), None, suffer, || who, &mut woken);
        (arrival, woken)
    }

    fn look(buffer: &mut Background<u32>, now: u64, suffer: bool) -> Vec<u32> {
        let mut woken = Vec::new();
        buffer.look(ms(now), suffer, &mut woken);
        woken
    }

    #[test]
    fn while_nobody_suffers_nobody_is_held() {
        let mut buffer = buffer(2);
        for who in 0..9 {
            assert_eq!(come(&mut buffer, 0, false, who).0, Arrival::Pass);
        }
        assert_eq!(buffer.counts(), Counts { passed: 9, ..Counts::default() });
    }

    #[test]
    fn who_is_held_goes_in_order_when_it_is_calm_and_by_its_time_when_it_is_not() {
        let mut buffer = buffer(16);
        let held: Vec<_> = (0..9).map(|who| come(&mut buffer, u64::from(who), true, who).0).collect();
        let Arrival::Hold(first) = held[0] else { panic!("it is held") };
        let Arrival::Hold(last) = held[6] else { panic!("it is held") };
        assert_eq!((buffer.turn(first), buffer.turn(last)), (Turn::Wait(ms(5)), Turn::Wait(ms(106))));
        // The one that is first is woken to look again.
        assert_eq!(look(&mut buffer, 99, true), [0]);
        assert_eq!(look(&mut buffer, 101, true), [0, 1, 2], "the time of two is over");
        assert_eq!(buffer.turn(first), Turn::Go);
        assert_eq!(look(&mut buffer, 104, false), [2, 3, 4, 5, 6, 7], "time, and two for the calm");
        let newcomer = (Arrival::Hold(Ticket(9)), vec![]);
        assert_eq!(come(&mut buffer, 104, false, 9), newcomer, "it overtakes nobody");
        assert_eq!(look(&mut buffer, 108, false), [7, 8, 9]);
        assert_eq!(look(&mut buffer, 109, false), [9]);
        let counts = Counts { held: 10, overdue: 7, calmed: 3, ..Counts::default() };
        assert_eq!((buffer.counts(), buffer.len()), (counts, 0));
    }

    #[test]
    fn a_full_buffer_refuses_only_while_clients_suffer() {
        let mut buffer = buffer(1);
        assert!(matches!(come(&mut buffer, 0, true, 1).0, Arrival::Hold(_)));
        assert_eq!(come(&mut buffer, 1, true, 2).0, Arrival::Full);
        let (arrival, woken) = come(&mut buffer, 2, false, 3);
        assert!(matches!(arrival, Arrival::Hold(_)));
        assert_eq!((woken, buffer.len()), (vec![1], 1));
        let mut none = Background::new(Bounds { held_max: 0, hold: ms(100) });
        assert_eq!(come(&mut none, 0, true, 1).0, Arrival::Full);
        assert_eq!(come(&mut none, 0, false, 2).0, Arrival::Pass);
    }

    #[test]
    fn the_next_one_looks_when_the_first_went_away() {
        let mut buffer = buffer(4);
        let held: Vec<_> = (0..3).map(|who| come(&mut buffer, 0, true, who).0).collect();
        let [Arrival::Hold(a), Arrival::Hold(b), Arrival::Hold(c)] = held[..] else { panic!("all are held") };
        assert_eq!(buffer.leave(b), None);
        assert_eq!(buffer.leave(a), Some(&2));
        assert_eq!((buffer.turn(c), buffer.turn(b)), (Turn::Wait(ms(5)), Turn::Go));
        assert_eq!(buffer.leave(b), None);
        assert_eq!(buffer.counts().left, 2, "it is counted once");
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Come(bool),
        Look(bool),
        Leave(usize),
    }

    fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
        let step = prop_oneof![
            4 => any::<bool>().prop_map(Step::Come),
            2 => any::<bool>().prop_map(Step::Look),
            1 => (0usize..8).prop_map(Step::Leave),
        ];
        prop::collection::vec((0u64..12, step), 0..300)
    }

    proptest! {
        /// Bounded; first come, first gone; at once where nobody suffers; at the latest after its
        /// time; refused only while clients suffer; and every number adds up.
        #[test]
        fn the_rules_hold(held_max in 0u32..6, steps in steps()) {
            let mut buffer = buffer(held_max);
            let (mut now, mut came) = (0, 0u64);
            // Who is held, with ticket and arrival.
            let mut held: VecDeque<(u32, Ticket, u64)> = VecDeque::new();
            for (who, (gap, step)) in steps.into_iter().enumerate() {
                let who = who as u32;
                // Somebody looks whenever the first one said that it would.
                let end = now + gap;
                while let Some(first) = held.front().copied()
                    && let Turn::Wait(at) = buffer.turn(first.1)
                    && at <= ms(end)
                {
                    now = at.as_millis().max(now);
                    gone(&mut held, &look(&mut buffer, now, true), &buffer)?;
                }
                now = end;
                match step {
                    Step::Come(suffer) => {
                        came += 1;
                        let was_empty = held.is_empty();
                        let was_full = held.len() >= held_max as usize;
                        let (arrival, woken) = come(&mut buffer, now, suffer, who);
                        for one in woken {
                            prop_assert_eq!(held.pop_front().map(|held| held.0), Some(one));
                        }
                        match arrival {
                            Arrival::Pass => prop_assert!(was_empty && !suffer),
                            Arrival::Full => prop_assert!(was_full && suffer),
                            Arrival::Hold(ticket) => {
                                prop_assert!(suffer || !was_empty);
                                held.push_back((who, ticket, now));
                            }
                        }
                    }
                    Step::Look(suffer) => gone(&mut held, &look(&mut buffer, now, suffer), &buffer)?,
                    Step::Leave(at) => if let Some((_, ticket, _)) = held.remove(at) {
                        let next = buffer.leave(ticket).copied();
                        prop_assert_eq!(next, held.front().filter(|_| at == 0).map(|held| held.0));
                    },
                }
                prop_assert!(held.len() <= held_max as usize);
                prop_assert_eq!(held.len(), buffer.len());
                for (_, ticket, since) in &held {
                    prop_assert!(now - since < 100 && buffer.turn(*ticket) != Turn::Go);
                }
                let Counts { passed, held: ever, calmed, overdue, refused, left } = buffer.counts();
                prop_assert_eq!(came, passed + ever + refused);
                prop_assert_eq!(ever, calmed + overdue + left + held.len() as u64);
            }
        }
    }

    /// Whoever is woken leaves from the front, but the last, which may be the one that is first now.
    fn gone(
        held: &mut VecDeque<(u32, Ticket, u64)>,
        woken: &[u32],
        buffer: &Background<u32>,
    ) -> Result<(), TestCaseError> {
        for one in woken {
            let first = held.front().copied().map(|(who, ticket, _)| (who, buffer.turn(ticket)));
            let Some((who, turn)) = first else { return Err(TestCaseError::fail("nobody was held")) };
            prop_assert_eq!(who, *one);
            if turn == Turn::Go {
                held.pop_front();
            }
        }
        Ok(())
    }
}
