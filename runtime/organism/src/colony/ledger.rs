//! The records that spread: of every host the newest ones, so that whoever lacks them gets them from
//! anybody who has them.
//!
//! Records of one life of a host are numbered without a gap; a mark is the newest number that is
//! known. What is older than what is kept here is not spread any more: a host that was away that
//! long learns what lives from the next census.

use std::collections::{BTreeMap, VecDeque};

use crate::phenotype::{Epoch, HostId, Record};

/// Records kept of this host, ...
const KEPT_OWN: usize = 512;
/// ... and of each other one.
const KEPT: usize = 64;

#[derive(Clone, Debug, Default)]
struct Page {
    epoch: Epoch,
    mark: u64,
    records: VecDeque<Record>,
}

/// All records that still spread.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    me: HostId,
    pages: BTreeMap<HostId, Page>,
}

impl Ledger {
    pub(super) fn new(me: HostId) -> Self {
        Self { me, pages: BTreeMap::new() }
    }

    /// Takes a record in; says whether it is news. At most `most` hosts have a page.
    pub(super) fn take(&mut self, record: Record, most: usize) -> bool {
        if !self.pages.contains_key(&record.host) && self.pages.len() >= most {
            return false;
        }
        let kept = if record.host == self.me { KEPT_OWN } else { KEPT };
        let page = self.pages.entry(record.host).or_default();
        if record.epoch < page.epoch || (record.epoch == page.epoch && record.number <= page.mark) {
            return false;
        }
        if record.epoch > page.epoch {
            (page.epoch, page.records) = (record.epoch, VecDeque::new());
        }
        page.mark = record.number;
        page.records.push_back(record);
        if page.records.len() > kept {
            page.records.pop_front();
        }
        true
    }

    /// The newest number of a host's life.
    pub(super) fn mark(&self, host: HostId, epoch: Epoch) -> u64 {
        self.pages.get(&host).filter(|page| page.epoch == epoch).map_or(0, |page| page.mark)
    }

    /// Records of a host's life after `mark`, oldest first.
    pub(super) fn after(&self, host: HostId, epoch: Epoch, mark: u64) -> impl Iterator<Item = &Record> {
        let page = self.pages.get(&host).filter(move |page| page.epoch == epoch);
        page.into_iter().flat_map(|page| page.records.iter()).filter(move |record| record.number > mark)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phenotype::Event;

    fn record(epoch: u64, number: u64) -> Record {
        let event = Event::Note { text: String::new() };
        Record { host: HostId(1), epoch: Epoch(epoch), number, at_ms: 0, gene: None, cell: None, event }
    }

    #[test]
    fn each_record_is_news_once_and_a_new_life_begins_anew() {
        let mut ledger = Ledger::new(HostId(0));
        assert!(
            ledger.take(record(1, 1), 1) && !ledger.take(record(1, 1), 1) && ledger.take(record(1, 2), 1)
        );
        assert_eq!(ledger.mark(HostId(1), Epoch(1)), 2);
        assert_eq!(ledger.after(HostId(1), Epoch(1), 1).count(), 1);
        assert!(ledger.take(record(2, 1), 1) && !ledger.take(record(1, 3), 1));
        assert_eq!((ledger.mark(HostId(1), Epoch(1)), ledger.mark(HostId(1), Epoch(2))), (0, 1));
        assert!(!ledger.take(Record { host: HostId(2), ..record(1, 1) }, 1), "no room for more hosts");
        for number in 2..1_000 {
            ledger.take(record(2, number), 1);
        }
        let kept: Vec<u64> = ledger.after(HostId(1), Epoch(2), 0).map(|record| record.number).collect();
        assert_eq!((kept.len(), kept[0], kept[KEPT - 1]), (KEPT, 936, 999));
    }
}
