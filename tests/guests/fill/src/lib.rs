//! Fills the writable folder at `/rw`, and says how far it came and what stopped it.
//!
//! - `/bytes` writes one file, 256 KiB at a time, until it fails;
//! - `/hole` makes a file long without writing it, doubling from 1 MiB, until it fails;
//! - `/append` appends to a file by opening it anew for each 256 KiB, until it fails;
//! - `/files`, `/folders`, `/links` make empty ones until that fails;
//! - `/again?n=..` writes the same file of 256 KiB n times;
//! - `/clear` removes everything.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};

use cyte_sdk::prelude::*;

const PIECE: usize = 256 << 10;
/// More than any quota of a test, so that a guest without one comes to an end.
const MOST: u32 = 1_000;

struct Fill;

impl Drone for Fill {
    fn handle(request: Request) -> Result<Response, Error> {
        let piece = vec![b'x'; PIECE];
        let text = match request.path() {
            "/bytes" => {
                let mut file = File::create("/rw/bytes")?;
                until(|_| file.write_all(&piece))
            }
            "/hole" => {
                let file = File::create("/rw/hole")?;
                until(|n| file.set_len(1 << (20 + n.min(40))))
            }
            "/append" => until(|_| {
                OpenOptions::new().create(true).append(true).open("/rw/append")?.write_all(&piece)
            }),
            "/files" => until(|n| File::create(format!("/rw/f{n}")).map(drop)),
            "/folders" => until(|n| fs::create_dir(format!("/rw/d{n}"))),
            "/links" => {
                fs::write("/rw/one", "")?;
                until(|n| fs::hard_link("/rw/one", format!("/rw/l{n}")))
            }
            "/again" => {
                let times: u32 = request.query_value("n").unwrap_or_default().parse()?;
                for _ in 0..times {
                    fs::write("/rw/again", &piece)?;
                }
                format!("{times} times\n")
            }
            "/clear" => {
                for entry in fs::read_dir("/rw")? {
                    let entry = entry?;
                    match entry.file_type()?.is_dir() {
                        true => fs::remove_dir(entry.path())?,
                        false => fs::remove_file(entry.path())?,
                    }
                }
                "cleared\n".to_owned()
            }
            _ => "healthy\n".to_owned(),
        };
        Ok(Response::text(text))
    }
}

/// How often it came through, and what stopped it.
fn until(mut step: impl FnMut(u32) -> io::Result<()>) -> String {
    for n in 0..MOST {
        if let Err(error) = step(n) {
            return format!("{n} {:?}\n", error.kind());
        }
    }
    format!("{MOST} nothing\n")
}

cyte_sdk::drone!(Fill);
