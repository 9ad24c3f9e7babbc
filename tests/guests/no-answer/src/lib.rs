//! Returns without an answer: `/drop` gives the place for it back, anything else keeps it.

use cyte_sdk::bindings::drone as bindings;
use cyte_sdk::sys::{DroneGuest, DroneOut, DroneRequest};

struct NoAnswer;

impl DroneGuest for NoAnswer {
    fn handle(request: DroneRequest, out: DroneOut) {
        match request.path_with_query().as_deref() {
            Some("/drop") => drop(out),
            _ => std::mem::forget(out),
        }
    }
}

bindings::__export_drone!(NoAnswer with_types_in bindings);
