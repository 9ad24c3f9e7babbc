//! The places for cells that all tissues of a host share, and who gives way when none is left.
//!
//! No request of one gene goes without a cell because cells of another gene rest: when no place is
//! left, the tissue with the most resting cells gives one up; and while somebody waits for a place,
//! one that comes free goes round among the tissues in need instead of staying in the family.
//!
//! A *stem* is a place that is taken and not given to any gene yet: the pool that one host keeps for
//! all its genes, so that a birth need not ask for room. Which stems may go to whom is the law's
//! (`cyte_organism::law`); here they are counted.
//!
//! The usual way costs a relaxed load; tissues are looked at only once somebody was short. A busy cell
//! never gives way, and no tissue goes below the least that its DNA asks for.

use std::sync::{
    Arc, Mutex, PoisonError, Weak,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst},
};

use crate::tissue::Tissue;

/// How many cells a host holds and may hold, and who holds them.
#[derive(Debug)]
pub(crate) struct Places {
    /// Cells and stems.
    used: AtomicU32,
    stems: AtomicU32,
    /// Whether there ever was a pool of stems: an egg has none.
    has_pool: AtomicBool,
    max: AtomicU32,
    tissues: Mutex<Vec<Weak<Tissue>>>,
    /// Whether somebody may be waiting for a place.
    is_short: AtomicBool,
    /// Whether there may be more cells than there may be since that was lowered.
    was_lowered: AtomicBool,
    /// Whose turn it is, so that no tissue takes every place that comes free: the one after the one
    /// that got the last.
    turn: AtomicUsize,
}

