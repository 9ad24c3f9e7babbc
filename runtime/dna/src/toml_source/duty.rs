//! `policy` of a gene: what it does for its host, and what it cannot have beside that.

use std::collections::BTreeMap;

use super::SourceError;
use super::gene::GeneSource;
use super::read::{Reader, Table};
use crate::{Duty, Role};

/// What to write where a policy does not say what it is asked.
const HELP: &str = "add policy = [\"zombies\"] with what it is to do: zombies, log, metrics";

impl GeneSource {
    /// What does not fit between the duties that it is given and what its exports make it.
    pub(super) fn misfit_of_duties(&self, exported: Role) -> Option<SourceError> {
        let name = &self.name;
        match (exported, self.policy.is_empty()) {
            (Role::Policy, true) => {
                let message = format!("gene `{name}` is a policy and does not say what it does");
                Some(SourceError::new(self.span.clone(), message, HELP))
            }
            (Role::Drone | Role::Task | Role::Neuron, false) => {
                let message = format!("gene `{name}` has `policy`, but its exports make it a {exported}");
                let help =
                    "remove policy, or build it as a gene of its own that exports only what a policy does";
                Some(SourceError::new(self.span.clone(), message, help))
            }
            _ => None,
        }
    }

    /// The first duty that it is given and whose interface is not among `exports`, at its place.
    #[must_use]
    pub fn unmet_duty(&self, exports: &[String]) -> Option<SourceError> {
        let has = |duty: Duty| exports.iter().any(|name| name.split('@').next() == Some(duty.interface()));
        let duty = self.policy.iter().copied().find(|duty| !has(*duty))?;
        let message = format!(
            "gene `{}` is to do `{duty}`, but its component does not export `{}`",
            self.name,
            duty.interface()
        );
        let help = format!(
            "export it (in the SDK: cyte_sdk::{}!), or take \"{duty}\" out of policy",
            macro_of(duty)
        );
        Some(SourceError::new(self.policy_span.clone(), message, help))
    }
}

/// The SDK's macro that makes a gene export what a duty needs.
fn macro_of(duty: Duty) -> &'static str {
    match duty {
        Duty::Zombies => "zombies",
        Duty::Log => "log_sink",
        Duty::Metrics => "metrics",
    }
}

impl Reader {
    /// What a policy does, ascending; and nothing beside it that only a population has.
    pub(super) fn duties(&mut self, table: &Table<'_, '_>, role: Option<Role>) -> Vec<Duty> {
        let mut duties = Vec::new();
        for (text, span) in self.strings(table, "policy", true).unwrap_or_default() {
            match Duty::ALL.into_iter().find(|duty| duty.as_str() == text) {
                Some(duty) => duties.push((duty, span)),
                None => {
                    let message = format!("`{text}` is not a value of `policy`");
                    let known: Vec<&str> = Duty::ALL.iter().map(|duty| duty.as_str()).collect();
                    let help = format!("write one of: {}", known.join(", "));
                    self.faults.push(SourceError::new(span, message, help));
                }
            }
        }
        let key = table.entries.get("policy");
        if let (Some(role @ (Role::Drone | Role::Task | Role::Neuron)), Some(value)) = (role, key) {
            let message = format!("`policy` is for policies, and {} is a {role}", table.name);
            self.faults.push(SourceError::new(value.span(), message, "remove policy, or the role"));
        }
        if let (Some(value), true) = (key, duties.is_empty() && self.faults.is_empty()) {
            self.faults.push(SourceError::new(value.span(), format!("{} does nothing", table.name), HELP));
        }
        if key.is_some() || role == Some(Role::Policy) {
            self.has_no_population(table);
        }
        let duties = self.unique(table, "policy", duties, Duty::ALL.len());
        duties.into_iter().map(|(duty, _)| duty).collect()
    }

    fn has_no_population(&mut self, table: &Table<'_, '_>) {
        for key in ["route", "may", "express", "concurrency", "weight"] {
            if let Some(value) = table.entries.get(key) {
                let message = format!("a policy has no `{key}`");
                let help = "remove it: a policy is one cell a host, which the host asks and nobody else";
                self.faults.push(SourceError::new(value.span(), message, help));
            }
        }
    }

    /// Two genes of one duty: the host asks one.
    pub(super) fn rival_policies(&mut self, genes: &[GeneSource]) {
        let mut owners: BTreeMap<Duty, &GeneSource> = BTreeMap::new();
        for gene in genes {
            for duty in &gene.policy {
                let Some(first) = owners.insert(*duty, gene) else { continue };
                let message = format!("genes `{}` and `{}` both do `{duty}`", first.name, gene.name);
                let help = "take it out of the policy of one of them";
                self.faults.push(SourceError::new(gene.policy_span.clone(), message, help));
            }
        }
    }
}
