//! Cut-overs.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::call::Durability::Durable;
use super::documents::{read, switch_kind, write};
use super::error::Fault;
use super::value::{Row, Value};
use super::{Sql, retried};
use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::directory::{Change, CutOver, CutOvers, DirectoryError, Extent, Switch, SwitchKind};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtentDocument {
    percent: u8,
    users: BTreeSet<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CutOverDocument {
    extent: ExtentDocument,
    later: Option<(i64, ExtentDocument)>,
}

fn document(state: &CutOver) -> Result<String, Fault> {
    let extent = |extent: &Extent| ExtentDocument { percent: extent.percent, users: extent.users.clone() };
    let later = state.later.as_ref().map(|(from, later)| (from.millis(), extent(later)));
    write(CutOverDocument { extent: extent(&state.extent), later })
}

fn read_document(text: &str) -> Result<CutOver, Fault> {
    let extent = |ExtentDocument { percent, users }| Extent { percent, users };
    let CutOverDocument { extent: first, later } = read(text, "cut_overs.state")?;
    let later = later.map(|(from, later)| (Timestamp::from_millis(from), extent(later)));
    Ok(CutOver { extent: extent(first), later })
}

fn entry(row: &Row) -> Result<(EmailDomain, CutOver), Fault> {
    let domain: String = row.get(0)?;
    let domain = domain.parse().map_err(|_| Fault::unreadable("cut_overs.domain"))?;
    Ok((domain, read_document(row.get(1)?)?))
}

impl Sql {
    async fn enable_domain(
        &self,
        domain: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<CutOver, Fault> {
        const ON: &str = "DELETE FROM switches WHERE kind = $1 AND name = $2";
        const KEEP: &str = "INSERT INTO cut_overs (domain, state) VALUES ($1, $2) ON CONFLICT (domain) DO UPDATE SET \
                            state = excluded.state";
        let kind = SwitchKind::Domain;
        let name = domain.as_str();
        let mut call = self.begin(Durable).await?;
        let was_off = call.execute(ON, &[Value::Text(switch_kind(kind)), Value::Text(name)]).await? > 0;
        let find = match call.for_update() {
            "" => "SELECT state FROM cut_overs WHERE domain = $1",
            _ => "SELECT state FROM cut_overs WHERE domain = $1 FOR UPDATE",
        };
        let before = call.fetch_one(find, &[Value::Text(name)]).await?;
        let before = before.map(|row| read_document(row.get(0)?)).transpose()?;
        let cut_over = CutOver::following(before.as_ref(), was_off, extent.clone(), from, now);
        call.execute(KEEP, &[Value::Text(name), Value::Text(&document(&cut_over)?)]).await?;
        let switched = Change::Switched(Switch { kind, name: name.to_owned(), off: false });
        call.number(&[switched, Change::CutOver(domain.clone())], now).await?;
        call.commit().await?;
        Ok(cut_over)
    }
}

#[async_trait]
impl CutOvers for Sql {
    async fn all(&self) -> Result<Vec<(EmailDomain, CutOver)>, DirectoryError> {
        const SQL: &str = "SELECT domain, state FROM cut_overs ORDER BY domain";
        let rows = self.read().await?.fetch(SQL, &[]).await?;
        Ok(rows.iter().map(entry).collect::<Result<_, _>>()?)
    }

    async fn of(&self, domain: &EmailDomain) -> Result<Option<CutOver>, DirectoryError> {
        const SQL: &str = "SELECT state FROM cut_overs WHERE domain = $1";
        let row = self.read().await?.fetch_one(SQL, &[Value::Text(domain.as_str())]).await?;
        Ok(row.map(|row| read_document(row.get(0)?)).transpose()?)
    }

    async fn enable(
        &self,
        domain: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<CutOver, DirectoryError> {
        retried(|| self.enable_domain(domain, extent, from, now)).await
    }
}
