//! Amounts as people write them: `"64MiB"`, `"500ms"`.

const BYTES: &[(&str, u64)] =
    &[("B", 1), ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
const MILLISECONDS: &[(&str, u64)] = &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000)];

/// What a number of a limit counts.
#[derive(Clone, Copy)]
pub(super) enum Measure {
    Bytes,
    Time,
}

/// The number of bytes that a text means: `64MiB`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    Measure::Bytes.parse(text)
}

/// The number of milliseconds that a text means: `500ms`, `2s`.
///
/// # Errors
/// What is wrong with it.
pub fn parse_ms(text: &str) -> Result<u64, &'static str> {
    Measure::Time.parse(text)
}

impl Measure {
    /// The number of bytes or milliseconds that this text means.
    pub(super) fn parse(self, text: &str) -> Result<u64, &'static str> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at_checked(digits).unwrap_or((text, ""));
        let (units, fault) = match self {
            Measure::Bytes => (BYTES, "is not a size: write a whole number and B, KiB, MiB, GiB or TiB"),
            Measure::Time => (MILLISECONDS, "is not a duration: write a whole number and ms, s, min or h"),
        };
        let unit = unit.strip_prefix(' ').unwrap_or(unit);
        let factor = units.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
        let number: Option<u64> = number.parse().ok();
        number.zip(factor).and_then(|(number, factor)| number.checked_mul(factor)).ok_or(fault)
    }

    /// A number of this measure as text.
    pub(super) fn show(self, number: u64) -> String {
        match self {
            Measure::Bytes => crate::limits::human_bytes(number).replace(' ', ""),
            Measure::Time => crate::limits::human_ms(number).replace(' ', ""),
        }
    }

    /// An example for advice.
    pub(super) fn example(self) -> &'static str {
        match self {
            Measure::Bytes => "\"64MiB\"",
            Measure::Time => "\"500ms\"",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts() {
        assert_eq!(Measure::Bytes.parse("64MiB"), Ok(64 << 20));
        assert_eq!(Measure::Bytes.parse("0B"), Ok(0));
        assert_eq!(Measure::Bytes.parse("1 GiB"), Ok(1 << 30));
        assert_eq!(Measure::Time.parse("500ms"), Ok(500));
        assert_eq!(Measure::Time.parse("2min"), Ok(120_000));
        for bad in [
            "",
            "64",
            "MiB",
            "64MB",
            "-1s",
            "1.5s",
            "1  s",
            "64mib",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(Measure::Bytes.parse(bad).is_err(), "{bad}");
            assert!(Measure::Time.parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Measure::Bytes.show(64 << 20), "64MiB");
        assert_eq!(Measure::Time.show(500), "500ms");
    }
}
