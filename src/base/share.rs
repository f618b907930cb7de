//! Keyed hashes of names: which share of the people somebody belongs to, and names that can be compared but not read.

use aws_lc_rs::hmac;

/// The key of a keyed hash, 256 random bits.
pub type Salt = [u8; 32];

/// A keyed hash: HMAC-SHA256 under a salt of its deployment. Without the salt nobody can tell whose turn it is, or which
/// name a hash stands for.
pub struct Shares(hmac::Key);

impl Shares {
    /// The hash under `salt`.
    pub fn new(salt: &Salt) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, salt))
    }

    /// The hash of `name`.
    pub fn hash(&self, name: &str) -> [u8; 32] {
        let tag = hmac::sign(&self.0, name.as_bytes());
        let mut out = [0; 32];
        out.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        out
    }

    /// Where `name` stands between 0 (included) and 2⁶⁴ (excluded): as if drawn at random, but always the same.
    pub fn of(&self, name: &str) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.hash(name);
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }

    /// Whether `name` is in the first `percent` of 100. A greater share contains every smaller one.
    pub fn is_within(&self, name: &str, percent: u8) -> bool {
        u128::from(self.of(name)) * 100 < u128::from(percent) << 64
    }

    /// The part of `whole` that falls to `name`, in milliseconds: 0 included, `whole` excluded.
    pub fn part(&self, name: &str, whole: std::time::Duration) -> std::time::Duration {
        let millis = whole.as_millis().min(u128::from(u64::MAX));
        let part = (u128::from(self.of(name)) * millis) >> 64;
        std::time::Duration::from_millis(u64::try_from(part).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_share_is_of_the_size_asked_for_and_grows_without_leaving_anybody_out() {
        let shares = Shares::new(&[7; 32]);
        let names: Vec<String> = (0..10_000).map(|n| format!("user{n}@acme.com")).collect();
        let within = |percent| names.iter().filter(|name| shares.is_within(name, percent)).collect::<Vec<_>>();
        assert_eq!((within(0).len(), within(100).len()), (0, names.len()));
        let (ten, fifty) = (within(10), within(50));
        assert!((900..1_100).contains(&ten.len()), "{}", ten.len());
        assert!(ten.iter().all(|name| fifty.contains(name)));
        let other = Shares::new(&[8; 32]);
        assert_ne!(ten, names.iter().filter(|name| other.is_within(name, 10)).collect::<Vec<_>>(), "keyed");
    }

    #[test]
    fn parts_fill_the_whole_evenly() {
        let shares = Shares::new(&[7; 32]);
        let day = Duration::from_secs(86_400);
        let parts: Vec<Duration> = (0..10_000).map(|n| shares.part(&n.to_string(), day)).collect();
        assert!(parts.iter().all(|part| *part < day));
        let early = parts.iter().filter(|part| **part < day / 4).count();
        assert!((2_300..2_700).contains(&early), "{early}");
        assert_eq!(shares.part("x", Duration::ZERO), Duration::ZERO);
    }
}
