//! What the service has acknowledged.

use std::collections::BTreeMap;

use uuid::Uuid;

/// What became of a memory, as far as the client knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its creation was acknowledged.
    Live,
    /// Its deletion was acknowledged.
    Deleted,
    /// Its deletion was asked for and not answered: it may be either.
    Unknown,
}

/// The client's log.
#[derive(Debug, Default)]
pub struct Ledger {
    fates: BTreeMap<Uuid, Fate>,
}

/// What a check against the service found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Memories whose creation was acknowledged and which were not deleted.
    pub acknowledged: usize,
    /// Those that the service has, and that a search finds where one was asked.
    pub found: usize,
    /// Those that it has not, or that no search finds.
    pub lost: usize,
    /// Deleted ones that it has.
    pub came_back: usize,
}

impl Ledger {
    /// Notes an acknowledged creation.
    pub fn created(&mut self, id: Uuid) {
        self.fates.insert(id, Fate::Live);
    }

    /// Notes that a deletion was sent: until it is answered, nobody knows.
    pub fn deleting(&mut self, id: Uuid) {
        self.fates.insert(id, Fate::Unknown);
    }

    /// Notes an acknowledged deletion.
    pub fn deleted(&mut self, id: Uuid) {
        self.fates.insert(id, Fate::Deleted);
    }

    /// Picks a live memory: the oldest.
    #[must_use]
    pub fn any_live(&self) -> Option<Uuid> {
        self.fates
            .iter()
            .find(|(_, fate)| **fate == Fate::Live)
            .map(|(id, _)| *id)
    }

    /// Returns all memories and their fates.
    #[must_use]
    pub fn entries(&self) -> Vec<(Uuid, Fate)> {
        self.fates.iter().map(|(id, fate)| (*id, *fate)).collect()
    }
}

impl Verdict {
    /// Counts one memory that the service has, or has not.
    pub fn count(&mut self, fate: Fate, is_there: bool) {
        match (fate, is_there) {
            (Fate::Live, true) => {
                self.acknowledged += 1;
                self.found += 1;
            }
            (Fate::Live, false) => {
                self.acknowledged += 1;
                self.lost += 1;
            }
            (Fate::Deleted, true) => self.came_back += 1,
            (Fate::Deleted, false) | (Fate::Unknown, _) => {}
        }
    }

    /// Tells whether nothing was lost and nothing came back.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.came_back == 0
    }
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            acknowledged,
            found,
            lost,
            came_back,
        } = self;
        write!(
            f,
            "acknowledged {acknowledged}, found {found}, lost {lost}, came back {came_back}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_acknowledged_memory_that_is_missing_is_lost_and_a_deleted_one_that_is_there_came_back() {
        let mut ledger = Ledger::default();
        let ids: Vec<Uuid> = (0..4).map(Uuid::from_u128).collect();
        for id in &ids {
            ledger.created(*id);
        }
        ledger.deleting(ids[1]);
        ledger.deleted(ids[1]);
        ledger.deleting(ids[2]);
        let mut verdict = Verdict::default();
        for (id, fate) in ledger.entries() {
            // The service has the second and the third, and not the first.
            verdict.count(fate, id == ids[1] || id == ids[2] || id == ids[3]);
        }
        assert_eq!(
            verdict,
            Verdict {
                acknowledged: 2,
                found: 1,
                lost: 1,
                came_back: 1
            }
        );
        assert_eq!(verdict.to_string(), "acknowledged 2, found 1, lost 1, came back 1");
    }
}
