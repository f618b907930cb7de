//! Revocation epochs in memory: what ended everything begun before a certain change, whether or not it was known here.

use std::collections::HashMap;

use uuid::Uuid;

use crate::directory::Selector;

use super::Session;
use super::record::name_hash;

/// For each selector the number of its newest revocation. Few: each is an administrator's or a provider's act.
#[derive(Default)]
pub(super) struct Epochs {
    by_selector: HashMap<Key, i64>,
}

#[derive(PartialEq, Eq, Hash)]
enum Key {
    Subject(String, u64),
    Email(String),
    User(Uuid),
    Connector(String),
    Domain(String),
    All,
}

impl Epochs {
    /// Takes in that `which` was revoked by the change `number`.
    pub(super) fn add(&mut self, which: &Selector, number: i64) {
        let key = match which {
            Selector::Subject { connector, sub } => Key::Subject(connector.to_string(), name_hash(sub)),
            Selector::Email(email) => Key::Email(email.to_ascii_lowercase()),
            Selector::User(user) => Key::User(*user),
            Selector::Connector(connector) => Key::Connector(connector.to_string()),
            Selector::Domain(domain) => Key::Domain(domain.as_str().to_owned()),
            Selector::All => Key::All,
            // These end what there is, and have no future.
            Selector::Reference(_) | Selector::Cookie(_) | Selector::ProviderSession { .. } => return,
        };
        let epoch = self.by_selector.entry(key).or_insert(number);
        *epoch = (*epoch).max(number);
    }

    /// Whether an epoch ends `session`, whose provider calls its person `sub`.
    pub(super) fn end(&self, session: &Session, sub: &str) -> bool {
        if self.by_selector.is_empty() {
            return false;
        }
        let identity = session.identity();
        let connector = identity.connector.to_string();
        let keys = [
            Key::Subject(connector.clone(), name_hash(sub)),
            Key::Email(identity.email.as_str().to_ascii_lowercase()),
            Key::User(session.user()),
            Key::Connector(connector),
            Key::Domain(identity.email.domain().as_str().to_owned()),
            Key::All,
        ];
        keys.iter().any(|key| self.by_selector.get(key).is_some_and(|epoch| *epoch > session.born()))
    }

    /// Whether a revocation by `which` ends `session`, epochs or not.
    pub(super) fn fits(which: &Selector, session: &Session) -> bool {
        match which {
            Selector::Reference(reference) => session.reference() == *reference,
            Selector::Subject { connector, sub } => {
                session.connector() == connector && session.is_of_subject(name_hash(sub))
            }
            Selector::Email(email) => session.identity().email.as_str().eq_ignore_ascii_case(email),
            Selector::User(user) => session.user() == *user,
            Selector::Connector(connector) => session.connector() == connector,
            Selector::Domain(domain) => session.identity().email.domain() == *domain,
            Selector::All => true,
            Selector::ProviderSession { connector, sid } => {
                session.connector() == connector && session.is_of_provider_session(name_hash(sid))
            }
            Selector::Cookie(_) => false,
        }
    }

    /// Forgets all, before they are read again.
    pub(super) fn clear(&mut self) {
        self.by_selector.clear();
    }
}
