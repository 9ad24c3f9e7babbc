//! Judges stuck cells as `config = { verdict = "spare" }` says: `spare`, `once` (spares each cell once, and
//! then lets it end), `trap`, `spin`; else they end.

use std::cell::RefCell;
use std::collections::BTreeSet;

use cyte_sdk::policy::{Verdict, Zombie, Zombies};
use cyte_sdk::prelude::*;

struct Judge;

thread_local! {
    static SPARED: RefCell<BTreeSet<u64>> = const { RefCell::new(BTreeSet::new()) };
}

impl Zombies for Judge {
    fn judge(found: &Zombie) -> Verdict {
        match config::get_or("verdict", "end").unwrap_or_default().as_str() {
            "spare" => Verdict::Spare,
            "once" if SPARED.with_borrow_mut(|spared| spared.insert(found.cell)) => Verdict::Spare,
            "trap" => std::process::abort(),
            "spin" => loop {
                std::hint::black_box(found);
            },
            _ => Verdict::End,
        }
    }
}

cyte_sdk::zombies!(Judge);
