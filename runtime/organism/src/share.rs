//! Weighted max-min: how a supply is divided among those who ask for it.
//!
//! Nobody gets more than they ask for; nobody gets less than their share by strength while
//! another gets more than theirs. Whole units go out; the fraction that a share was rounded down
//! by is remembered, so that over time everybody gets exactly their share and a weak asker is
//! late but never left out.

/// One who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Ask {
    /// Units asked for.
    pub(crate) demand: f64,
    /// Strength against the others; nothing for 0.
    pub(crate) strength: f64,
    /// The share, in fractions of units.
    pub(crate) share: f64,
    /// Whole units granted.
    pub(crate) granted: u32,
    /// Fractions owed from before, below 1 either way; kept by the caller.
    pub(crate) credit: f64,
    /// Strength of this one and of all who come after it.
    rest: f64,
}

impl Ask {
    /// Asks for `demand` units with `strength`, being owed `credit` from before.
    pub(crate) fn new(demand: f64, strength: f64, credit: f64) -> Self {
        Self { demand, strength, credit, ..Self::default() }
    }
}

/// Finds every asker's share of `supply`. `order` is working space.
pub(crate) fn shares(supply: f64, asks: &mut [Ask], order: &mut Vec<u32>) {
    order.clear();
    order.extend(0..asks.len() as u32);
    // Who asks least for their strength is satisfied first; equal ones in the order they came.
    let need = |asks: &[Ask], at: u32| {
        asks.get(at as usize).map_or(f64::MAX, |ask| ask.demand / ask.strength.max(f64::MIN_POSITIVE))
    };
    order.sort_unstable_by(|a, b| need(asks, *a).total_cmp(&need(asks, *b)).then(a.cmp(b)));
    // Summed from the back: a running difference would end in dust instead of zero.
    let mut rest = 0.0;
    for at in order.iter().rev() {
        if let Some(ask) = asks.get_mut(*at as usize) {
            rest += ask.strength;
            ask.rest = rest;
        }
    }
    let mut left = supply.max(0.0);
    for at in order.iter() {
        let Some(ask) = asks.get_mut(*at as usize) else { continue };
        let fair = if ask.rest > 0.0 { left * ask.strength / ask.rest } else { 0.0 };
        ask.share = ask.demand.max(0.0).min(fair);
        left = (left - ask.share).max(0.0);
    }
}

/// Divides `supply` whole units; returns how many are left.
pub(crate) fn grant(supply: u32, asks: &mut [Ask], order: &mut Vec<u32>) -> u32 {
    shares(f64::from(supply), asks, order);
    let mut left = supply;
    for ask in asks.iter_mut() {
        let whole = (ask.share + ask.credit.max(0.0)).min(ask.demand) as u32;
        ask.granted = whole.min(left);
        left -= ask.granted;
        // Who got all that was asked for is owed nothing.
        let is_met = f64::from(ask.granted) >= ask.demand;
        let owed = ask.credit + ask.share - f64::from(ask.granted);
        ask.credit = if is_met { 0.0 } else { owed.clamp(-1.0, 1.0) };
    }
    // What rounding left over goes to those who are owed most.
    while left > 0 {
        let open = asks.iter_mut().filter(|ask| f64::from(ask.granted) < ask.demand && ask.strength > 0.0);
        // The first of equals: `max_by` would take the last.
        let Some(ask) = open.reduce(|best, ask| if ask.credit > best.credit { ask } else { best }) else {
            break;
        };
        ask.granted += 1;
        ask.credit = (ask.credit - 1.0).max(-1.0);
        left -= 1;
    }
    left
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ask(demand: f64, strength: f64) -> Ask {
        Ask::new(demand, strength, 0.0)
    }

    #[test]
    fn i17_twice_the_strength_is_twice_the_share() {
        let mut asks = [ask(100.0, 1.0), ask(100.0, 2.0), ask(3.0, 50.0)];
        assert_eq!(grant(33, &mut asks, &mut Vec::new()), 0);
        assert_eq!(asks.map(|ask| ask.granted), [10, 20, 3]);
    }

    #[test]
    fn i17_the_weak_are_late_but_not_left_out() {
        let mut asks = [ask(10.0, 1.0), ask(10.0, 9.0)];
        let mut sums = [0, 0];
        for _ in 0..100 {
            assert_eq!(grant(1, &mut asks, &mut Vec::new()), 0);
            for (sum, ask) in sums.iter_mut().zip(&asks) {
                *sum += ask.granted;
            }
        }
        assert!((9..=11).contains(&sums[0]), "{sums:?}");
    }

    proptest! {
        /// Never more than asked for, never more than there is, and nothing left over while
        /// somebody still wants it; nobody is below another for their strength unless satisfied.
        #[test]
        fn i17_grants_are_max_min(supply in 0u32..100, rows in prop::collection::vec((0u32..40, 1u32..9), 0..8)) {
            let mut asks: Vec<Ask> = rows.iter().map(|(d, s)| ask(f64::from(*d), f64::from(*s))).collect();
            let left = grant(supply, &mut asks, &mut Vec::new());
            let granted: u32 = asks.iter().map(|ask| ask.granted).sum();
            prop_assert_eq!(granted + left, supply);
            let unmet = asks.iter().any(|ask| f64::from(ask.granted) < ask.demand);
            prop_assert!(left == 0 || !unmet);
            for a in &asks {
                prop_assert!(f64::from(a.granted) <= a.demand);
                for b in &asks {
                    let poorer = a.share / a.strength + 1e-9 < b.share / b.strength;
                    prop_assert!(!poorer || a.share + 1e-9 >= a.demand);
                }
            }
        }
    }
}
