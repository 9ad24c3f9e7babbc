//! Waits for a fifth of a second, as somebody who asks a database, and answers.

use std::time::Duration;

use cyte_sdk::p3::prelude::*;

struct Shore;

impl Drone for Shore {
    async fn handle(_request: Request) -> Result<Response, Error> {
        // Other requests of this cell wait meanwhile too.
        sleep(Duration::from_millis(200)).await;
        Ok(Response::text("a wave\n"))
    }
}

cyte_sdk::drone_p3!(Shore);

#[cfg(test)]
mod tests {
    use cyte_sdk::testing;

    use super::*;

    #[test]
    fn a_wave_comes_back() {
        testing::block_on(async {
            let mut response = testing::serve_p3::<Shore>(testing::p3_request(Method::GET, "/", ())).await;
            assert_eq!(response.body_mut().read_text().await.unwrap(), "a wave\n");
        });
    }
}
