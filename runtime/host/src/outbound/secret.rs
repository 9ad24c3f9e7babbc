//! Secrets in outbound requests: the guest writes `{{secret:NAME}}` into a header value, the
//! host puts the value there when the request leaves. The guest never sees it.
//!
//! Only header values: a URL is logged by everybody on the way. Only names that the gene's DNA
//! grants. A request that cannot be completed is not sent.

use cyte_engine::capability::http::OutboundError;
use http::header::{HeaderMap, HeaderValue};

const OPEN: &[u8] = b"{{secret:";
const CLOSE: &[u8] = b"}}";
/// Bytes of all values with secrets in them, of one request: without a bound, a value full of
/// placeholders would grow a thousandfold.
const FILLED_MAX: usize = cyte_dna::limits::OUTBOUND_FILLED_BYTES;

/// Fills in all placeholders. `granted` are the names that the gene may use, `lookup` gives the
/// host's value for one of them.
///
/// # Errors
/// `Denied` for a name that is not granted or has no value, `BadRequest` for a placeholder that
/// does not end or a value that does not fit into a header. Nothing must be sent then.
pub(super) fn fill(
    headers: &mut HeaderMap,
    granted: &[String],
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<(), OutboundError> {
    let mut room = FILLED_MAX;
    for value in headers.values_mut() {
        if find(value.as_bytes(), OPEN).is_some() {
            *value = filled(value.as_bytes(), granted, lookup, &mut room)?;
        }
    }
    Ok(())
}

fn filled(
    template: &[u8],
    granted: &[String],
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
    room: &mut usize,
) -> Result<HeaderValue, OutboundError> {
    let mut rest = template;
    let mut whole = Vec::new();
    while let Some((before, after)) = split_at(rest, OPEN) {
        let (name, tail) = split_at(after, CLOSE).ok_or_else(|| bad("a {{secret: without }}"))?;
        let name = std::str::from_utf8(name).map_err(|_| bad("the name of a secret is not text"))?;
        append(&mut whole, before, room)?;
        append(&mut whole, &value_of(name, granted, lookup)?, room)?;
        rest = tail;
    }
    append(&mut whole, rest, room)?;
    let unfit = |_| bad("the value of a secret holds bytes that no header may hold");
    let mut value = HeaderValue::from_maybe_shared(bytes::Bytes::from(whole)).map_err(unfit)?;
    // Kept out of debug output and of header compression.
    value.set_sensitive(true);
    Ok(value)
}

fn value_of(
    name: &str,
    granted: &[String],
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Result<Vec<u8>, OutboundError> {
    if !granted.iter().any(|one| one == name) {
        return Err(OutboundError::Denied(format!(
            "secret {name:?} is not granted: add it to `secrets` of the gene in dna.toml"
        )));
    }
    lookup(name).ok_or_else(|| {
        OutboundError::Denied(format!("secret {name:?} has no value here: cyte secret set {name}"))
    })
}

fn append(whole: &mut Vec<u8>, part: &[u8], room: &mut usize) -> Result<(), OutboundError> {
    *room =
        room.checked_sub(part.len()).ok_or_else(|| bad("the headers are too large with their secrets"))?;
    whole.extend_from_slice(part);
    Ok(())
}

fn bad(reason: &str) -> OutboundError {
    OutboundError::BadRequest(reason.to_owned())
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// What is before and after the first occurrence.
fn split_at<'t>(text: &'t [u8], what: &[u8]) -> Option<(&'t [u8], &'t [u8])> {
    let at = find(text, what)?;
    Some((text.get(..at)?, text.get(at.checked_add(what.len())?..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill_one(template: &str) -> Result<HeaderValue, OutboundError> {
        let mut headers = HeaderMap::new();
        headers.insert("authorization", template.parse().unwrap());
        let lookup = |name: &str| match name {
            "token" => Some(b"s3cr3t".to_vec()),
            "nested" => Some(b"{{secret:token}}".to_vec()),
            "line" => Some(b"a\r\nx: y".to_vec()),
            "large" => Some(vec![b'x'; 40 << 10]),
            _ => None,
        };
        let granted = ["token", "nested", "line", "large", "unset"].map(str::to_owned);
        fill(&mut headers, &granted, &lookup)?;
        Ok(headers.remove("authorization").unwrap())
    }

    #[test]
    fn placeholders_are_filled_in_once() {
        let value = fill_one("Bearer {{secret:token}}").unwrap();
        assert_eq!(value, "Bearer s3cr3t");
        assert!(value.is_sensitive());
        assert_eq!(fill_one("{{secret:token}}:{{secret:token}}").unwrap(), "s3cr3t:s3cr3t");
        assert_eq!(fill_one("{{secret:nested}}").unwrap(), "{{secret:token}}");
        let plain = fill_one("{{other:token}} {{").unwrap();
        assert_eq!(plain, "{{other:token}} {{");
        assert!(!plain.is_sensitive());
    }

    #[test]
    fn what_cannot_be_filled_in_is_not_sent() {
        for denied in ["{{secret:other}}", "{{secret:unset}}", "{{secret:}}", "{{secret: token}}"] {
            assert!(matches!(fill_one(denied), Err(OutboundError::Denied(_))), "{denied}");
        }
        for bad in ["{{secret:token}", "{{secret:line}}", "{{secret:large}}{{secret:large}}"] {
            assert!(matches!(fill_one(bad), Err(OutboundError::BadRequest(_))), "{bad}");
        }
    }
}
