//! The ledger of the memory directory.

use std::collections::BTreeMap;

use async_trait::async_trait;

use super::Memory;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::directory::{DirectoryError, Ledger, LedgerKind, LedgerRow};

/// Sums by day, app, domain, kind and reason.
pub(super) type LedgerRows = BTreeMap<(i64, Id, Option<EmailDomain>, LedgerKind, String), u64>;

#[async_trait]
impl Ledger for Memory {
    async fn add(&self, rows: &[LedgerRow]) -> Result<(), DirectoryError> {
        let mut state = self.state();
        for row in rows.iter().cloned() {
            let sum = state.ledger.entry((row.day, row.app, row.domain, row.what, row.reason)).or_default();
            *sum = sum.saturating_add(row.count);
        }
        Ok(())
    }

    async fn since(&self, from: i64, domain: Option<&EmailDomain>) -> Result<Vec<LedgerRow>, DirectoryError> {
        let state = self.state();
        let rows = state
            .ledger
            .iter()
            .filter(|((day, _, of, _, _), _)| *day >= from && domain.is_none_or(|domain| of.as_ref() == Some(domain)));
        let row =
            |((day, app, domain, what, reason), count): (&(i64, Id, Option<EmailDomain>, LedgerKind, String), &u64)| {
                let (app, domain, reason) = (app.clone(), domain.clone(), reason.clone());
                LedgerRow { app, domain, what: *what, reason, day: *day, count: *count }
            };
        Ok(rows.map(row).collect())
    }

    async fn purge(&self, before: i64) -> Result<u64, DirectoryError> {
        let mut state = self.state();
        let count = state.ledger.len();
        state.ledger.retain(|(day, ..), _| *day >= before);
        Ok(u64::try_from(count - state.ledger.len()).unwrap_or(u64::MAX))
    }
}
