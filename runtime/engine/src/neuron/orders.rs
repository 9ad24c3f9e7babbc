//! What a neuron said, judged: an order counts only for a class that it was shown, in range, and as
//! far as its DNA lets it speak.

use std::collections::BTreeSet;

use cyte_dna::{
    Mandate,
    limits::{CELLS_PER_GENE_MAX, NEURON_BIAS_PERMILLE},
};
use cyte_organism::neuron::{Advice, Look, Order};

/// The orders that count, and how many do not.
///
/// One that answers more classes than it was shown is not believed at all: nobody could say which
/// of its orders it means.
pub(super) fn judge(mandate: Mandate, look: &Look, said: Vec<Order>) -> (Vec<Order>, u64) {
    let all = said.len() as u64;
    if said.len() > look.classes.len() {
        return (Vec::new(), all);
    }
    let shown: BTreeSet<&str> = look.classes.iter().map(|class| class.gene.as_str()).collect();
    let mut heard = BTreeSet::new();
    let counts = |order: &Order| shown.contains(order.gene.as_str()) && is_allowed(mandate, order.advice);
    let kept: Vec<Order> =
        said.into_iter().filter(|order| counts(order) && heard.insert(order.gene.clone())).collect();
    let refused = all - kept.len() as u64;
    (kept, refused)
}

fn is_allowed(mandate: Mandate, advice: Advice) -> bool {
    match (mandate, advice) {
        (_, Advice::Bias(permille)) => permille.unsigned_abs() <= NEURON_BIAS_PERMILLE,
        (Mandate::Replace, Advice::Target(cells)) => cells <= CELLS_PER_GENE_MAX,
        (Mandate::Advise, Advice::Target(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use cyte_organism::neuron::Sample;

    use super::*;

    fn look(genes: &[&str]) -> Look {
        let class = |gene: &&str| Sample { gene: (*gene).to_owned(), ..Sample::default() };
        Look { classes: genes.iter().map(class).collect(), ..Look::default() }
    }

    fn order(gene: &str, advice: Advice) -> Order {
        Order { gene: gene.to_owned(), advice }
    }

    #[test]
    fn what_is_out_of_range_or_not_allowed_is_refused() {
        let look = look(&["web"]);
        let judged = |mandate, advice| judge(mandate, &look, vec![order("web", advice)]).1;
        for (advice, advises, replaces) in [
            (Advice::Bias(250), 0, 0),
            (Advice::Bias(-250), 0, 0),
            (Advice::Bias(251), 1, 1),
            (Advice::Bias(i32::MIN), 1, 1),
            (Advice::Target(0), 1, 0),
            (Advice::Target(CELLS_PER_GENE_MAX), 1, 0),
            (Advice::Target(CELLS_PER_GENE_MAX + 1), 1, 1),
        ] {
            let found = (judged(Mandate::Advise, advice), judged(Mandate::Replace, advice));
            assert_eq!(found, (advises, replaces), "{advice:?}");
        }
    }

    #[test]
    fn a_class_is_ordered_once_and_only_one_that_was_shown() {
        let (web, api) = (order("web", Advice::Target(3)), order("api", Advice::Target(4)));
        let again = order("web", Advice::Target(9));
        let both = look(&["web", "api"]);
        let of =
            |said: &[&Order]| judge(Mandate::Replace, &both, said.iter().map(|o| (*o).clone()).collect());
        assert_eq!(of(&[&web, &api]), (vec![web.clone(), api.clone()], 0));
        assert_eq!(of(&[&web, &again]), (vec![web.clone()], 1));
        assert_eq!(of(&[&order("nobody", Advice::Bias(1)), &api]), (vec![api.clone()], 1));
        assert_eq!(of(&[&web, &api, &again]), (vec![], 3), "more than it was shown");
        assert_eq!(of(&[]), (vec![], 0));
    }
}
