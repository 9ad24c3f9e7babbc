//! Points in time as people type them: so long ago, or a date with a time of day (RFC 3339).

use super::span;
use crate::calendar::{DAY_MS, days, stamp};

/// `10m` before `now_ms`, or `2026-11-21T17:58:24Z`, `2026-11-21 17:58:24+02:00`, `2026-11-21`; in
/// milliseconds since 1970. Never later than `now_ms`.
///
/// # Errors
/// One sentence for the person who typed it.
pub(super) fn parse(text: &str, now_ms: u64) -> Result<u64, String> {
    if let Ok(span) = span::parse(text) {
        return Ok(now_ms.saturating_sub(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)));
    }
    let at = date_and_time(text).ok_or_else(|| {
        "write a span (10m, 2h, 1d) or a time (2026-11-21T17:58:24Z, or the date alone)".to_owned()
    })?;
    if at > now_ms {
        return Err(format!("it is still to come: now it is {}", stamp(now_ms)));
    }
    Ok(at)
}

fn date_and_time(text: &str) -> Option<u64> {
    let (date, rest) = text.split_at_checked(10)?;
    let day = days(part(date, 0, 4)?, part(date, 5, 2)?, part(date, 8, 2)?)?;
    if date.get(4..5) != Some("-") || date.get(7..8) != Some("-") {
        return None;
    }
    let midnight = day.checked_mul(DAY_MS)?;
    if rest.is_empty() {
        return Some(midnight);
    }
    let time = rest.strip_prefix(['T', 't', ' '])?;
    let (time, zone_at) = (time, time.find(['Z', 'z', '+', '-'])?);
    let (time, zone) = time.split_at_checked(zone_at)?;
    let ms = time_of_day(time)?;
    let (is_east, offset) = offset(zone)?;
    let local = midnight.checked_add(ms)?;
    if is_east { local.checked_sub(offset) } else { local.checked_add(offset) }
}

/// `17:58`, `17:58:24` or `17:58:24.123`, in milliseconds.
fn time_of_day(text: &str) -> Option<u64> {
    let (text, fraction) = text.split_once('.').unwrap_or((text, ""));
    let (hour, minute) = (part(text, 0, 2)?, part(text, 3, 2)?);
    let is_plain = text.get(2..3) == Some(":") && matches!(text.len(), 5 | 8);
    let second = if text.len() == 8 && text.get(5..6) == Some(":") { part(text, 6, 2)? } else { 0 };
    let is_in_range = hour < 24 && minute < 60 && second < 60;
    let is_fraction = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let ms: u64 = format!("{:0<3.3}", fraction).parse().ok()?;
    (is_plain && is_in_range && is_fraction).then_some(((hour * 60 + minute) * 60 + second) * 1_000 + ms)
}

/// `Z`, `+02:00` or `-05:30`: whether it is east, and how far, in milliseconds.
fn offset(text: &str) -> Option<(bool, u64)> {
    if text.eq_ignore_ascii_case("z") {
        return Some((true, 0));
    }
    let is_plain = text.len() == 6 && text.get(3..4) == Some(":");
    let (hours, minutes) = (part(text, 1, 2)?, part(text, 4, 2)?);
    let ms = (hours * 60 + minutes) * 60_000;
    (is_plain && hours < 24 && minutes < 60).then_some((text.starts_with('+'), ms))
}

/// So many digits from there.
fn part(text: &str, from: usize, digits: usize) -> Option<u64> {
    let part = text.get(from..from.checked_add(digits)?)?;
    part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_284_000_123;

    #[test]
    fn spans_count_from_now_and_times_are_read_in_their_zone() {
        assert_eq!(parse("10m", NOW), Ok(NOW - 600_000));
        assert_eq!(parse("2024-02-29T12:00:00Z", NOW), Ok(1_709_208_000_000));
        assert_eq!(parse("2024-02-29 14:00:00.5+02:00", NOW), Ok(1_709_208_000_500));
        assert_eq!(parse("2024-02-29t06:30-05:30", NOW), Ok(1_709_208_000_000));
        assert_eq!(parse("1970-01-01", NOW), Ok(0));
    }

    #[test]
    fn nonsense_and_the_future_are_told() {
        for bad in [
            "",
            "yesterday",
            "2023-02-29",
            "2024-13-01",
            "2024-02-29T25:00:00Z",
            "2024-02-29T12:00:00",
            "2024-02-29T12:00:00+0200",
            "2024/02/29",
            "1969-12-31",
            "2024-02-29T1200Z",
            "2024-02-29T12:00:00.xZ",
            "ä024-02-29",
            "2024-02-29ä",
            "10",
        ] {
            assert!(parse(bad, NOW).unwrap_err().starts_with("write a span"), "{bad}");
        }
        assert!(parse("2099-01-01", NOW).unwrap_err().contains("2026-11-21T"));
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for at in [0, 951_782_399_999, 951_782_400_000, 978_307_199_999, 1_709_208_000_123, NOW] {
            assert_eq!(parse(&stamp(at), NOW), Ok(at), "{}", stamp(at));
        }
        assert_eq!(stamp(4_107_542_400_000), "2100-03-01T00:00:00.000Z");
    }
}
