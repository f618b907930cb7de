//! The cut-over of an e-mail domain: which of its people sign in at its provider by now.

use std::collections::BTreeSet;

use async_trait::async_trait;

use super::DirectoryError;
use crate::base::clock::Timestamp;
use crate::base::email::{EmailAddress, EmailDomain};
use crate::base::share::Shares;

/// People that one cut-over lists at most: a list is for those who go first.
pub const MAX_LISTED: usize = 10_000;

/// Which people of a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// So many of a hundred, 0 to 100, each by a keyed hash of the address: who is among ten is among fifty.
    pub percent: u8,
    /// These whatever the share: addresses by their [key](EmailAddress::look_alike_key), at most [`MAX_LISTED`].
    pub users: BTreeSet<String>,
}

impl Extent {
    /// All of them.
    pub fn everybody() -> Self {
        Self { percent: 100, users: BTreeSet::new() }
    }

    /// None of them.
    pub fn nobody() -> Self {
        Self { percent: 0, users: BTreeSet::new() }
    }

    /// Whether it is all of them.
    pub fn is_everybody(&self) -> bool {
        self.percent >= 100
    }

    /// Whether it is none of them.
    pub fn is_nobody(&self) -> bool {
        self.percent == 0 && self.users.is_empty()
    }

    fn takes_in(&self, address: &EmailAddress, shares: &Shares) -> bool {
        if self.is_everybody() {
            return true;
        }
        let key = address.look_alike_key();
        self.users.contains(&key) || shares.is_within(&key, self.percent)
    }
}

/// How far the cut-over of a domain has come, and how it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutOver {
    /// Who is part of it until [`later`](Self::later) begins.
    pub extent: Extent,
    /// Who is from that moment on. Nothing has to happen then: whoever asks compares it with the clock.
    pub later: Option<(Timestamp, Extent)>,
}

impl CutOver {
    /// What holds at `now`.
    pub fn at(&self, now: Timestamp) -> &Extent {
        match &self.later {
            Some((from, extent)) if *from <= now => extent,
            Some(_) | None => &self.extent,
        }
    }

    /// Whether the person of `address`, which is of this domain, is part of it at `now`.
    pub fn takes_in(&self, address: &EmailAddress, shares: &Shares, now: Timestamp) -> bool {
        self.at(now).takes_in(address, shares)
    }

    /// What is in force once `extent` is to hold from `from` on. Until then it is what held `before`; without that, or where
    /// the domain was off, nobody: somebody who names a moment does not want it before.
    pub(super) fn following(
        before: Option<&Self>,
        was_off: bool,
        extent: Extent,
        from: Option<Timestamp>,
        now: Timestamp,
    ) -> Self {
        match from.filter(|from| *from > now) {
            None => Self { extent, later: None },
            Some(from) => {
                let before = before.filter(|_| !was_off).map(|before| before.at(now).clone());
                Self { extent: before.unwrap_or_else(Extent::nobody), later: Some((from, extent)) }
            }
        }
    }
}

/// How far the cut-over of each domain has come. A domain without an entry has everybody in it; one that is
/// [switched off](super::Switches) has nobody, whatever stands here.
#[async_trait]
pub trait CutOvers: Send + Sync {
    /// All entries.
    async fn all(&self) -> Result<Vec<(EmailDomain, CutOver)>, DirectoryError>;

    /// The entry of one domain.
    async fn of(&self, domain: &EmailDomain) -> Result<Option<CutOver>, DirectoryError>;

    /// Switches a domain on for `extent`, at once or from `from` on, and numbers that as [`Change::Switched`] and
    /// [`Change::CutOver`], in one transaction. Returns what is in force now.
    ///
    /// [`Change::Switched`]: super::Change::Switched
    /// [`Change::CutOver`]: super::Change::CutOver
    async fn enable(
        &self,
        domain: &EmailDomain,
        extent: &Extent,
        from: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<CutOver, DirectoryError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
    const LATER: Timestamp = Timestamp::from_secs(1_800_000_060);

    fn share(percent: u8) -> Extent {
        Extent { percent, users: BTreeSet::new() }
    }

    #[test]
    fn listed_people_are_in_whatever_the_share_and_however_their_address_is_written() {
        let shares = Shares::new(&[7; 32]);
        let extent = Extent { percent: 0, users: BTreeSet::from(["ann@acme.com".to_owned()]) };
        let cut_over = CutOver { extent, later: None };
        let takes_in = |address: &str| cut_over.takes_in(&address.parse().unwrap(), &shares, NOW);
        assert!(takes_in("ann@acme.com") && takes_in("Ann@ACME.com."));
        assert!(!takes_in("anna@acme.com") && !takes_in("an.n@acme.com") && !takes_in("ann@acme.org"));
    }

    #[test]
    fn a_schedule_begins_with_its_moment() {
        let cut_over = CutOver { extent: share(10), later: Some((LATER, share(50))) };
        assert_eq!(cut_over.at(Timestamp::from_millis(LATER.millis() - 1)), &share(10));
        assert_eq!(cut_over.at(LATER), &share(50));
    }

    #[test]
    fn until_a_moment_holds_what_held_before_and_without_that_nobody() {
        let ten = CutOver { extent: share(10), later: None };
        let over = CutOver { extent: share(10), later: Some((NOW, share(30))) };
        for (before, was_off, from, expected) in [
            (None, false, None, CutOver { extent: share(50), later: None }),
            (Some(&ten), false, Some(NOW), CutOver { extent: share(50), later: None }),
            (Some(&ten), false, Some(LATER), CutOver { extent: share(10), later: Some((LATER, share(50))) }),
            (Some(&over), false, Some(LATER), CutOver { extent: share(30), later: Some((LATER, share(50))) }),
            (Some(&ten), true, Some(LATER), CutOver { extent: share(0), later: Some((LATER, share(50))) }),
            (None, false, Some(LATER), CutOver { extent: share(0), later: Some((LATER, share(50))) }),
        ] {
            assert_eq!(CutOver::following(before, was_off, share(50), from, NOW), expected, "{before:?} {was_off}");
        }
    }
}
