//! The gene's configuration: what stands under `config` of the gene in `dna.toml`.
//!
//! Values are texts, and fixed for as long as the cell lives. Only `config.get` of this gene is
//! seen here, never another's, and never a secret.

use std::fmt;

use crate::sys;

/// The value of `key`; none if it is not configured.
///
/// # Errors
///
/// When the host cannot say.
pub fn get(key: &str) -> Result<Option<String>, ConfigError> {
    sys::config_get(key).map_err(ConfigError)
}

/// The value of `key`, or `default` where it is not configured.
///
/// # Errors
///
/// As [`get`].
pub fn get_or(key: &str, default: &str) -> Result<String, ConfigError> {
    Ok(get(key)?.unwrap_or_else(|| default.to_owned()))
}

/// All keys and values, in no particular order.
///
/// # Errors
///
/// As [`get`].
pub fn all() -> Result<Vec<(String, String)>, ConfigError> {
    sys::config_all().map_err(ConfigError)
}

/// The host could not read the configuration.
#[derive(Debug, Clone)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "reading the configuration: {}", self.0)
    }
}

impl std::error::Error for ConfigError {}

#[cfg(test)]
mod tests {
    use crate::testing;

    #[test]
    fn values_come_from_the_test() {
        testing::set_config("greeting", "hi");
        assert_eq!(super::get("greeting").unwrap().as_deref(), Some("hi"));
        assert_eq!(super::get_or("other", "x").unwrap(), "x");
        assert_eq!(super::all().unwrap(), [("greeting".to_owned(), "hi".to_owned())]);
    }
}
