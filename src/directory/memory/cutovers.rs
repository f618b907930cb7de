//! Cut-overs of the memory directory.

use async_trait::async_trait;

use super::Memory;
use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::directory::{Change, CutOver, CutOvers, DirectoryError, Extent, Switch, SwitchKind};

#[async_trait]
impl CutOvers for Memory {
    async fn all(&self) -> Result<Vec<(EmailDomain, CutOver)>, DirectoryError> {
        Ok(self.state().cut_overs.iter().map(|(domain, state)| (domain.clone(), state.clone())).collect())
    }

    async fn of(&self, domain: &EmailDomain) -> Result<Option<CutOver>, DirectoryError> {
        Ok(self.state().cut_overs.get(domain).cloned())
    }

    async fn enable(
        &self,
        domain: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<CutOver, DirectoryError> {
        let mut state = self.state();
        let name = domain.as_str().to_owned();
        let was_off = state.off.remove(&(SwitchKind::Domain, name.clone()));
        let cut_over = CutOver::following(state.cut_overs.get(domain), was_off, extent.clone(), from, now);
        state.cut_overs.insert(domain.clone(), cut_over.clone());
        state.number(Change::Switched(Switch { kind: SwitchKind::Domain, name, off: false }), now);
        state.number(Change::CutOver(domain.clone()), now);
        drop(state);
        self.changed.notify_waiters();
        Ok(cut_over)
    }
}
