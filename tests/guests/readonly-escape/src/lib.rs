//! Tries to change, and to leave, the folder granted read-only at `/ro`; one line for each attempt:
//! its name and `refused`, or `DONE` where it came through. The folder must hold `file.txt` and the
//! folder `sub`; a writable folder at `/rw` is used where there is one.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};

use cyte_sdk::prelude::*;

struct Escape;

impl Drone for Escape {
    fn handle(request: Request) -> Result<Response, Error> {
        match request.path() {
            "/read" => Ok(Response::text(fs::read_to_string("/ro/file.txt")?)),
            "/write" => {
                fs::write("/rw/made.txt", "made by the guest\n")?;
                Ok(Response::text(fs::read_to_string("/rw/made.txt")?))
            }
            _ => Ok(Response::text(report()?)),
        }
    }
}

/// One attempt.
type Attempt = (&'static str, fn() -> io::Result<()>);

const CHANGES: &[Attempt] = &[
    ("truncate", || OpenOptions::new().write(true).truncate(true).open("/ro/file.txt").map(drop)),
    ("open-to-write", || OpenOptions::new().write(true).open("/ro/file.txt").map(drop)),
    ("append", || OpenOptions::new().append(true).open("/ro/file.txt")?.write_all(b"x")),
    ("set-length", || File::open("/ro/file.txt")?.set_len(0)),
    ("create", || File::create("/ro/new.txt").map(drop)),
    ("create-in-sub", || File::create("/ro/sub/new.txt").map(drop)),
    ("create-read", || OpenOptions::new().read(true).write(true).create_new(true).open("/ro/n2").map(drop)),
    ("make-folder", || fs::create_dir("/ro/folder")),
    ("remove", || fs::remove_file("/ro/file.txt")),
    ("remove-folder", || fs::remove_dir("/ro/sub")),
    ("rename", || fs::rename("/ro/file.txt", "/ro/other.txt")),
    ("rename-out", || fs::rename("/ro/file.txt", "/rw/file.txt")),
    ("rename-in", || {
        fs::write("/rw/own.txt", "x")?;
        fs::rename("/rw/own.txt", "/ro/own.txt")
    }),
    ("link", || fs::hard_link("/ro/file.txt", "/ro/link.txt")),
    ("link-out", || fs::hard_link("/ro/file.txt", "/rw/link.txt")),
    ("link-and-write", || {
        fs::hard_link("/ro/file.txt", "/rw/link2.txt")?;
        OpenOptions::new().append(true).open("/rw/link2.txt")?.write_all(b"x")
    }),
    ("set-times", || {
        File::open("/ro/file.txt")?.set_times(fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH))
    }),
];

const ESCAPES: &[Attempt] = &[
    ("dot-dot", || read("/ro/../etc/passwd")),
    ("dot-dot-twice", || read("/ro/../../etc/passwd")),
    ("dot-dot-inside", || read("/ro/sub/../../etc/passwd")),
    ("absolute", || read("/etc/passwd")),
    ("root", || fs::read_dir("/").map(drop)),
    ("relative", || read("etc/passwd")),
    ("here", || fs::read_dir(".").map(drop)),
    ("above", || fs::read_dir("/ro/..").map(drop)),
    ("trailing-slash", || read("/ro/file.txt/")),
    ("trailing-dot", || read("/ro/file.txt/.")),
    ("proc", || read("/ro/../proc/self/environ")),
    ("symlink-out", || read("/ro/link-out")),
    ("symlink-folder-out", || read("/ro/link-folder-out/passwd")),
    ("nul", || read("/ro/file.txt\0.png")),
];

fn read(path: &str) -> io::Result<()> {
    File::open(path)?.read_exact(&mut [0])
}

fn report() -> Result<String, Error> {
    let mut lines = String::new();
    for (name, attempt) in CHANGES.iter().chain(ESCAPES) {
        match attempt() {
            Ok(()) => writeln!(lines, "{name} DONE")?,
            Err(_) => writeln!(lines, "{name} refused")?,
        }
    }
    Ok(lines)
}

cyte_sdk::drone!(Escape);
