//! The ledger.

use async_trait::async_trait;

use super::call::Durability::Lazy;
use super::error::Fault;
use super::value::{Row, Value};
use super::{Sql, retried};
use crate::base::email::EmailDomain;
use crate::directory::{DirectoryError, Ledger, LedgerKind, LedgerRow};

/// What stands for no domain: a key has no nulls.
const NO_DOMAIN: &str = "";

fn domain_text(row: &LedgerRow) -> &str {
    row.domain.as_ref().map_or(NO_DOMAIN, EmailDomain::as_str)
}

fn read(row: &Row) -> Result<LedgerRow, Fault> {
    let unreadable = |column: &str| Fault::unreadable(format!("ledger.{column}"));
    let (app, domain, kind): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
    let domain = (domain != NO_DOMAIN).then(|| domain.parse().map_err(|_| unreadable("domain"))).transpose()?;
    let count: i64 = row.get(5)?;
    Ok(LedgerRow {
        app: app.parse().map_err(|_| unreadable("app"))?,
        domain,
        what: LedgerKind::from_name(&kind).ok_or_else(|| unreadable("kind"))?,
        reason: row.get(3)?,
        day: row.get(4)?,
        count: u64::try_from(count).map_err(|_| unreadable("count"))?,
    })
}

impl Sql {
    async fn add_to_ledger(&self, rows: &[&LedgerRow]) -> Result<(), Fault> {
        const SQL: &str = "INSERT INTO ledger (app, domain, kind, reason, day, count) VALUES ($1, $2, $3, $4, $5, $6) \
                           ON CONFLICT (app, domain, kind, reason, day) DO UPDATE SET count = ledger.count + \
                           excluded.count";
        let mut call = self.begin(Lazy).await?;
        for row in rows {
            let values = [
                Value::Text(row.app.as_str()),
                Value::Text(domain_text(row)),
                Value::Text(row.what.name()),
                Value::Text(&row.reason),
                Value::Int(row.day),
                Value::Int(i64::try_from(row.count).unwrap_or(i64::MAX)),
            ];
            call.execute(SQL, &values).await?;
        }
        call.commit().await
    }
}

#[async_trait]
impl Ledger for Sql {
    async fn add(&self, rows: &[LedgerRow]) -> Result<(), DirectoryError> {
        // Of two processes that write at once, neither waits for what the other holds.
        let mut rows: Vec<&LedgerRow> = rows.iter().collect();
        rows.sort_by_key(|row| (row.app.as_str(), domain_text(row), row.what.name(), &row.reason, row.day));
        retried(|| self.add_to_ledger(&rows)).await
    }

    async fn since(&self, from: i64, domain: Option<&EmailDomain>) -> Result<Vec<LedgerRow>, DirectoryError> {
        const ALL: &str = "SELECT app, domain, kind, reason, day, count FROM ledger WHERE day >= $1";
        const OF_ONE: &str = "SELECT app, domain, kind, reason, day, count FROM ledger WHERE day >= $1 AND domain = $2";
        let mut call = self.read().await?;
        let rows = match domain {
            None => call.fetch(ALL, &[Value::Int(from)]).await?,
            Some(domain) => call.fetch(OF_ONE, &[Value::Int(from), Value::Text(domain.as_str())]).await?,
        };
        let mut rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        // Here: databases differ in how they compare texts.
        rows.sort_by(|a, b| {
            let order = |row: &LedgerRow| (row.day, row.app.clone(), row.domain.clone(), row.what, row.reason.clone());
            order(a).cmp(&order(b))
        });
        Ok(rows)
    }

    async fn purge(&self, before: i64) -> Result<u64, DirectoryError> {
        const SQL: &str = "DELETE FROM ledger WHERE (app, domain, kind, reason, day) IN (SELECT app, domain, kind, \
                           reason, day FROM ledger WHERE day < $1 LIMIT $2)";
        Ok(self.delete_batches(SQL, &[Value::Int(before)]).await?)
    }
}
