//! Randomness from the operating system, through aws-lc. The only source of unguessable values.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// `N` bytes that nobody can guess.
///
/// # Panics
/// When the operating system has no randomness to give: then nothing we could do would be safe, and the panic costs
/// the one request that asked.
#[expect(clippy::expect_used, reason = "without randomness no answer is safe")]
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut out = [0u8; N];
    aws_lc_rs::rand::fill(&mut out).expect("the operating system gives randomness");
    out
}

/// `N` random bytes as unpadded base64url: 22 characters for 16 bytes, 43 for 32.
pub fn token<const N: usize>() -> String {
    URL_SAFE_NO_PAD.encode(bytes::<N>())
}
