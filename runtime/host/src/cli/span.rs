//! Spans of time as people type them.

use std::time::Duration;

/// `500ms`, `5s`, `2m`, `3h` or `30d`; more than nothing, at most ten years.
///
/// # Errors
/// One sentence for the person who typed it.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err("write a number and ms, s, m, h or d, for example 5s".to_owned()),
    };
    let total = number.parse::<u64>().ok().and_then(|number| number.checked_mul(ms));
    match total {
        Some(total @ 1..=315_360_000_000) => Ok(Duration::from_millis(total)),
        _ => Err("it must be more than nothing and at most ten years".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_and_nonsense_is_not() {
        assert_eq!(parse("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(parse("30d"), Ok(Duration::from_secs(2_592_000)));
        for bad in ["", "5", "s", "-1s", "0s", "1.5s", "99999999999999999999s", "4000d", "5 s"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
