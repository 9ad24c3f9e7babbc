//! Logs its path: `/well` says `well`. Waits before it answers where `/hold?ms=` says so.

use std::time::Duration;

use cyte_sdk::prelude::*;

struct Say;

impl Drone for Say {
    fn handle(request: Request) -> Result<Response, Error> {
        log::info!("{}", request.path().trim_start_matches('/'));
        let ms = request.query_value("ms").map_or(Ok(0), |value| value.parse())?;
        std::thread::sleep(Duration::from_millis(ms));
        Ok(Response::text("said"))
    }
}

cyte_sdk::drone!(Say);