impl Places {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            used: AtomicU32::new(0),
            stems: AtomicU32::new(0),
            has_pool: AtomicBool::new(false),
            max: AtomicU32::new(max),
            tissues: Mutex::default(),
            is_short: AtomicBool::new(false),
            was_lowered: AtomicBool::new(false),
            turn: AtomicUsize::new(0),
        }
    }

    /// This tissue shares the places from now on.
    pub(crate) fn join(&self, tissue: &Arc<Tissue>) {
        let mut tissues = self.tissues.lock().unwrap_or_else(PoisonError::into_inner);
        tissues.retain(|tissue| tissue.strong_count() > 0);
        tissues.push(Arc::downgrade(tissue));
    }

    /// Cells alive and the most there may be.
    pub(crate) fn count(&self) -> (u32, u32) {
        // Stems first: one that becomes a cell in between must not count twice.
        let stems = self.stems();
        (self.used.load(Relaxed).saturating_sub(stems), self.max())
    }

    /// Most cells and stems together.
    pub(crate) fn max(&self) -> u32 {
        self.max.load(Relaxed)
    }

    /// Changes how many cells and stems there may be. Who is too many ends: stems first, then cells that
    /// rest, then those that work as they come to rest.
    pub(crate) fn set_max(&self, max: u32) {
        self.max.store(max, SeqCst);
        while self.is_over() && self.take_stem() {
            self.vacate();
        }
        while self.is_over() && self.shed() {}
        self.was_lowered.store(self.is_over(), SeqCst);
        if !self.is_over() {
            self.is_wanted();
        }
    }

    /// Whether there are more than there may be.
    fn is_over(&self) -> bool {
        self.used.load(SeqCst) > self.max.load(SeqCst)
    }

    /// The tissue with the most cells that rest gives one up; whether there was one.
    pub(crate) fn shed(&self) -> bool {
        let idlest = self.living().into_iter().max_by_key(|tissue| tissue.resting());
        idlest.is_some_and(|tissue| tissue.give_way())
    }

    /// Stems that wait.
    pub(crate) fn stems(&self) -> u32 {
        self.stems.load(Relaxed)
    }

    /// Places that neither cells nor stems hold.
    pub(crate) fn room(&self) -> u32 {
        self.max().saturating_sub(self.used.load(Relaxed))
    }

    /// Stems that a request may count on. Where every place is held, or nobody keeps a pool yet, there
    /// is none to be careful with: whatever has room is made, or who rests gives way.
    pub(crate) fn stems_at_hand(&self) -> u32 {
        let is_careful = self.has_pool.load(Relaxed) && self.room() > 0;
        if is_careful { self.stems() } else { u32::MAX }
    }

    /// Takes a stem out of the pool; its place goes to whoever took it.
    pub(crate) fn take_stem(&self) -> bool {
        self.stems.fetch_update(SeqCst, SeqCst, |stems| stems.checked_sub(1)).is_ok()
    }

    /// A stem that was taken in vain goes back.
    pub(crate) fn return_stem(&self) {
        self.stems.fetch_add(1, SeqCst);
    }

    /// Makes up to `count` stems, as long as there is room, and lets waiting requests call for them.
    pub(crate) fn make_stems(&self, count: u32) {
        self.has_pool.store(true, Relaxed);
        let made = (0..count).take_while(|_| self.occupy()).count();
        self.stems.fetch_add(u32::try_from(made).unwrap_or(0), SeqCst);
        if made > 0 {
            self.living().iter().for_each(Tissue::recruit);
        }
    }

    /// Gives up to `count` stems back.
    pub(crate) fn dissolve_stems(&self, count: u32) {
        let gone = (0..count).take_while(|_| self.take_stem()).count();
        (0..gone).for_each(|_| self.vacate());
        if gone > 0 {
            self.pass_on();
        }
    }

    /// A place for a birth that nobody waits for: a successor needs no stem where there is room, a
    /// new cell takes one where there is one.
    pub(crate) fn seat(&self, is_successor: bool) -> bool {
        (is_successor && self.occupy()) || self.take_stem() || self.occupy()
    }

    /// A place for one more cell, to be returned with [`Self::vacate`]. Counting here is what keeps
    /// the process away from the kernel's limit of memory maps, which would end in an abort.
    pub(crate) fn occupy(&self) -> bool {
        let fits = self.used.fetch_add(1, SeqCst) < self.max.load(Relaxed);
        if !fits {
            self.used.fetch_sub(1, SeqCst);
        }
        fits
    }

    /// A place is free.
    pub(crate) fn vacate(&self) {
        self.used.fetch_sub(1, SeqCst);
    }

    /// A place for a request of `needy` that found none: a cell of another gene that rests gives way.
    pub(crate) fn make_room(&self, needy: &Tissue) -> bool {
        let others = self.living().into_iter().filter(|tissue| !std::ptr::eq(&**tissue, needy));
        let idlest = others.map(|tissue| (tissue.resting(), tissue)).max_by_key(|(resting, _)| *resting);
        idlest.is_some_and(|(resting, tissue)| resting > 0 && tissue.give_way()) && self.occupy()
    }

    /// Whether somebody may be waiting for a place.
    pub(crate) fn is_short(&self) -> bool {
        self.is_short.load(Relaxed)
    }

    /// Somebody waits for a place, as the queue of a tissue says already.
    pub(crate) fn is_wanted(&self) {
        self.is_short.store(true, SeqCst);
        self.pass_on();
    }

    /// Gives free places to those who wait for one, in turn.
    pub(crate) fn pass_on(&self) {
        // Unset before looking and set again where somebody waits: a request that comes to wait
        // meanwhile sets it after us.
        while self.is_short() && self.is_short.swap(false, SeqCst) {
            let Some((at, tissue)) = self.next_in_need() else { return };
            self.is_short.store(true, SeqCst);
            if !self.occupy() && !self.take_stem() {
                return;
            }
            if tissue.welcome() {
                self.turn.store(at + 1, Relaxed);
            } else {
                self.vacate();
            }
        }
    }

    /// A cell of `tissue` came to rest; if somebody is short of a place, it gives way.
    pub(crate) fn relieve(&self, tissue: &Tissue) {
        if self.was_lowered.load(Relaxed) {
            let gives_way = self.is_over() && tissue.give_way();
            self.was_lowered.store(self.is_over(), SeqCst);
            if gives_way {
                return;
            }
        }
        if !self.is_short() || !self.is_short.swap(false, SeqCst) || self.next_in_need().is_none() {
            return;
        }
        self.is_short.store(true, SeqCst);
        // Its place is passed on when it is dropped.
        tissue.give_way();
    }

    /// The tissue in which somebody waits for a place of the host and that has the fewest cells for its
    /// weight, in turn.
    fn next_in_need(&self) -> Option<(usize, Arc<Tissue>)> {
        let tissues = self.living();
        let turn = self.turn.load(Relaxed).checked_rem(tissues.len())?;
        let (before, after) = tissues.split_at_checked(turn)?;
        let round = after.iter().chain(before).enumerate().filter(|(_, tissue)| tissue.wants_place());
        // The first of equals is the one whose turn it is.
        let (steps, tissue) = round.min_by_key(|(_, tissue)| tissue.share())?;
        Some(((turn + steps) % tissues.len(), tissue.clone()))
    }

    fn living(&self) -> Vec<Arc<Tissue>> {
        let tissues = self.tissues.lock().unwrap_or_else(PoisonError::into_inner);
        tissues.iter().filter_map(Weak::upgrade).collect()
    }
}
