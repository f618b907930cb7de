//! Ids of configured things: apps and connectors.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The id of an app or a connector: 1 to 63 characters of `[a-z0-9-]`, not starting or ending with `-`.
/// Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

const APP: &str = "app/";

/// A text that is no [`Id`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an id is 1 to 63 characters of a-z, 0-9 and '-', and starts and ends with a letter or digit")]
pub struct InvalidId;

impl Id {
    /// What vouches for a session that was adopted from the app `app`: `app/<id>`, which no configuration can write, so
    /// that it is never taken for a connector's.
    pub fn of_app(app: &Self) -> Self {
        Self(format!("{APP}{app}").into())
    }

    /// Reads the id of what vouches for a session: a connector's, or [an app's](Self::of_app).
    ///
    /// # Errors
    /// It is neither.
    pub fn read_vouching(text: &str) -> Result<Self, InvalidId> {
        text.strip_prefix(APP).map_or_else(|| text.parse(), |app| app.parse().map(|app| Self::of_app(&app)))
    }

    /// The app, if this is [of one](Self::of_app).
    pub fn app(&self) -> Option<&str> {
        self.0.strip_prefix(APP)
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = InvalidId;

    fn from_str(s: &str) -> Result<Self, InvalidId> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let edges = s.bytes().next().is_some_and(plain) && s.bytes().last().is_some_and(plain);
        if s.len() <= 63 && edges && s.bytes().all(|b| plain(b) || b == b'-') {
            Ok(Self(s.into()))
        } else {
            Err(InvalidId)
        }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl std::borrow::Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_that_vouches_is_no_connector() {
        let portal: Id = "portal".parse().unwrap();
        let vouching = Id::of_app(&portal);
        assert_eq!((vouching.as_str(), vouching.app(), portal.app()), ("app/portal", Some("portal"), None));
        assert_eq!(vouching.as_str().parse::<Id>(), Err(InvalidId));
        assert_eq!(Id::read_vouching("app/portal"), Ok(vouching));
        assert_eq!(Id::read_vouching("portal"), Ok(portal));
        for bad in ["app/", "app/app/portal", "App/portal", "app:portal"] {
            assert_eq!(Id::read_vouching(bad), Err(InvalidId), "{bad}");
        }
    }

    #[test]
    fn ids_are_lower_case_words_with_dashes() {
        for good in ["a", "portal", "acme-entra", "0", "a1-b2"] {
            assert_eq!(good.parse::<Id>().unwrap().as_str(), good);
        }
        for bad in ["", "-", "-a", "a-", "A", "a_b", "a.b", "a/b", "ä", &"a".repeat(64)] {
            assert_eq!(bad.parse::<Id>(), Err(InvalidId), "{bad:?}");
        }
    }
}
