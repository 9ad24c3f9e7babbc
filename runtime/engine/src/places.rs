//! The places for cells that all tissues of a host share, and who gives way when none is left.
//!
//! No request of one gene goes without a cell because cells of another gene rest: when no place is
//! left, the tissue with the most resting cells gives one up; and while somebody waits for a place,
//! one that comes free goes round among the tissues in need instead of staying in the family.
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
    used: AtomicU32,
    max: AtomicU32,
    tissues: Mutex<Vec<Weak<Tissue>>>,
    /// Whether somebody may be waiting for a place.
    is_short: AtomicBool,
    /// Whose turn it is, so that no tissue takes every place that comes free: the one after the one
    /// that got the last.
    turn: AtomicUsize,
}

impl Places {
    pub(crate) fn new(max: u32) -> Self {
        Self {
            used: AtomicU32::new(0),
            max: AtomicU32::new(max),
            tissues: Mutex::default(),
            is_short: AtomicBool::new(false),
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
        (self.used.load(Relaxed), self.max.load(Relaxed))
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
            if !self.occupy() {
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
        if !self.is_short() || !self.is_short.swap(false, SeqCst) || self.next_in_need().is_none() {
            return;
        }
        self.is_short.store(true, SeqCst);
        // Its place is passed on when it is dropped.
        tissue.give_way();
    }

    /// The next tissue in turn in which somebody waits for a place of the host.
    fn next_in_need(&self) -> Option<(usize, Arc<Tissue>)> {
        let tissues = self.living();
        let turn = self.turn.load(Relaxed).checked_rem(tissues.len())?;
        let (before, after) = tissues.split_at_checked(turn)?;
        let mut round = after.iter().chain(before).enumerate();
        let (steps, tissue) = round.find(|(_, tissue)| tissue.wants_place())?;
        Some(((turn + steps) % tissues.len(), tissue.clone()))
    }

    fn living(&self) -> Vec<Arc<Tissue>> {
        let tissues = self.tissues.lock().unwrap_or_else(PoisonError::into_inner);
        tissues.iter().filter_map(Weak::upgrade).collect()
    }
}
