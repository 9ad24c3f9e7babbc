//! Takes memory until it is refused: `/grow` notices and says how much it got, `/abort` does not
//! and aborts, `/hold?mib=N` keeps N MiB more in the cell; answers otherwise.

use std::sync::Mutex;

use cyte_sdk::prelude::*;

struct Grow;

/// What the cell holds from one request to the next.
static HELD: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

const MIB: usize = 1 << 20;

impl Drone for Grow {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/grow" => {
                let mut held = Vec::new();
                while let Some(block) = block() {
                    held.push(block);
                }
                Ok(Response::text(format!("refused after {} MiB\n", held.len())))
            }
            "/abort" => {
                let mut held = Vec::new();
                loop {
                    held.push(vec![1_u8; MIB]);
                }
            }
            "/hold" => {
                let count = request.query_value("mib").unwrap_or_default().parse()?;
                let mut held = HELD.lock().unwrap();
                for _ in 0..count {
                    held.push(block().ok_or_else(|| Error::msg("refused"))?);
                }
                Ok(Response::text(format!("holding {} MiB\n", held.len())))
            }
            _ => Ok(Response::text("healthy\n")),
        }
    }
}

/// One MiB, written to; none where it is refused.
fn block() -> Option<Vec<u8>> {
    let mut block = Vec::new();
    block.try_reserve_exact(MIB).ok()?;
    block.resize(MIB, 1);
    Some(block)
}

cyte_sdk::drone!(Grow);
