//! Asks another server and passes on what it says.

use cyte_sdk::prelude::*;
use cyte_sdk::{FetchError, http};

struct Relay;

impl Drone for Relay {
    fn handle(request: Request) -> Result<Response, Error> {
        let upstream = match request.path() {
            "/elsewhere" => "http://127.0.0.1:9".to_owned(),
            _ => config::get("upstream")?.ok_or_else(|| Error::msg("config.upstream is not set"))?,
        };
        let outgoing = http::Request::get(format!("{upstream}/inventory"))
            // The host puts the value in when the request leaves; this gene never sees it.
            .header(header::AUTHORIZATION, "Bearer {{secret:token}}")
            .body(())?;
        match fetch(outgoing) {
            Ok(answer) => pass_on(answer),
            Err(error) => Ok(fault(&error)),
        }
    }
}

/// Status, type and body; the body streams through.
fn pass_on(answer: Response) -> Result<Response, Error> {
    let (status, mut headers, body) = answer.into_parts();
    let mut response = Response::new(body).with_status(status);
    if let Some(kind) = headers.remove(header::CONTENT_TYPE) {
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
    }
    Ok(response)
}

/// What the client is told when there is no answer.
fn fault(error: &FetchError) -> Response {
    log::warn!("{error}");
    let (status, text) = match error {
        FetchError::Denied(_) => (StatusCode::FORBIDDEN, "not granted\n"),
        FetchError::TimedOut(_) => (StatusCode::GATEWAY_TIMEOUT, "the upstream is too slow\n"),
        _ => (StatusCode::BAD_GATEWAY, "the upstream does not answer\n"),
    };
    Response::text(text).with_status(status)
}

cyte_sdk::drone!(Relay);

#[cfg(test)]
mod tests {
    use cyte_sdk::testing::{self, get};

    use super::*;

    fn answer(path: &str) -> (u16, String) {
        let mut response = testing::serve::<Relay>(get(path));
        (response.status().as_u16(), response.body_mut().read_text().unwrap())
    }

    #[test]
    fn the_upstream_is_asked_with_the_placeholder() {
        testing::set_config("upstream", "http://up.test:8000");
        testing::on_fetch(|request| {
            assert_eq!(request.uri(), "http://up.test:8000/inventory");
            assert_eq!(request.header("authorization"), Some("Bearer {{secret:token}}"));
            Ok(Response::json(&["tea"]).unwrap())
        });
        assert_eq!(answer("/"), (200, r#"["tea"]"#.to_owned()));
    }

    #[test]
    fn faults_have_their_status() {
        assert_eq!(answer("/elsewhere"), (403, "not granted\n".to_owned()));
        testing::on_fetch(|_| Err(FetchError::TimedOut("x".into())));
        assert_eq!(answer("/elsewhere").0, 504);
    }

    #[test]
    fn a_missing_upstream_is_our_fault() {
        assert_eq!(answer("/"), (500, "internal error".to_owned()));
    }
}
