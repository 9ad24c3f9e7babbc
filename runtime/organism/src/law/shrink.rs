//! Deaths: voluntary ones at the rate of the surplus, those that make room for another class, those
//! that only wait for full cores, and those above a lowered bound. All drain first, idle cells go first.

use super::{Act, Cause, ClassId, Decision, Law, Run};
use crate::Nanos;
use crate::law::class::Class;

impl Law {
    /// All deaths of a tick that lasted `since` the one before.
    pub(super) fn shrink(&mut self, run: &mut Run<'_>, since: Nanos) {
        let greediest = self.greediest(run);
        for sample in run.samples {
            let Some(class) = self.classes.get_mut(&sample.class) else { continue };
            let (cause, count) = doomed(run, class, since, greediest == Some(sample.class));
            let count = count.min(cap(run, class)).min(class.living().saturating_sub(class.spec.min));
            if count > 0 {
                select(run, class, cause, &mut self.candidates);
                die(run, class, sample.class, cause, count, &self.candidates);
            }
        }
    }

    /// The class furthest above its share while another waits for a place and there is none.
    fn greediest(&self, run: &Run<'_>) -> Option<ClassId> {
        if run.room > 0 || run.stems > 0 {
            return None;
        }
        let is_waiting = |class: &Class| {
            class.fair.is_some_and(|fair| class.view.growth > 0.0 && f64::from(class.living()) + 1.0 <= fair)
        };
        if !self.classes.values().any(is_waiting) {
            return None;
        }
        let surplus = |class: &Class| class.fair.map_or(0.0, |fair| f64::from(class.living()) - fair);
        let over = self.classes.iter().filter(|(_, class)| surplus(class) > 0.0);
        over.max_by(|a, b| surplus(a.1).total_cmp(&surplus(b.1))).map(|(id, _)| *id)
    }
}

/// Deaths a tick at most.
fn cap(run: &Run<'_>, class: &Class) -> u32 {
    ((f64::from(class.living()) * run.constants.death_cap) as u32).max(1)
}

/// Why and how many a class should lose now.
fn doomed(run: &Run<'_>, class: &mut Class, since: Nanos, is_greediest: bool) -> (Cause, u32) {
    let living = class.living();
    if living > class.spec.max {
        return (Cause::Bound, living - class.spec.max);
    }
    if is_greediest && let Some(fair) = class.fair {
        return (Cause::Pressure, living.saturating_sub(fair as u32).max(1));
    }
    if class.is_crowded() {
        return (Cause::Cores, 1);
    }
    if class.view.growth > 0.0 {
        class.deaths = 0.0;
        return (Cause::Surplus, 0);
    }
    // A rate with memory: what adds up to less than one death is kept, but never hoarded.
    let most = f64::from(cap(run, class));
    class.deaths = (class.deaths + class.death_rate * since.0 as f64 / 1e9).min(most);
    (Cause::Surplus, (class.deaths as u32).min(living.saturating_sub(class.needed_lately())))
}

/// Fills `candidates` with who may die, those to go first at the front.
fn select(run: &Run<'_>, class: &Class, cause: Cause, candidates: &mut Vec<(u32, f64, u32)>) {
    candidates.clear();
    for (at, member) in class.family.members().iter().enumerate() {
        let age = run.now.since(member.reading.since);
        // Growing up is no protection where another class starves.
        let is_mature = age >= run.constants.min_age || cause != Cause::Surplus;
        if member.is_ready() && is_mature {
            candidates.push((member.reading.inflight, member.fast, at as u32));
        }
    }
    // Idle first, then the coldest, then the youngest: the old are the trunk of the tree.
    candidates.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(b.2.cmp(&a.2)));
}

fn die(
    run: &mut Run<'_>,
    class: &mut Class,
    id: ClassId,
    cause: Cause,
    count: u32,
    candidates: &[(u32, f64, u32)],
) {
    for (_, _, at) in candidates.iter().take(count as usize) {
        let Some(member) = class.family.members().get(*at as usize) else { continue };
        let niche = member.reading.niche;
        let trace = super::Trace { is_suppressed: run.is_suppressed, ..class.trace(*at as usize) };
        class.census.ready -= 1;
        class.census.draining += 1;
        if cause == Cause::Surplus {
            class.deaths = (class.deaths - 1.0).max(0.0);
        }
        run.decisions.push(Decision::Cell { class: id, act: Act::Die { niche }, cause, trace });
    }
}
