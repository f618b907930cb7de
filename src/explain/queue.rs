//! Records on their way to the directory, at most so many at a time.

use std::collections::VecDeque;

use super::Record;

/// Rows that wait at most; they are taken out every second. Whoever floods us with requests that are refused does not
/// make us write as many rows.
pub(super) const MAX_ROWS: usize = 512;

/// The queue, by rank: of too many, the oldest of the lowest rank goes.
#[derive(Default)]
pub(super) struct Queue {
    ranks: [VecDeque<Record>; 3],
    rows: usize,
    dropped: u64,
}

impl Queue {
    /// Adds a record; gives back those that had to go for it, for the caller to drop where nobody waits.
    pub(super) fn push(&mut self, record: Record) -> Vec<Record> {
        self.rows += record.rows();
        if let Some(rank) = self.ranks.get_mut(record.rank()) {
            rank.push_back(record);
        }
        let mut gone = Vec::new();
        while self.rows > MAX_ROWS {
            let Some(oldest) = self.ranks.iter_mut().find_map(VecDeque::pop_front) else { break };
            self.rows -= oldest.rows();
            self.dropped += 1;
            gone.push(oldest);
        }
        gone
    }

    /// Takes everything out, oldest of each rank first, and how many were dropped since the last time.
    pub(super) fn take(&mut self) -> (Vec<Record>, u64) {
        self.rows = 0;
        let all = self.ranks.iter_mut().flat_map(std::mem::take).collect();
        (all, std::mem::take(&mut self.dropped))
    }
}
