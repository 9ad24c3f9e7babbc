//! What a request asks for, beside its path.

use percent_encoding::percent_decode_str;

/// How many words one search has.
const WORDS: usize = 64;

/// What a reader asks of a list.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) follow: bool,
    pub(super) after: Option<u64>,
    /// Of events: what was kept since then, in milliseconds since 1970.
    pub(super) since: Option<u64>,
    pub(super) tail: Option<usize>,
    pub(super) gene: Option<String>,
    /// Of wishes: how they came to be.
    pub(super) history: bool,
    /// Of wishes: what is searched for.
    pub(super) words: Vec<String>,
    /// Of wishes: the name of the file that they come from.
    pub(super) file: Option<String>,
    /// Of wishes: only what they would come to.
    pub(super) plan: bool,
    /// Of a cell's end: with what it holds.
    pub(super) now: bool,
}

impl Query {
    /// Reads the part of a path after `?`; what is strange is ignored.
    pub(super) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        for pair in text.split('&') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let is_on = value != "0" && value != "false";
            match key {
                "follow" => query.follow = is_on,
                "plan" => query.plan = is_on,
                "now" => query.now = is_on,
                "since" => query.since = value.parse().ok(),
                "after" => query.after = value.parse().ok(),
                "tail" => query.tail = value.parse().ok(),
                "gene" => query.gene = Some(unescape(value)),
                "history" => query.history = is_on,
                "word" if query.words.len() < WORDS => query.words.push(unescape(value)),
                "file" => query.file = Some(unescape(value)),
                _ => {}
            }
        }
        query
    }
}

/// `%23` and its like back into text; what is no escape stays as it is.
pub(super) fn unescape(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_read_and_strange_ones_ignored() {
        let query = Query::parse("follow&after=7&gene=a%2db&tail=x&what=ever");
        let gene = Some("a-b".into());
        let expected = Query { follow: true, after: Some(7), gene, ..Query::default() };
        assert_eq!(query, expected);
        assert_eq!(Query::parse(""), Query::default());
        assert!(!Query::parse("follow=0").follow);
    }

    #[test]
    fn escapes_are_undone_and_broken_ones_kept() {
        assert_eq!(unescape("front%231"), "front#1");
        assert_eq!(unescape("100%"), "100%");
        assert_eq!(unescape("%zz%4"), "%zz%4");
    }
}
