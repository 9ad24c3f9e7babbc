//! Speaks to its class and hears of it: `/release?kind=growth&strength=1`, `/lie?ms=` (the strongest
//! growth, for so long, as often as it is taken), `/hold?ms=`, `/felt` (how often it was told, the
//! shortest time between two, and what last), `/poison` (the next time that it is told it traps),
//! `/spin` (then it computes for ever), `/divide`, `/divide-twice` (the milliseconds since before the
//! first, and what the second said), `/retire?cell=`.

use std::cell::Cell;
use std::time::{Duration, Instant};

use cyte_sdk::division;
use cyte_sdk::hormone::{Hormone, Levels, release};
use cyte_sdk::prelude::*;

struct Glands;

#[derive(Clone, Copy, Default)]
struct Told {
    times: u32,
    closest: Option<Duration>,
    last: Option<(Instant, Levels)>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Poisoned,
    Dizzy,
}

thread_local! {
    static TOLD: Cell<Told> = Cell::new(Told::default());
    static MOOD: Cell<Mood> = const { Cell::new(Mood::Well) };
}

impl Receptor for Glands {
    fn feel(levels: Levels) {
        match MOOD.get() {
            Mood::Well => {}
            Mood::Poisoned => std::process::abort(),
            Mood::Dizzy => loop {
                std::hint::black_box(levels.growth);
            },
        }
        let now = Instant::now();
        let mut told = TOLD.get();
        told.times += 1;
        if let Some((before, _)) = told.last {
            let gap = now - before;
            told.closest = Some(told.closest.map_or(gap, |closest| closest.min(gap)));
        }
        told.last = Some((now, levels));
        TOLD.set(told);
    }
}

impl Drone for Glands {
    fn handle(request: Request) -> Result<Response, Error> {
        let number = |name: &str| request.query_value(name).map_or(Ok(0), |value| value.parse::<u64>());
        match request.path() {
            "/release" => {
                let kind = match request.query_value("kind").as_deref() {
                    Some("anti-growth") => Hormone::AntiGrowth,
                    _ => Hormone::Growth,
                };
                let strength = request.query_value("strength").map_or(Ok(1.0), |value| value.parse())?;
                Ok(Response::text(said(release(kind, strength).map(|()| "released"))))
            }
            "/lie" => {
                let end = Instant::now() + Duration::from_millis(number("ms")?);
                let mut taken = 0;
                while Instant::now() < end {
                    taken += u32::from(release(Hormone::Growth, 1.0).is_ok());
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(Response::text(taken.to_string()))
            }
            "/hold" => {
                std::thread::sleep(Duration::from_millis(number("ms")?));
                Ok(Response::text("held"))
            }
            "/felt" => {
                let told = TOLD.get();
                let closest = told.closest.map_or(0, |closest| closest.as_millis());
                let growth = told.last.map_or(0.0, |(_, levels)| levels.growth);
                Ok(Response::text(format!("{} {closest} {growth}", told.times)))
            }
            "/poison" => {
                MOOD.set(Mood::Poisoned);
                Ok(Response::text("poisoned"))
            }
            "/spin" => {
                MOOD.set(Mood::Dizzy);
                Ok(Response::text("dizzy"))
            }
            "/divide" => Ok(Response::text(said(division::divide()))),
            "/divide-twice" => {
                let began = Instant::now();
                let _ = division::divide();
                let second = division::divide();
                let took = began.elapsed().as_millis();
                Ok(Response::text(format!("{took} {}", said(second))))
            }
            "/retire" => Ok(Response::text(said(division::retire(number("cell")?).map(|()| "retired")))),
            _ => Ok(Response::text("well")),
        }
    }
}

fn said<T: ToString, E: std::fmt::Display>(result: Result<T, E>) -> String {
    result.map_or_else(|refusal| format!("refused: {refusal}"), |done| done.to_string())
}

cyte_sdk::drone!(Glands);
cyte_sdk::receptor!(Glands);
