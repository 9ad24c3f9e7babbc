//! Names of genes and organisms: `[a-z0-9-]{1,63}`.
//!
//! Names become parts of paths, host names and metric labels, so that they hold nothing that
//! means something there: no dot, no slash, no NUL, no upper case.

use std::fmt;
use std::str::FromStr;

use crate::limits::NAME_MAX_BYTES;
use crate::text::{TextError, serde_as_text};

/// What to write instead of what is no name.
const REMEDY: &str = "write 1 to 63 of a-z, 0-9 and -, as in my-shop";

fn check(what: &'static str, text: &str) -> Result<(), TextError> {
    let refused = |reason| Err(TextError::new(what, text, reason).remedy(REMEDY));
    if text.is_empty() {
        return refused("it is empty");
    }
    if text.len() > NAME_MAX_BYTES {
        return refused("it is longer than 63 characters");
    }
    let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if !text.bytes().all(allowed) {
        return refused("only a-z, 0-9 and - are allowed");
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Box<str>);

        impl $type {
            /// Check and take a name.
            ///
            /// # Errors
            /// Where it is empty, longer than 63 bytes or holds anything but `a-z`, `0-9`, `-`.
            pub fn new(text: &str) -> Result<Self, TextError> {
                check($what, text)?;
                Ok($type(text.into()))
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = TextError;

            fn from_str(text: &str) -> Result<Self, TextError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        serde_as_text!($type);
    };
}

name! {
    /// The name of a gene, unique within its organism.
    GeneName, "gene name"
}

name! {
    /// The name of an organism.
    OrganismName, "organism name"
}

name! {
    /// The name of a host in a roster.
    HostName, "host name"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_64_characters_is_refused() {
        assert!(GeneName::new(&"a".repeat(63)).is_ok());
        assert!(GeneName::new(&"a".repeat(64)).is_err());
    }

    #[test]
    fn names_that_mean_something_elsewhere_are_refused() {
        for bad in ["", "..", ".", "a/b", "/a", "a\0", "A", "ä", "a b", "a.b", "a\n", "a_b"] {
            assert!(GeneName::new(bad).is_err(), "{bad:?}");
            assert!(OrganismName::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_error_names_the_thing_and_the_reason_on_one_line() {
        let error = GeneName::new("a\nb").unwrap_err().to_string();
        assert_eq!(error, "`a\\nb` is not a gene name: only a-z, 0-9 and - are allowed");
    }

    #[test]
    fn decoding_checks_a_name() {
        let bytes = postcard::to_allocvec("../x").unwrap();
        assert!(postcard::from_bytes::<GeneName>(&bytes).is_err());
        let name = GeneName::new("front").unwrap();
        let bytes = postcard::to_allocvec(&name).unwrap();
        assert_eq!(postcard::from_bytes::<GeneName>(&bytes).unwrap(), name);
        assert_eq!(serde_json::to_string(&name).unwrap(), "\"front\"");
    }
}
