//! Says hello on WASI 0.3, at once or after a while.

use std::time::Duration;

use cyte_sdk::p3::prelude::*;

struct Front;

impl Drone for Front {
    async fn handle(request: Request) -> Result<Response, Error> {
        if request.path() == "/slow" {
            // Other requests of this cell are served meanwhile.
            sleep(Duration::from_millis(200)).await;
        }
        Ok(Response::text("hello from WASI 0.3\n"))
    }
}

cyte_sdk::drone_p3!(Front);

#[cfg(test)]
mod tests {
    use cyte_sdk::testing;

    use super::*;

    #[test]
    fn it_says_hello() {
        testing::block_on(async {
            let request = testing::p3_request(Method::GET, "/slow", ());
            let mut response = testing::serve_p3::<Front>(request).await;
            assert_eq!(response.body_mut().read_text().await.unwrap(), "hello from WASI 0.3\n");
        });
    }
}
