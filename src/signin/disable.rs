//! Switching a connector or domain off and on again, in every process of a deployment: nobody signs in by it any more,
//! attempts in flight end with `connector_disabled` or `domain_disabled`, and by `sessions.on_disable` its sessions end.
//! A domain may be on for some of its people first, and from a moment on: its cut-over.

use crate::base::clock::Timestamp;
use crate::base::email::EmailDomain;
use crate::base::id::Id;
use crate::config::OnDisable;
use crate::directory::{CutOver, DirectoryError, Extent, Selector, Switch, SwitchKind};

use super::SignIn;

/// Why nothing, or not all of it, was done.
#[derive(Debug, thiserror::Error)]
pub enum SwitchError {
    /// The configuration has none of that name.
    #[error("there is no connector {name:?} in the configuration")]
    UnknownConnector { name: String },
    /// The name is no domain's.
    #[error("{name:?} is no e-mail domain")]
    NoDomain { name: String },
    /// It was to begin at a moment that has passed.
    #[error("{} has passed; to begin at once, name no moment", at.rfc3339())]
    Passed { at: Timestamp },
    /// The switch is as it was. Nothing has ended.
    #[error("the directory did not take the switch")]
    Directory(#[source] DirectoryError),
    /// Nobody signs in any more, but the sessions have ended in this process alone; elsewhere they end when the
    /// directory is back, if this process lives until then. Disabling again is safe.
    #[error("it is switched off, but the directory did not end its sessions; disable it again")]
    Sessions(#[source] DirectoryError),
}

impl SignIn {
    /// Switches a connector (by its id) or an e-mail domain (whether or not the configuration has it) off, here at once and
    /// in other processes as soon as they read the change. `end_sessions`: whether its sessions end too; none: as `sessions.on_disable` says. Returns how many
    /// ended, and none if they were to be kept. Works on what is off already: its sessions may end later than it.
    ///
    /// # Errors
    /// See [`SwitchError`].
    pub async fn disable(
        &self,
        kind: SwitchKind,
        name: &str,
        end_sessions: Option<bool>,
    ) -> Result<Option<u64>, SwitchError> {
        let (name, which, reason) = self.switchable(kind, name)?;
        // The switch first: who gets a session in between is ended with the others (see `finish`).
        self.switch(kind, name, true).await?;
        let by_setting = match self.on_disable {
            OnDisable::EndConnectors => kind == SwitchKind::Connector,
            OnDisable::End => true,
            OnDisable::Keep => false,
        };
        if !end_sessions.unwrap_or(by_setting) {
            return Ok(None);
        }
        let ended = self.revoke(&which, reason).await.map_err(SwitchError::Sessions)?;
        Ok(Some(ended.count))
    }

    /// Switches an e-mail domain on, whether or not the configuration has it: for the people of `extent`, at once or from
    /// `from` on. Until then it is on for whom it was by an earlier word, and for nobody without one. Returns what holds.
    ///
    /// # Errors
    /// See [`SwitchError`].
    pub async fn enable_domain(
        &self,
        domain: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
    ) -> Result<CutOver, SwitchError> {
        let now = self.clock.now();
        if let Some(at) = from.filter(|from| *from <= now) {
            return Err(SwitchError::Passed { at });
        }
        let made = self.directory.cut_overs.enable(domain, extent, from, now).await.map_err(SwitchError::Directory)?;
        self.switchboard.set_cut_over(domain, Some(made.clone()));
        self.switchboard.set(&Switch { kind: SwitchKind::Domain, name: domain.to_string(), off: false });
        Ok(made)
    }

    /// Switches a connector on again, or a domain for everybody. Sessions that were kept were good all the time.
    ///
    /// # Errors
    /// See [`SwitchError`].
    pub async fn enable(&self, kind: SwitchKind, name: &str) -> Result<(), SwitchError> {
        if kind == SwitchKind::Domain {
            let domain = name.parse().map_err(|_| SwitchError::NoDomain { name: name.to_owned() })?;
            return self.enable_domain(&domain, &Extent::everybody(), None).await.map(drop);
        }
        let name = match self.switchable(kind, name) {
            Ok((name, ..)) => name,
            // It left the configuration while it was off.
            Err(_) if self.switchboard.is_off(kind, name) => name.to_owned(),
            Err(error) => return Err(error),
        };
        self.switch(kind, name, false).await
    }

    /// The name as switches have it, the sessions behind it, and why these end.
    fn switchable(&self, kind: SwitchKind, name: &str) -> Result<(String, Selector, &'static str), SwitchError> {
        match kind {
            SwitchKind::Connector => {
                let unknown = || SwitchError::UnknownConnector { name: name.to_owned() };
                let id = name.parse::<Id>().ok().filter(|id| self.providers.contains_key(id)).ok_or_else(unknown)?;
                Ok((id.to_string(), Selector::Connector(id), "connector_disabled"))
            }
            SwitchKind::Domain => {
                let domain: EmailDomain = name.parse().map_err(|_| SwitchError::NoDomain { name: name.to_owned() })?;
                Ok((domain.as_str().to_owned(), Selector::Domain(domain), "domain_disabled"))
            }
        }
    }

    async fn switch(&self, kind: SwitchKind, name: String, off: bool) -> Result<(), SwitchError> {
        let switched = self.directory.switches.switch(kind, &name, off, self.clock.now()).await;
        switched.map_err(SwitchError::Directory)?;
        self.switchboard.set(&Switch { kind, name, off });
        Ok(())
    }
}
