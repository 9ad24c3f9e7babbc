//! A small API: several routes, JSON in and out, methods checked.

use cyte_sdk::prelude::*;
use serde::{Deserialize, Serialize};

struct Api;

#[derive(Serialize)]
struct Health {
    ok: bool,
}

#[derive(Deserialize)]
struct Order {
    item: String,
    count: u32,
    price: u64,
}

#[derive(Serialize)]
struct Receipt {
    item: String,
    total: u64,
}

impl Drone for Api {
    fn handle(mut request: Request) -> Result<Response, Error> {
        match (request.method().as_str(), request.path()) {
            ("GET", "/api/health") => Response::json(&Health { ok: true }),
            ("GET", "/api/greet") => greet(&request),
            ("POST", "/api/orders") => order(request.json()?),
            (_, "/api/health" | "/api/greet") => not_allowed("GET"),
            (_, "/api/orders") => not_allowed("POST"),
            (_, path) => Err(Error::refusal(StatusCode::NOT_FOUND, format!("nothing at {path}\n"))),
        }
    }
}

fn greet(request: &Request) -> Result<Response, Error> {
    let greeting = config::get_or("greeting", "hello")?;
    let name = request.query_value("name").unwrap_or_else(|| "you".to_owned());
    Ok(Response::text(format!("{greeting}, {name}\n")))
}

fn order(order: Order) -> Result<Response, Error> {
    let total = order
        .price
        .checked_mul(order.count.into())
        .ok_or_else(|| Error::refusal(StatusCode::UNPROCESSABLE_ENTITY, "that is too much\n"))?;
    log::info!("ordered {} x {}", order.count, order.item);
    Ok(Response::json(&Receipt { item: order.item, total })?.with_status(StatusCode::CREATED))
}

fn not_allowed(allowed: &'static str) -> Result<Response, Error> {
    Response::text(format!("use {allowed}\n"))
        .with_status(StatusCode::METHOD_NOT_ALLOWED)
        .with_header(header::ALLOW, allowed)
}

cyte_sdk::drone!(Api);

#[cfg(test)]
mod tests {
    use cyte_sdk::testing::{self, get, post};

    use super::*;

    fn answer(request: Request) -> (u16, String) {
        let mut response = testing::serve::<Api>(request);
        (response.status().as_u16(), response.body_mut().read_text().unwrap())
    }

    #[test]
    fn orders_are_added_up() {
        let request = post("/api/orders", r#"{"item":"tea","count":3,"price":250}"#);
        assert_eq!(answer(request), (201, r#"{"item":"tea","total":750}"#.to_owned()));
        assert_eq!(testing::take_log().len(), 1);
    }

    #[test]
    fn bad_json_is_the_clients_fault() {
        let (status, text) = answer(post("/api/orders", "{"));
        assert_eq!(status, 400);
        assert!(text.starts_with("bad JSON:"), "{text}");
        let huge = post("/api/orders", r#"{"item":"tea","count":3,"price":18446744073709551615}"#);
        assert_eq!(answer(huge).0, 422);
    }

    #[test]
    fn the_greeting_is_configured() {
        testing::set_config("greeting", "good day");
        assert_eq!(answer(get("/api/greet?name=J%C3%BCrgen")).1, "good day, Jürgen\n");
    }

    #[test]
    fn other_methods_and_paths_are_refused() {
        assert_eq!(answer(get("/api/orders")), (405, "use POST\n".to_owned()));
        assert_eq!(answer(post("/api/health", "")).0, 405);
        assert_eq!(answer(get("/api/nothing")), (404, "nothing at /api/nothing\n".to_owned()));
    }
}
