//! Births: forced, renewing and grown; whom a stem or a permit goes to, and who is the mother.

use super::{Act, Cause, ClassId, Decision, Law, Run};
use crate::constants::{OWED_MAX, REFRACTORY};
use crate::dice::Dice;
use crate::law::class::Class;
use crate::lineage::Niche;
use crate::share::{Ask, grant};

impl Law {
    /// All births of a run, in order of urgency.
    pub(super) fn grow(&mut self, run: &mut Run<'_>) {
        self.force(run);
        self.renew(run);
        self.weigh(run);
        for is_core in [true, false] {
            self.share_out(run, is_core);
        }
        self.note_unmet(run);
    }

    /// Below `n_min` births are forced, core classes first; full cores do not matter.
    fn force(&mut self, run: &mut Run<'_>) {
        for is_core in [true, false] {
            for sample in run.samples {
                let Some(class) = self.classes.get_mut(&sample.class) else { continue };
                if class.spec.core != is_core {
                    continue;
                }
                let missing = class.spec.min.saturating_sub(class.living());
                for _ in 0..missing {
                    if !birth(run, class, sample.class, &mut self.dice, Cause::Floor) {
                        break;
                    }
                }
            }
        }
    }

    /// The ratio of births to retirements, while neither hormone is above its dead band.
    fn renew(&mut self, run: &mut Run<'_>) {
        let (up, down) = (run.constants.grow_above, run.constants.die_above);
        for sample in run.samples {
            let Some(class) = self.classes.get_mut(&sample.class) else { continue };
            let retired = std::mem::take(&mut class.renewals);
            let is_calm =
                class.view.felt_fast <= up && -class.view.felt_fast.max(class.view.felt_slow) <= down;
            if !is_calm || run.is_suppressed {
                // Growth and surplus answer for themselves now.
                class.renewal_credit = class.renewal_credit.min(0);
                continue;
            }
            let owed = retired.saturating_mul(i64::from(run.constants.renewal_permille));
            // Owed for 100 events at most: a long shortage of places is not made up for at once.
            class.renewal_credit = class.renewal_credit.saturating_add(owed).min(200_000);
            while class.renewal_credit >= 1_000
                && birth(run, class, sample.class, &mut self.dice, Cause::Renewal)
            {
                class.renewal_credit -= 1_000;
            }
        }
    }

    /// Where not all classes can have what they want, what each may have at most: weighted
    /// max-min of all places, core classes before the others.
    fn weigh(&mut self, run: &Run<'_>) {
        let classes = || self.classes.values();
        let held: u64 = classes().map(|class| u64::from(class.census.placed())).sum();
        let places = held as f64 + f64::from(run.room) + f64::from(run.stems);
        let wants: f64 = classes().map(want).sum();
        if wants <= places {
            for class in self.classes.values_mut() {
                class.fair = None;
            }
            return;
        }
        let mut left = places;
        for is_core in [true, false] {
            self.asks.clear();
            let of = self.classes.values().filter(|class| class.spec.core == is_core);
            self.asks.extend(of.map(|class| Ask::new(want(class), f64::from(class.spec.weight), 0.0)));
            crate::share::shares(left, &mut self.asks, &mut self.order);
            let of = self.classes.values_mut().filter(|class| class.spec.core == is_core);
            for (class, ask) in of.zip(&self.asks) {
                class.fair = Some(ask.share.max(f64::from(class.spec.min)));
                left -= ask.share;
            }
        }
    }

    /// Divides stems, then divisions, among classes of one rank that feel a deficit.
    fn share_out(&mut self, run: &mut Run<'_>, is_core: bool) {
        if run.is_suppressed {
            return;
        }
        self.asks.clear();
        for sample in run.samples {
            let Some(class) = self.classes.get_mut(&sample.class) else { continue };
            if class.spec.core != is_core {
                continue;
            }
            class.asked = ask(run, class, &mut self.dice);
            let strength = f64::from(class.spec.weight) * class.view.growth;
            self.asks.push(Ask::new(f64::from(class.asked), strength, class.credit));
        }
        if self.asks.iter().all(|ask| ask.demand <= 0.0) {
            return;
        }
        self.pay_debts(run, is_core);
        let has_core = !is_core && self.classes.values().any(|class| class.spec.core);
        let reserve = if has_core { run.constants.stems_floor() } else { 0 };
        let stems = run.stems.saturating_sub(reserve).min(run.births);
        grant(stems, &mut self.asks, &mut self.order);
        self.perform(run, is_core, true);
        // What the pool cannot give falls on the mothers, and needs a place.
        let permits = run.room.min(run.births);
        for ask in &mut self.asks {
            ask.demand -= f64::from(ask.granted);
        }
        grant(permits, &mut self.asks, &mut self.order);
        self.perform(run, is_core, false);
    }

    /// A class that was passed over for long goes first, with one birth.
    fn pay_debts(&mut self, run: &mut Run<'_>, is_core: bool) {
        let mut at = 0;
        for sample in run.samples {
            let Some(class) = self.classes.get_mut(&sample.class) else { continue };
            if class.spec.core != is_core {
                continue;
            }
            let is_owed = class.owed_since.is_some_and(|since| run.now.since(since) >= OWED_MAX);
            if let Some(ask) = self.asks.get_mut(at)
                && is_owed
                && ask.demand >= 1.0
                && birth(run, class, sample.class, &mut self.dice, Cause::Growth)
            {
                ask.demand -= 1.0;
                class.asked -= 1;
                class.owed_since = Some(run.now);
            }
            at += 1;
        }
    }

