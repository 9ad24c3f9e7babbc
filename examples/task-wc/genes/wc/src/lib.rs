//! Counts lines, words and bytes of stdin; with `words` as its argument, words alone.

use std::io::{self, Read};

use cyte_sdk::prelude::*;

struct Wc;

impl Task for Wc {
    fn run(args: &[String]) -> Result<(), Error> {
        let counts = count(io::stdin().lock())?;
        match args {
            [] => println!("{} {} {}", counts.lines, counts.words, counts.bytes),
            [only] if only == "words" => println!("{}", counts.words),
            _ => {
                eprintln!("usage: wc [words]");
                cyte_sdk::exit(2);
            }
        }
        Ok(())
    }
}

#[derive(Debug, PartialEq)]
struct Counts {
    lines: u64,
    words: u64,
    bytes: u64,
}

/// Reads to the end, with a bounded buffer.
fn count(mut from: impl Read) -> io::Result<Counts> {
    let mut counts = Counts { lines: 0, words: 0, bytes: 0 };
    let mut in_word = false;
    let mut buffer = [0; 8 << 10];
    loop {
        let read = from.read(&mut buffer)?;
        let Some(piece) = buffer.get(..read).filter(|piece| !piece.is_empty()) else {
            return Ok(counts);
        };
        for byte in piece {
            counts.bytes += 1;
            counts.lines += u64::from(*byte == b'\n');
            counts.words += u64::from(!in_word && !byte.is_ascii_whitespace());
            in_word = !byte.is_ascii_whitespace();
        }
    }
}

cyte_sdk::task!(Wc);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_counts() {
        let counts = count("one two\n three\n".as_bytes()).unwrap();
        assert_eq!(counts, Counts { lines: 2, words: 3, bytes: 15 });
    }
}
