//! The one error of everything that is read from short text: names, routes, digests, keys.

use std::fmt;

/// Text that is not what it should be.
///
/// Display names the thing, shows the text (shortened, control characters escaped) and says
/// why, all on one line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} is not {} {what}: {reason}", Shown(.text), article(.what))]
pub struct TextError {
    what: &'static str,
    text: String,
    reason: &'static str,
    remedy: &'static str,
}

impl TextError {
    /// `what` is a noun without article ("gene name"), `reason` a clause ("it is empty").
    pub(crate) fn new(what: &'static str, text: &str, reason: &'static str) -> Self {
        let text = text.chars().take(80).collect();
        TextError { what, text, reason, remedy: "" }
    }

    /// With what to write instead, one line with an example.
    pub(crate) fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = remedy;
        self
    }

    /// Why the text was refused, as a clause.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.reason
    }

    /// What to write instead, one line with an example; empty where there is nothing to say.
    #[must_use]
    pub fn help(&self) -> &'static str {
        self.remedy
    }
}

/// The article before a noun.
fn article(noun: &str) -> &'static str {
    if noun.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

/// Text in backquotes, safe on a terminal.
struct Shown<'a>(&'a str);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0.escape_debug())
    }
}

/// Serde through `Display` and `FromStr`: a value that decodes has been parsed, so that an
/// ill-formed one cannot exist in a decoded manifest either.
macro_rules! serde_as_text {
    ($type:ty) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use serde_as_text;
