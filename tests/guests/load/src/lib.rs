//! Says how much there is to do: `/report?amount=40`, and what the host said to that. Anything else: `well`.

use cyte_sdk::load::report;
use cyte_sdk::prelude::*;

struct Load;

impl Drone for Load {
    fn handle(request: Request) -> Result<Response, Error> {
        if request.path() != "/report" {
            return Ok(Response::text("well"));
        }
        let amount: f64 = request.query_value("amount").unwrap_or_default().parse()?;
        Ok(Response::text(
            report(amount).map_or_else(|refusal| format!("refused: {refusal}"), |()| "taken".into()),
        ))
    }
}

cyte_sdk::drone!(Load);
