//! Hears of the turns of its life: `/` (how often it differentiated, how often it was told of daughters,
//! and of how many), `/hold?ms=`, `/fail?turn=dividing` (then it traps when it is told), `/spin?turn=dying`
//! (then it computes for ever). It logs why it is dying. With `config = { fail = "yes" }` it traps at once.

use std::cell::Cell;
use std::time::Duration;

use cyte_sdk::lifecycle::Cause;
use cyte_sdk::prelude::*;

struct Turns;

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Poisoned,
    Dizzy,
}

thread_local! {
    static DIFFERENTIATED: Cell<u32> = const { Cell::new(0) };
    static TOLD: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    static DIVIDING: Cell<Mood> = const { Cell::new(Mood::Well) };
    static DYING: Cell<Mood> = const { Cell::new(Mood::Well) };
}

impl Mood {
    fn act(self) {
        match self {
            Mood::Well => {}
            Mood::Poisoned => std::process::abort(),
            Mood::Dizzy => loop {
                std::hint::black_box(0);
            },
        }
    }
}

impl Lifecycle for Turns {
    fn differentiated() {
        if config::get_or("fail", "no").is_ok_and(|fail| fail == "yes") {
            std::process::abort();
        }
        DIFFERENTIATED.set(DIFFERENTIATED.get() + 1);
    }

    fn dividing(daughters: u32) {
        DIVIDING.get().act();
        let (times, sum) = TOLD.get();
        TOLD.set((times + 1, sum + daughters));
    }

    fn dying(cause: Cause) {
        log::info!("dying: {cause:?}");
        DYING.get().act();
    }
}

impl Drone for Turns {
    fn handle(request: Request) -> Result<Response, Error> {
        let turn = match request.query_value("turn").as_deref() {
            Some("dying") => &DYING,
            _ => &DIVIDING,
        };
        match request.path() {
            "/fail" => turn.set(Mood::Poisoned),
            "/spin" => turn.set(Mood::Dizzy),
            "/hold" => {
                let ms = request.query_value("ms").map_or(Ok(0), |value| value.parse())?;
                std::thread::sleep(Duration::from_millis(ms));
            }
            _ => {}
        }
        let (times, sum) = TOLD.get();
        Ok(Response::text(format!("{} {times} {sum}", DIFFERENTIATED.get())))
    }
}

cyte_sdk::drone!(Turns);
cyte_sdk::lifecycle!(Turns);
