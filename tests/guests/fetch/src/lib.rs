//! Fetches `?url=...` and says what came of it: `200` and the body, or `error: ...`.
//!
//! - `/` GET, first line the status, then the body;
//! - `/post` sends the request's own body on;
//! - `/through` gives the answer as it came, streaming;
//! - `/secret?name=N` adds the header `authorization` with the placeholder of secret N;
//! - `/header?name=..&value=..` adds a header;
//! - `/many?n=..` fetches n times, one after the other, and counts the answers.

use cyte_sdk::prelude::*;
use cyte_sdk::{FetchError, http};

struct Fetch;

impl Drone for Fetch {
    fn handle(request: Request) -> Result<Response, Error> {
        let Some(url) = request.query_value("url") else {
            return Ok(Response::text("healthy\n"));
        };
        let value = |name: &str| request.query_value(name).unwrap_or_default();
        let get = http::Request::get(url.as_str());
        let outgoing: Request = match request.path() {
            "/post" => http::Request::post(url).body(request.into_body())?.into(),
            "/secret" => {
                let secret = format!("Bearer {{{{secret:{}}}}}", value("name"));
                get.header("authorization", secret).body(())?.into()
            }
            "/header" => get.header(value("name"), value("value")).body(())?.into(),
            "/many" => return many(&url, value("n").parse()?),
            "/through" => return Ok(fetch(get.body(())?)?),
            _ => get.body(())?.into(),
        };
        Ok(Response::text(told(fetch(outgoing))))
    }
}

fn told(answer: Result<Response, FetchError>) -> String {
    let mut answer = match answer {
        Ok(answer) => answer,
        Err(error) => return format!("error: {error}\n"),
    };
    let status = answer.status().as_u16();
    match answer.body_mut().read_text() {
        Ok(text) => format!("{status}\n{text}"),
        Err(error) => format!("{status}\nerror: {error}\n"),
    }
}

fn many(url: &str, count: u32) -> Result<Response, Error> {
    let mut good = 0;
    for _ in 0..count {
        let mut answer = fetch(http::Request::get(url).body(())?)?;
        answer.body_mut().read_bytes()?;
        good += u32::from(answer.status().is_success());
    }
    Ok(Response::text(format!("{good} of {count}\n")))
}

cyte_sdk::drone!(Fetch);
