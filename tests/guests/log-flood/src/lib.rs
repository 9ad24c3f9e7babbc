//! Floods its log: `/stdout` with 200 MB in lines of 1 KB, `/line` with one line of 4 MB,
//! `/logging` with 100,000 lines through `wasi:logging`, `/binary` with what is not text; says one
//! line otherwise.

use std::io::Write;

use cyte_sdk::prelude::*;

struct LogFlood;

impl Drone for LogFlood {
    fn handle(request: Request) -> Result<Response, Error> {
        let mut stdout = std::io::stdout().lock();
        match request.path() {
            "/stdout" => {
                let line = format!("{}\n", "x".repeat(999));
                for _ in 0..200_000 {
                    stdout.write_all(line.as_bytes())?;
                }
            }
            "/line" => {
                let piece = "y".repeat(4_000);
                for _ in 0..1_000 {
                    stdout.write_all(piece.as_bytes())?;
                }
                stdout.write_all(b"\n")?;
            }
            "/logging" => {
                for n in 0..100_000 {
                    log::info!("line {n}");
                }
            }
            "/binary" => stdout.write_all(b"\x1b[2J\xff\xfe\0 not text\r\n")?,
            _ => {
                writeln!(stdout, "a line on stdout")?;
                eprintln!("a line on stderr");
                log::warn!("a line with a level");
            }
        }
        Ok(Response::text("logged\n"))
    }
}

cyte_sdk::drone!(LogFlood);
