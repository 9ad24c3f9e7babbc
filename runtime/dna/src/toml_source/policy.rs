//! `[pool]`, `[hormones]` and `dormant` of `dna.toml`: what an organism changes of how it lives.

use std::ops::Range;

use super::SourceError;
use super::read::{Reader, Table};
use crate::policy::{HormonePolicy, Policy, PoolPolicy};

/// What a `dna.toml` states of the policy; the rest stays as it was.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicySource {
    pub(super) dormant: Option<bool>,
    pool: Vec<(String, u32)>,
    hormones: Vec<(String, u32)>,
}

impl PolicySource {
    /// `policy` with what is stated.
    pub(super) fn over(&self, mut policy: Policy) -> Policy {
        policy.awake = self.dormant.map_or(policy.awake, |dormant| !dormant);
        for (name, number) in &self.pool {
            policy.pool.number_mut(name).into_iter().for_each(|known| *known = *number);
        }
        for (name, number) in &self.hormones {
            policy.hormones.number_mut(name).into_iter().for_each(|known| *known = *number);
        }
        policy
    }
}

impl Reader {
    pub(super) fn policy(&mut self, root: &Table<'_, '_>, dormant: Option<bool>) -> PolicySource {
        let pool = self.numbers(root, "pool", &PoolPolicy::NAMES);
        let hormones = self.numbers(root, "hormones", &HormonePolicy::NAMES);
        let unplaced = |stated: &[(String, u32, Range<usize>)]| {
            stated.iter().map(|(name, number, _)| (name.clone(), *number)).collect()
        };
        let source = PolicySource { dormant, pool: unplaced(&pool), hormones: unplaced(&hormones) };
        // Ranges depend on each other, so they are looked at where all is known.
        if let Err(error) = source.over(Policy::default()).check() {
            let message = error.to_string();
            let at = pool.iter().chain(&hormones).find(|(name, ..)| message.contains(name.as_str()));
            let span = at.map_or(0..0, |(.., span)| span.clone());
            self.faults.push(SourceError::new(span, message, "stay within the range, or leave it out"));
        }
        source
    }

    /// The whole numbers of a table with these keys.
    fn numbers(
        &mut self,
        root: &Table<'_, '_>,
        key: &str,
        names: &[&'static str],
    ) -> Vec<(String, u32, Range<usize>)> {
        let Some(table) = self.table(root, key) else { return Vec::new() };
        self.known_keys(&table, names);
        let mut stated = Vec::new();
        for name in names {
            let Some(value) = table.entries.get(*name) else { continue };
            let span = value.span();
            if let Some(number) = self.number(&table, name, 0, u32::MAX) {
                stated.push(((*name).to_owned(), number, span));
            }
        }
        stated
    }
}
