//! Counts the requests that this cell has had, in a static: `1` in a fresh cell.

use std::sync::atomic::{AtomicU64, Ordering};

use cyte_sdk::prelude::*;

struct State;

static COUNT: AtomicU64 = AtomicU64::new(0);

impl Drone for State {
    fn handle(_request: Request) -> Result<Response, Error> {
        let count = COUNT.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Response::text(format!("{count}\n")))
    }
}

cyte_sdk::drone!(State);
