//! Recurses on `/recurse` until the stack ends; answers otherwise.

use std::hint::black_box;

use cyte_sdk::prelude::*;

struct Recurse;

impl Drone for Recurse {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/recurse" => Ok(Response::text(format!("{}\n", deeper(1)))),
            _ => Ok(Response::text("healthy\n")),
        }
    }
}

#[inline(never)]
fn deeper(depth: u64) -> u64 {
    // Kept on the stack, and used after the call: no loop can stand in for it.
    let frame = black_box([depth; 8]);
    let below = if black_box(depth) == u64::MAX { 0 } else { deeper(depth + 1) };
    below.wrapping_add(frame.iter().sum())
}

cyte_sdk::drone!(Recurse);
