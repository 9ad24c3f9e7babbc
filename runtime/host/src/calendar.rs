//! Days and times of day in UTC, as people read them.

/// A day, in milliseconds.
pub(crate) const DAY_MS: u64 = 86_400_000;

/// `2026-11-21T17:58:24.123Z`.
pub(crate) fn stamp(at_ms: u64) -> String {
    let (year, month, day) = civil(at_ms / DAY_MS);
    format!("{year:04}-{month:02}-{day:02}T{}Z", clock(at_ms))
}

/// The time of day in UTC.
pub(crate) fn clock(at_ms: u64) -> String {
    let (s, ms) = (at_ms / 1_000 % 86_400, at_ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", s / 3_600, s / 60 % 60, s % 60)
}

/// The same as a part of a file's name: sorts by time, without colons, which some file systems do not
/// take.
pub(crate) fn file_stamp(at_ms: u64) -> String {
    stamp(at_ms).replace([':', '.'], "-")
}

const fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
}

const fn days_of(year: u64, month: u64) -> u64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if is_leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

/// Days before this year since the year 0, which was one of 366.
const fn before(year: u64) -> u64 {
    year * 365 + year.div_ceil(4) - year.div_ceil(100) + year.div_ceil(400)
}

/// Days since 1970; `None` before it and for a day that does not exist.
pub(crate) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let exists = year >= 1970 && (1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day);
    let of_year: u64 = (1..month).map(|month| days_of(year, month)).sum();
    exists.then(|| before(year) - before(1970) + of_year + day - 1)
}

/// Year, month and day of a day since 1970.
fn civil(day: u64) -> (u64, u64, u64) {
    let day = day.saturating_add(before(1970));
    // Never too late a year: one has 366 days at most.
    let mut year = day / 366;
    while before(year + 1) <= day {
        year += 1;
    }
    let mut rest = day - before(year);
    let mut month = 1;
    while rest >= days_of(year, month) {
        rest -= days_of(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}
