//! What strangers may make us ask the directory: names and cookies are made up for nothing, and everybody's sessions are
//! read there too.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::directory::DirectoryError;

/// Questions at a time.
const AT_A_TIME: usize = 32;
/// How long one waits for its turn.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// The turns to ask.
pub(super) struct Questions(Semaphore);

impl Questions {
    pub(super) const fn new() -> Self {
        Self(Semaphore::const_new(AT_A_TIME))
    }

    /// A turn, until it is dropped.
    ///
    /// # Errors
    /// Too many ask.
    pub(super) async fn turn(&self) -> Result<SemaphorePermit<'_>, DirectoryError> {
        let turn = tokio::time::timeout(LONGEST_TURN, self.0.acquire()).await;
        let busy = || DirectoryError::Unavailable("too many native credentials are asked about".into());
        turn.ok().and_then(Result::ok).ok_or_else(busy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_told_so_and_whoever_comes_after_it_is_not() {
        let questions = Questions::new();
        let mut turns = Vec::new();
        for _ in 0..AT_A_TIME {
            turns.push(questions.turn().await.unwrap());
        }
        assert!(questions.turn().await.is_err());
        turns.pop();
        assert!(questions.turn().await.is_ok());
    }
}
