//! On WASI 0.3: waits `?ms=` (100 without it) and says how many calls this cell had in flight at
//! most while it waited, and how many it has had in all: `2 7`.

use std::cell::Cell;
use std::time::Duration;

use cyte_sdk::p3::prelude::*;

struct Concurrency;

thread_local! {
    static NOW: Cell<u32> = const { Cell::new(0) };
    static MOST: Cell<u32> = const { Cell::new(0) };
    static ALL: Cell<u32> = const { Cell::new(0) };
}

/// One call in flight.
struct Call;

impl Call {
    fn begin() -> Self {
        NOW.set(NOW.get() + 1);
        MOST.set(MOST.get().max(NOW.get()));
        ALL.set(ALL.get() + 1);
        Self
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        NOW.set(NOW.get() - 1);
        if NOW.get() == 0 {
            MOST.set(0);
        }
    }
}

impl Drone for Concurrency {
    async fn handle(request: Request) -> Result<Response, Error> {
        let ms = request.query_value("ms").map_or(Ok(100), |ms| ms.parse())?;
        let _call = Call::begin();
        sleep(Duration::from_millis(ms)).await;
        Ok(Response::text(format!("{} {}\n", MOST.get(), ALL.get())))
    }
}

cyte_sdk::drone_p3!(Concurrency);
