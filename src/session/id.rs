//! The secret in the cookie, and the key made from it.

use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::base::random;
use crate::directory::CookieKey;

/// The value of a session cookie: 256 random bits. Whoever has it is the user; it is never logged or stored.
pub struct SessionId([u8; 32]);

impl SessionId {
    /// A new one that nobody can guess.
    pub fn generate() -> Self {
        Self(random::bytes())
    }

    /// Reads a cookie's value: exactly 43 characters of canonical unpadded base64url, or none of ours (E05).
    pub fn parse(value: &str) -> Option<Self> {
        let mut bytes = [0u8; 32];
        let exact = value.len() == 43 && URL_SAFE_NO_PAD.decode_slice(value, &mut bytes) == Ok(32);
        exact.then_some(Self(bytes))
    }

    /// The cookie's value.
    pub fn cookie_value(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What the store knows the session by: the SHA-256.
    pub fn key(&self) -> SessionKey {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &self.0);
        let mut key = [0u8; 32];
        key.copy_from_slice(digest.as_ref());
        SessionKey(key)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionId(…)")
    }
}

/// The SHA-256 of a [`SessionId`]: the store's key. No cookie can be made from it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionKey([u8; 32]);

impl SessionKey {
    /// As the directory keeps it.
    pub const fn bytes(&self) -> &CookieKey {
        &self.0
    }

    /// The first eight bytes: as even as any hash of the whole.
    pub fn prefix(&self) -> u64 {
        let mut first = [0u8; 8];
        first.copy_from_slice(self.0.first_chunk::<8>().unwrap_or(&[0; 8]));
        u64::from_le_bytes(first)
    }
}

impl From<CookieKey> for SessionKey {
    fn from(key: CookieKey) -> Self {
        Self(key)
    }
}

impl Hash for SessionKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.prefix());
    }
}

/// Takes the key's own bytes as its hash: SHA-256 is already evenly spread, and nobody chooses it at will.
#[derive(Default)]
pub(super) struct KeyHasher(u64);

pub(super) type BuildKeyHasher = BuildHasherDefault<KeyHasher>;

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word.iter_mut().zip(chunk).for_each(|(to, from)| *to = *from);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, value: u64) {
        self.0 = self.0.rotate_left(23) ^ value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_value_leads_back_to_its_key_and_nothing_else_does() {
        let id = SessionId::generate();
        let value = id.cookie_value();
        assert_eq!(value.len(), 43);
        assert_eq!(SessionId::parse(&value).unwrap().key(), id.key());
        assert_ne!(SessionId::generate().key(), id.key());
        // E05: truncated, padded, foreign alphabet, non-canonical last character, empty
        for bad in [&value[..42], &format!("{value}="), &format!("{value}A"), &"+".repeat(43), "", &"_".repeat(43)] {
            assert!(SessionId::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn debug_output_is_no_cookie() {
        let id = SessionId::generate();
        assert!(!format!("{id:?} {:?}", id.key()).contains(&id.cookie_value()));
    }
}
