//! Waits fifty milliseconds, then answers with the same twenty bytes as the others, over `wasi:http`
//! 0.3. A request to `/trap` ends its cell and all that is in it.

use std::time::Duration;

use cyte_sdk::p3::prelude::*;

struct Sleep;

/// As long as a call to a database or to another service may take.
const SPAN: Duration = Duration::from_millis(50);

impl Drone for Sleep {
    async fn handle(request: Request) -> Result<Response, Error> {
        assert!(request.path() != "/trap", "as asked");
        sleep(SPAN).await;
        Ok(Response::text("hello from wasm gene"))
    }
}

cyte_sdk::drone_p3!(Sleep);
