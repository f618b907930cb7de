//! Renewal at providers that are not asked for refresh tokens: on a navigation, by a redirect there that shows nothing
//! (`prompt=none`, OpenID Connect Core section 3.1.2.1). The session is good meanwhile, and for everything but navigations
//! nothing changes.

use std::time::Duration;

use uuid::Uuid;

use crate::base::clock::{Tick, Timestamp};
use crate::base::random;
use crate::directory::{DirectoryError, Lease, Renewed, SessionRow};

use super::renewal::jitter;
use super::{NewSession, Session, SessionKey, SessionStore};

/// How long the claim to write counts: longer than two calls to the directory.
const CLAIM: Duration = Duration::from_secs(30);

/// When a session is due that was renewed now and is renewed at most every `interval`: up to a tenth later, so that
/// people who came in one minute do not go round in one minute.
pub fn silent_after(interval: Duration) -> Duration {
    interval.saturating_add(jitter(interval / 10))
}

impl SessionStore {
    /// Claims to renew `session` by a redirect: true for one navigation of this process at most every
    /// `renewal_interval`, whether or not its browser ever comes back.
    pub fn take_silent(&self, session: &Session, now: Tick) -> bool {
        session.is_renewal_due(now)
            && self.inner().silent.get(session.connector()).is_some_and(|every| session.take_due(now, now.plus(*every)))
    }

    /// The session of `key`, in the directory as `row`, goes on by what its provider says of the same person in `new`: same
    /// cookies, same limits. False: it has ended, or its claims fit into no header any more (X09).
    ///
    /// # Errors
    /// The directory is away: the session is as it was.
    pub async fn renew(
        &self,
        key: &SessionKey,
        session: &Session,
        row: SessionRow,
        new: NewSession,
    ) -> Result<bool, DirectoryError> {
        let sessions = &self.inner().directory.sessions;
        let (owner, now) = (Uuid::from_bytes(random::bytes()), self.wall());
        let row = match sessions.lease(row.reference, row.version, owner, now, now.plus(CLAIM)).await? {
            Lease::Taken(row) => *row,
            // Another tab was faster: what it brought is as new.
            Lease::Busy | Lease::Changed(_) => return Ok(true),
            Lease::Gone => return Ok(false),
        };
        let renewed = renewed(&row, &new, new.tokens.seal(row.reference, &self.inner().sealer));
        if !sessions.renewed(row.reference, owner, &renewed, now).await? {
            return Ok(sessions.by_reference(row.reference).await?.is_some());
        }
        let Renewed { identity, auth_time, acr, amr, secrets, renew_at } = renewed;
        let version = row.version + 1;
        let row = SessionRow { identity, auth_time, acr, amr, secrets, renew_at, version, ..row };
        if self.keep(key, &row, session.host()).is_err() {
            // What was good until now is not any more, as with every renewal.
            self.end_here(key, session);
            tracing::warn!(session = %row.reference, "renewed claims fit into no header: the person must sign in again");
            return Ok(false);
        }
        Ok(true)
    }
}

/// What of the session changes. Where the provider says no more than before of one and the same proof, what was known of
/// it stays: the class that a step-up brought is not lost because nobody asked for it again.
fn renewed(row: &SessionRow, new: &NewSession, secrets: Option<Vec<u8>>) -> Renewed {
    let at = |time: Option<Timestamp>| time.map(Timestamp::secs);
    let now = &new.row;
    let same_proof = now.auth_time.is_none() || at(now.auth_time) == at(row.auth_time);
    let before = Some(row).filter(|_| same_proof);
    Renewed {
        identity: now.identity.clone(),
        auth_time: now.auth_time.or(row.auth_time),
        acr: now.acr.clone().or_else(|| before.and_then(|row| row.acr.clone())),
        amr: match before {
            Some(row) if now.amr.is_empty() => row.amr.clone(),
            _ => now.amr.clone(),
        },
        secrets,
        renew_at: now.renew_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::Clock;
    use crate::directory::Linking;
    use crate::session::ProviderTokens;
    use crate::session::tests::row;

    #[test]
    fn what_a_proof_was_stays_known_and_a_newer_proof_is_what_it_is() {
        let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
        let proof = |secs, acr: Option<&str>, amr: &[&str]| {
            let auth_time = Some(Timestamp::from_secs(secs)).filter(|_| secs > 0);
            let (acr, amr) = (acr.map(str::to_owned), amr.iter().map(|method| (*method).to_owned()).collect());
            SessionRow { auth_time, acr, amr, ..row(&clock) }
        };
        let before = proof(1_000, Some("high"), &["pwd", "mfa"]);
        let none = || ProviderTokens::default();
        let after = |row| {
            let Renewed { auth_time, acr, amr, .. } =
                renewed(&before, &NewSession { row, tokens: none(), linking: Linking::default() }, None);
            (auth_time.map(Timestamp::secs), acr.unwrap_or_default(), amr.join(" "))
        };
        assert_eq!(after(proof(0, None, &[])), (Some(1_000), "high".into(), "pwd mfa".into()));
        assert_eq!(after(proof(1_000, None, &[])), (Some(1_000), "high".into(), "pwd mfa".into()));
        assert_eq!(after(proof(1_000, Some("low"), &["pwd"])), (Some(1_000), "low".into(), "pwd".into()));
        assert_eq!(after(proof(2_000, None, &[])), (Some(2_000), String::new(), String::new()));
    }

    #[test]
    fn people_who_came_together_do_not_go_round_together() {
        let hour = Duration::from_secs(3_600);
        let times: std::collections::BTreeSet<_> = (0..50).map(|_| silent_after(hour)).collect();
        assert!(times.len() > 40);
        assert!(times.iter().all(|time| (hour..=hour + hour / 10).contains(time)));
    }
}