    fn perform(&mut self, run: &mut Run<'_>, is_core: bool, from_stems: bool) {
        let mut at = 0;
        for sample in run.samples {
            let Some(class) = self.classes.get_mut(&sample.class) else { continue };
            if class.spec.core != is_core {
                continue;
            }
            if let Some(ask) = self.asks.get_mut(at) {
                let dice = &mut self.dice;
                let done = if from_stems {
                    differentiate(run, class, sample.class, dice, ask.granted, Cause::Growth)
                } else {
                    divide(run, class, sample.class, dice, ask.granted, Cause::Growth)
                };
                ask.granted = done;
                class.asked = class.asked.saturating_sub(done);
                class.credit = ask.credit;
            }
            at += 1;
        }
    }

    fn note_unmet(&mut self, run: &Run<'_>) {
        for sample in run.samples {
            let Some(class) = self.classes.get_mut(&sample.class) else { continue };
            let asked = std::mem::take(&mut class.asked);
            // Where the cores are full, all that is wanted is for other hosts.
            let is_full = run.is_suppressed || class.living() >= class.useful;
            let unmet = if is_full { class.view.growth } else { f64::from(asked) };
            class.view.unmet = unmet;
            class.view.unmet_since =
                if unmet >= 1.0 { class.view.unmet_since.or(Some(run.now)) } else { None };
            class.owed_since =
                if asked > 0 && class.is_below_share() { class.owed_since.or(Some(run.now)) } else { None };
        }
    }
}

/// Places that a class would hold if all could.
fn want(class: &Class) -> f64 {
    let living = f64::from(class.living());
    let wish =
        if class.view.growth > 0.0 { living + class.view.growth } else { class.view.wanted.min(living) };
    let most = class.spec.max.min(class.useful.max(class.living()));
    wish.max(f64::from(class.spec.min)).min(f64::from(most))
}

/// Whole cells that a class asks for, inside its bounds and its share.
fn ask(run: &Run<'_>, class: &Class, dice: &mut Dice) -> u32 {
    if class.view.growth <= 0.0 {
        return 0;
    }
    let wish = dice.round(class.view.growth);
    let room = class.spec.max.saturating_sub(class.census.placed());
    let share = class.fair.map_or(u32::MAX, |fair| (fair as u32).saturating_sub(class.living()));
    let useful = class.useful.saturating_sub(class.living());
    wish.min(room).min(share).min(useful).min(run.births)
}

/// One birth by whatever way there is: a stem, a division, from nothing.
fn birth(run: &mut Run<'_>, class: &mut Class, id: ClassId, dice: &mut Dice, cause: Cause) -> bool {
    if !class.can_grow() || run.births == 0 {
        return false;
    }
    if differentiate(run, class, id, dice, 1, cause) > 0 || divide(run, class, id, dice, 1, cause) > 0 {
        return true;
    }
    // A mother that rests cannot keep a class below its floor.
    if run.room == 0 || cause != Cause::Floor {
        return false;
    }
    run.room -= 1;
    commit(run, class, id, Act::Found, cause);
    true
}

/// Up to `count` stems become cells of the class; each is the daughter of a random ready cell.
fn differentiate(
    run: &mut Run<'_>,
    class: &mut Class,
    id: ClassId,
    dice: &mut Dice,
    count: u32,
    cause: Cause,
) -> u32 {
    let count = count.min(run.stems).min(run.births);
    for _ in 0..count {
        run.stems -= 1;
        let mother = any_mother(class, dice);
        commit(run, class, id, Act::Differentiate { mother }, cause);
    }
    count
}

/// Up to `count` ready cells divide that did not just do so. A walk from a random start instead of
/// a coin for each: the number is exact.
fn divide(
    run: &mut Run<'_>,
    class: &mut Class,
    id: ClassId,
    dice: &mut Dice,
    count: u32,
    cause: Cause,
) -> u32 {
    let count = count.min(run.room).min(run.births);
    if count == 0 {
        return 0;
    }
    if class.living() == 0 {
        // Nobody is there to divide: one is made from nothing, the others are her daughters.
        run.room -= 1;
        commit(run, class, id, Act::Found, cause);
        return 1;
    }
    let now = run.now;
    let members = class.family.members_mut();
    let start = dice.below(members.len() as u64) as usize;
    let mut done = 0;
    for step in 0..members.len() {
        if done == count {
            break;
        }
        let members = class.family.members_mut();
        let at = (start + step) % members.len().max(1);
        let Some(member) = members.get_mut(at) else { break };
        let rests = member.divided.is_some_and(|divided| now.since(divided) < REFRACTORY);
        if !member.is_ready() || rests {
            continue;
        }
        member.divided = Some(now);
        let mother = member.reading.niche;
        run.room -= 1;
        commit(run, class, id, Act::Divide { mother }, cause);
        done += 1;
    }
    done
}

/// A random ready cell, else the first of the family.
fn any_mother(class: &Class, dice: &mut Dice) -> Option<Niche> {
    let members = class.family.members();
    let start = dice.below(members.len() as u64) as usize;
    let (before, after) = members.split_at_checked(start)?;
    let ready = after.iter().chain(before).find(|member| member.is_ready());
    ready.or(members.first()).map(|member| member.reading.niche)
}

fn commit(run: &mut Run<'_>, class: &mut Class, id: ClassId, act: Act, cause: Cause) {
    let mut trace = class.overview();
    trace.felt_fast = class.view.felt_fast;
    trace.felt_slow = class.view.felt_slow;
    trace.is_suppressed = run.is_suppressed;
    class.census.pending += 1;
    run.births -= 1;
    run.decisions.push(Decision::Cell { class: id, act, cause, trace });
}
