//! Words that search wishes: `front`, `label:team=web`, `route=/api`, `priority=700`.

use cyte_organism::wish::Query;

use crate::codes::Code;
use crate::error::CliError;

/// What the words mean together: every one must hold. A plain word is part of a gene's name.
///
/// # Errors
/// [`Code::Usage`] for a word that means nothing.
pub(super) fn query(words: &[String]) -> Result<Query, CliError> {
    let mut query = Query::default();
    for word in words {
        take(&mut query, word).map_err(|why| {
            CliError::new(Code::Usage, format!("cannot search for `{}`", word.escape_debug()), why)
                .help("cyte search --help lists what can be searched for")
        })?;
    }
    Ok(query)
}

fn take(query: &mut Query, word: &str) -> Result<(), String> {
    if let Some(selector) = word.strip_prefix("label:") {
        query.labels.push(selector.parse().map_err(|error| format!("{error}"))?);
        return Ok(());
    }
    let Some((field, value)) = word.split_once('=') else {
        query.name_holds = Some(word.to_owned());
        return Ok(());
    };
    fn read<T: std::str::FromStr<Err: std::fmt::Display>>(value: &str) -> Result<Option<T>, String> {
        value.parse().map(Some).map_err(|error: T::Err| error.to_string())
    }
    fn known<T: serde::de::DeserializeOwned>(value: &str) -> Result<Option<T>, String> {
        let value = serde_json::Value::String(value.to_owned());
        serde_json::from_value(value).map(Some).map_err(|error| error.to_string())
    }
    match field {
        "gene" => query.gene = read(value)?,
        "version" => query.version = Some(value.to_owned()),
        "origin" => query.origin = known(value)?,
        "scope" => query.scope = known(value)?,
        "expressor" => query.expressor = read(value)?,
        "priority" => query.priority_from = read(value)?,
        "count" => query.count = read(value)?,
        "companion" => query.companion = read(value)?,
        "role" => query.role = known(value)?,
        "route" => query.route_holds = Some(value.to_owned()),
        "after" => query.after_revision = read(value)?,
        _ => return Err(format!("there is no field `{field}`")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Result<Query, CliError> {
        query(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn words_become_a_query() {
        let query =
            of("fro origin=operator label:team=web route=/api priority=700 role=drone count=3").unwrap();
        assert_eq!(query.name_holds.as_deref(), Some("fro"));
        assert_eq!((query.labels.len(), query.priority_from, query.count), (1, Some(700), Some(3)));
        assert_eq!((query.route_holds.as_deref(), query.role), (Some("/api"), Some(cyte_dna::Role::Drone)));
        assert_eq!(of("").unwrap(), Query::default());
        for bad in ["origin=me", "nonsense=1", "priority=x", "label:=", "gene=A"] {
            assert_eq!(of(bad).unwrap_err().code, Code::Usage, "{bad}");
        }
    }
}
