//! Sealed texts: what a browser (attempt cookies) or the directory (tokens, kept forms) keeps for us and can neither
//! read nor change.
//!
//! Format, in unpadded base64url where it is text: version (1 byte, 1) · key id (4) · nonce (12) · AES-256-GCM ciphertext and tag (16).
//! The additional data are version, key id and the purpose, so a text sealed for one purpose opens for no other.

use std::sync::Arc;

use aws_lc_rs::aead::{Aad, NONCE_LEN, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::keys::KeyRing;

/// A sealed text longer than this is not opened. Browsers keep no cookie of that size.
pub const MAX_SEALED: usize = 8 * 1024;

/// A sealed record longer than this is not opened.
pub const MAX_SEALED_BYTES: usize = 1024 * 1024;

const VERSION: u8 = 1;

/// Seals and opens with the ring's sealing keys: the current one seals, all that are not retired open. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Sealer {
    ring: Arc<KeyRing>,
}

impl Sealer {
    /// A sealer that follows the ring as keys come and go.
    pub const fn new(ring: Arc<KeyRing>) -> Self {
        Self { ring }
    }

    /// Seals `plaintext` for `purpose`, the cookie's name. Up to about 6,000 bytes fit into [`MAX_SEALED`].
    ///
    /// # Panics
    /// When the operating system has no randomness to give, like [`random`](super::random).
    pub fn seal(&self, purpose: &str, plaintext: &[u8]) -> String {
        URL_SAFE_NO_PAD.encode(self.seal_bytes(purpose, plaintext))
    }

    /// What was sealed for `purpose`. `None` for everything else: too long, cut, changed, another purpose, another
    /// deployment's key (E05), a retired key (E12). Which of these it was is nobody's business.
    pub fn open(&self, purpose: &str, text: &str) -> Option<Vec<u8>> {
        if text.len() > MAX_SEALED {
            return None;
        }
        self.open_bytes(purpose, &URL_SAFE_NO_PAD.decode(text).ok()?)
    }

    /// As [`seal`](Self::seal), without base64: for records in the directory. What does not fit into
    /// [`MAX_SEALED_BYTES`] with its 33 bytes of frame does not open again.
    ///
    /// # Panics
    /// When the operating system has no randomness to give, like [`random`](super::random).
    #[expect(clippy::expect_used, reason = "without randomness no answer is safe")]
    pub fn seal_bytes(&self, purpose: &str, plaintext: &[u8]) -> Vec<u8> {
        let key = self.ring.sealing_key();
        let header = header(key.id());
        let mut text = plaintext.to_vec();
        let sealed = key.cipher().seal_in_place_append_tag(Aad::from(aad(header, purpose)), &mut text);
        let nonce = sealed.expect("the operating system gives randomness");
        [header.as_slice(), nonce.as_ref(), &text].concat()
    }

    /// As [`open`](Self::open), for what [`seal_bytes`](Self::seal_bytes) made.
    pub fn open_bytes(&self, purpose: &str, sealed: &[u8]) -> Option<Vec<u8>> {
        if sealed.len() > MAX_SEALED_BYTES {
            return None;
        }
        let (&[VERSION, a, b, c, d], rest) = sealed.split_first_chunk::<5>()? else { return None };
        let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LEN>()?;
        let id = [a, b, c, d];
        let aad = aad(header(id), purpose);
        self.ring.sealing_keys_with_id(id).iter().find_map(|key| {
            let mut text = ciphertext.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let len = key.cipher().open_in_place(nonce, Aad::from(&aad), &mut text).ok()?.len();
            text.truncate(len);
            Some(text)
        })
    }
}

const fn header([a, b, c, d]: [u8; 4]) -> [u8; 5] {
    [VERSION, a, b, c, d]
}

fn aad(header: [u8; 5], purpose: &str) -> Vec<u8> {
    [header.as_slice(), purpose.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::clock::{Clock, Timestamp};
    use proptest::prelude::*;

    fn sealer() -> (tempfile::TempDir, Sealer) {
        let dir = tempfile::tempdir().unwrap();
        let ring =
            KeyRing::open(dir.path(), Duration::ZERO, Clock::manual(Timestamp::from_secs(1_700_000_000))).unwrap();
        (dir, Sealer::new(Arc::new(ring)))
    }

    #[test]
    fn what_was_sealed_opens_for_the_same_purpose_only() {
        let (_dir, sealer) = sealer();
        for plain in [b"".as_slice(), b"x", &[0xff; 6000]] {
            let sealed = sealer.seal("try-1", plain);
            assert!(sealed.len() <= MAX_SEALED);
            assert_eq!(sealer.open("try-1", &sealed).as_deref(), Some(plain));
            assert_eq!(sealer.open("try-2", &sealed), None);
            assert_eq!(sealer.open("", &sealed), None);
        }
        assert_ne!(sealer.seal("p", b"same"), sealer.seal("p", b"same"), "every seal has a nonce of its own");
    }

    #[test]
    fn e05_no_changed_bit_and_no_cut_opens() {
        let (_dir, sealer) = sealer();
        let sealed = sealer.seal("p", b"secret");
        let raw = URL_SAFE_NO_PAD.decode(&sealed).unwrap();
        for i in 0..raw.len() * 8 {
            let mut changed = raw.clone();
            changed[i / 8] ^= 1 << (i % 8);
            assert_eq!(sealer.open("p", &URL_SAFE_NO_PAD.encode(changed)), None, "bit {i}");
        }
        for cut in 0..raw.len() {
            assert_eq!(sealer.open("p", &URL_SAFE_NO_PAD.encode(&raw[..cut])), None, "cut at {cut}");
        }
        for other in [format!("{sealed}="), format!(" {sealed}"), format!("{sealed}A"), sealed.replace('A', "\u{e9}")] {
            assert!(other == sealed || sealer.open("p", &other).is_none(), "{other}");
        }
        assert!(sealer.open("p", &sealed).is_some(), "the honest one");
    }

    #[test]
    fn e05_another_deployments_seal_and_an_overlong_text_do_not_open() {
        let (_a, ours) = sealer();
        let (_b, theirs) = sealer();
        assert_eq!(ours.open("p", &theirs.seal("p", b"x")), None);
        assert_eq!(ours.open("p", &ours.seal("p", &[0; 8 * 1024])), None, "over 8 KB");
    }

    #[test]
    fn a_record_of_up_to_a_megabyte_opens_for_its_purpose_only() {
        let (_dir, sealer) = sealer();
        let fits = vec![7; MAX_SEALED_BYTES - 33];
        let sealed = sealer.seal_bytes("tokens", &fits);
        assert_eq!(sealed.len(), MAX_SEALED_BYTES);
        assert!(sealer.open_bytes("tokens", &sealed).is_some_and(|opened| opened == fits));
        assert_eq!(sealer.open_bytes("post", &sealed), None);
        assert_eq!(sealer.open_bytes("tokens", &sealer.seal_bytes("tokens", &[fits.as_slice(), &[7]].concat())), None);
        let text = URL_SAFE_NO_PAD.encode(sealer.seal_bytes("p", b"x"));
        assert_eq!(sealer.open("p", &text).as_deref(), Some(b"x".as_slice()), "one format");
    }

    proptest! {
        #[test]
        fn e05_random_text_never_opens_and_never_panics(text in ".{0,200}", bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (_dir, sealer) = sealer();
            prop_assert_eq!(sealer.open("p", &text), None);
            prop_assert_eq!(sealer.open("p", &URL_SAFE_NO_PAD.encode(&bytes)), None);
            prop_assert_eq!(sealer.open_bytes("p", &bytes), None);
        }
    }
}
