//! Says hello to whoever asks.

use cyte_sdk::prelude::*;

struct Front;

impl Drone for Front {
    fn handle(_request: Request) -> Result<Response, Error> {
        Ok(Response::text("hello from cyte\n"))
    }
}

cyte_sdk::drone!(Front);

#[cfg(test)]
mod tests {
    use cyte_sdk::testing;

    #[test]
    fn it_says_hello() {
        let mut response = testing::serve::<super::Front>(testing::get("/"));
        assert_eq!(response.status(), 200);
        assert_eq!(response.body_mut().read_text().unwrap(), "hello from cyte\n");
    }
}
