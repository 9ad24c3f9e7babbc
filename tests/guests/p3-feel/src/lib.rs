//! On WASI 0.3: waits `?ms=` and says how often this cell was told how its class stands.

use std::cell::Cell;
use std::time::Duration;

use cyte_sdk::Receptor;
use cyte_sdk::hormone::Levels;
use cyte_sdk::p3::prelude::*;

struct Feel;

thread_local! {
    static TOLD: Cell<u32> = const { Cell::new(0) };
}

impl Receptor for Feel {
    fn feel(_levels: Levels) {
        TOLD.set(TOLD.get() + 1);
    }
}

impl Drone for Feel {
    async fn handle(request: Request) -> Result<Response, Error> {
        let ms = request.query_value("ms").map_or(Ok(0), |ms| ms.parse())?;
        sleep(Duration::from_millis(ms)).await;
        Ok(Response::text(TOLD.get().to_string()))
    }
}

cyte_sdk::drone_p3!(Feel);
cyte_sdk::receptor!(Feel);
