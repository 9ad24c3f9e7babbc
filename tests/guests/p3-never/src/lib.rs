//! On WASI 0.3: awaits what nobody will ever finish at `/never`; at `/sleep?ms=` it waits for the
//! clock, at `/read` for the rest of the request's body; answers otherwise.

use std::time::Duration;

use cyte_sdk::p3::prelude::*;

struct Never;

impl Drone for Never {
    async fn handle(mut request: Request) -> Result<Response, Error> {
        match request.path() {
            "/never" => std::future::pending().await,
            "/sleep" => {
                let ms = request.query_value("ms").map_or(Ok(0), |ms| ms.parse())?;
                sleep(Duration::from_millis(ms)).await;
                Ok(Response::text("slept"))
            }
            "/read" => Ok(Response::text(request.text().await?)),
            _ => Ok(Response::text("healthy")),
        }
    }
}

cyte_sdk::drone_p3!(Never);
