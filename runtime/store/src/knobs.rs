//! Limits that operators changed while the host served: a name and a number each, in `head.redb`.
//!
//! Just data: what a name means and which numbers are allowed is for whoever writes.

use redb::{ReadableTable, ReadableTableMetadata, TableDefinition};
use serde::{Deserialize, Serialize};

use crate::disk::{cap, decode_as, encode_as, open_if_there};
use crate::head::append_audit;
use crate::{AuditEntry, Head, StoreError};

/// Numbers that are kept at most: two for each gene, and the host's own.
pub const KNOBS_MAX: usize = 2 * cyte_dna::limits::GENES + 16;
/// A name, in bytes: a gene's and a word.
const NAME_BYTES: usize = cyte_dna::limits::NAME_MAX_BYTES + 32;

const KNOBS: TableDefinition<&str, &[u8]> = TableDefinition::new("knobs");
/// The format of the rows.
const FORMAT: u8 = 1;

/// A number that an operator set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetKnob {
    /// The number, in the unit of its name.
    pub value: u64,
    /// When, in milliseconds since 1970 as the host then believed.
    pub at_ms: u64,
    /// Who, as a user id.
    pub uid: u32,
}

impl Head {
    /// Every number that an operator set, by name.
    ///
    /// # Errors
    /// Fails when the file cannot be read or a row does not decode.
    pub fn knobs(&self) -> Result<Vec<(String, SetKnob)>, StoreError> {
        self.reading(|read| {
            let Some(table) = open_if_there(&read, KNOBS)? else { return Ok(Vec::new()) };
            let mut all = Vec::new();
            for row in table.iter()? {
                let (name, value) = row?;
                all.push((name.value().to_owned(), decode_as(FORMAT, "knobs", value.value())?));
            }
            Ok(all)
        })
    }

    /// Keeps these numbers, or forgets those that are `None`; all of it or nothing, durable when it
    /// returns, with a note of who did it.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] for a name, [`StoreError::TooMany`] above [`KNOBS_MAX`]; otherwise what
    /// the write says. Nothing changed then.
    pub fn set_knobs(
        &self,
        changes: &[(String, Option<SetKnob>)],
        audit: &AuditEntry,
    ) -> Result<(), StoreError> {
        for (name, _) in changes {
            cap("the name of a limit", name.len(), NAME_BYTES)?;
        }
        self.writing(|db| {
            let write = db.begin_write()?;
            let count = {
                let mut table = write.open_table(KNOBS)?;
                for (name, knob) in changes {
                    match knob {
                        Some(knob) => {
                            let row = encode_as(FORMAT, "knobs", knob)?;
                            table.insert(name.as_str(), row.as_slice())?;
                        }
                        None => drop(table.remove(name.as_str())?),
                    }
                }
                table.len()?
            };
            if usize::try_from(count).unwrap_or(usize::MAX) > KNOBS_MAX {
                write.abort()?;
                return Err(StoreError::TooMany { what: "limits of operators", cap: KNOBS_MAX });
            }
            append_audit(&write, audit)?;
            write.commit()?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_survives_reopening_and_is_forgotten_when_it_is_unset() {
        let path = std::env::temp_dir().join(format!("cyte-store-knobs-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let file = path.join("head.redb");
        let audit = AuditEntry { at_s: 1, uid: 7, verb: "limits.set".into(), subject: "x".into() };
        let knob = SetKnob { value: 9, at_ms: 3, uid: 7 };
        {
            let head = Head::open(&file).unwrap();
            assert_eq!(head.knobs().unwrap(), []);
            let two = [("a.wait".to_owned(), Some(knob)), ("polled-calls".to_owned(), Some(knob))];
            head.set_knobs(&two, &audit).unwrap();
            let long = [("x".repeat(NAME_BYTES + 1), Some(knob))];
            assert!(matches!(head.set_knobs(&long, &audit), Err(StoreError::TooLarge { .. })));
        }
        let head = Head::open(&file).unwrap();
        assert_eq!(head.knobs().unwrap().len(), 2);
        head.set_knobs(&[("a.wait".to_owned(), None)], &audit).unwrap();
        assert_eq!(head.knobs().unwrap(), [("polled-calls".to_owned(), knob)]);
        assert_eq!(head.audit_trail(9).unwrap().len(), 2);
        std::fs::remove_dir_all(&path).unwrap();
    }
}
