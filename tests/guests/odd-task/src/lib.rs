//! A task that does what its first argument says: `spin`, `sleep`, `panic`, `fail`, `exit N`,
//! `args`, `env`.

use std::hint::black_box;
use std::time::Duration;

use cyte_sdk::prelude::*;

struct Odd;

impl Task for Odd {
    fn run(args: &[String]) -> Result<(), Error> {
        match args.first().map(String::as_str) {
            Some("spin") => loop {
                black_box(());
            },
            Some("sleep") => std::thread::sleep(Duration::from_secs(3_600)),
            Some("panic") => panic!("task panic: boom"),
            Some("fail") => return Err(Error::msg("task error: it failed")),
            Some("exit") => cyte_sdk::exit(args.get(1).map_or(Ok(0), |code| code.parse())?),
            Some("env") => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
            _ => println!("{}", args.join("|")),
        }
        Ok(())
    }
}

cyte_sdk::task!(Odd);
