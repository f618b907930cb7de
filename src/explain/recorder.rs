//! Takes records from every thread and writes them in the background.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::base::app_log::error_chain;
use crate::base::clock::{Clock, Timestamp};
use crate::config::Explain;
use crate::directory::{Directory, DirectoryError, Explained};

use super::queue::Queue;
use super::{Record, render};

/// How often records are written.
const WRITE_EVERY: Duration = Duration::from_secs(1);
/// Old records are forgotten once in so many writes.
const PURGE_EVERY: u32 = 30;
/// Attempts that a request's story follows. One request belongs to one.
const MAX_ATTEMPTS: usize = 4;

/// Takes records. Cheap to clone; clones share their records.
#[derive(Clone)]
pub struct Recorder(Arc<Inner>);

struct Inner {
    settings: Explain,
    queue: Mutex<Queue>,
    /// Held while records are on their way to the directory, so that whoever asks sees them.
    writing: tokio::sync::Mutex<()>,
}

impl Recorder {
    /// A recorder with these settings. Nothing is written until somebody [`run`](Self::run)s it.
    pub fn new(settings: &Explain) -> Self {
        Self(Arc::new(Inner {
            settings: settings.clone(),
            queue: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }))
    }

    /// Takes the record that `make` makes. Never waits for the directory and never fails: of too many, those are given
    /// up that strangers cause, challenges first. Makes nothing where explaining is switched off.
    pub fn record(&self, make: impl FnOnce() -> Record) {
        if self.0.settings.enabled {
            let record = make();
            drop(self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).push(record));
        }
    }

    /// Writes what waits, in one batch. What cannot be written is lost: the next second brings as much.
    ///
    /// # Errors
    /// The directory is not available.
    pub async fn flush(&self, directory: &Directory) -> Result<(), DirectoryError> {
        let _writing = self.0.writing.lock().await;
        let (records, dropped) = self.0.queue.lock().unwrap_or_else(PoisonError::into_inner).take();
        if dropped > 0 {
            tracing::debug!(dropped, "more refusals than are kept for anteroom explain");
        }
        if records.is_empty() {
            return Ok(());
        }
        let mask = self.0.settings.personal_data;
        let mut rows: Vec<Explained> = records.into_iter().flat_map(|record| record.into_rows(mask)).collect();
        rows.sort_by_key(|row| row.at);
        directory.explanations.keep(&rows).await
    }

    /// Everything that is kept of `reference`, oldest first, and of the sign-in that it was part of.
    ///
    /// # Errors
    /// The directory is not available.
    pub async fn of(&self, directory: &Directory, reference: &str) -> Result<Vec<Explained>, DirectoryError> {
        self.flush(directory).await?;
        let mut story = directory.explanations.of(reference).await?;
        let mut attempts: Vec<String> = story.iter().filter_map(render::attempt_of).collect();
        attempts.sort_unstable();
        attempts.dedup();
        for attempt in attempts.iter().filter(|attempt| *attempt != reference).take(MAX_ATTEMPTS) {
            story.extend(directory.explanations.of(attempt).await?);
        }
        story.sort_by(|a, b| (a.at, &a.record).cmp(&(b.at, &b.record)));
        // The same decision under both of its names.
        story.dedup_by(|a, b| a.at == b.at && a.record == b.record);
        Ok(story)
    }

    /// Writes records every second and forgets old ones, until dropped. Whoever drops it [`flush`](Self::flush)es.
    pub async fn run(self, directory: Directory, clock: Clock) {
        let mut every = tokio::time::interval(WRITE_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut away = false;
        let mut writes = 0;
        loop {
            every.tick().await;
            let mut result = self.flush(&directory).await;
            if result.is_ok() && writes % PURGE_EVERY == 0 {
                result = self.purge(&directory, clock.now()).await;
            }
            writes = writes.wrapping_add(1);
            match &result {
                Ok(()) => away = false,
                // Once for each time that it goes away.
                Err(error) if !away => {
                    away = true;
                    tracing::warn!(error = error_chain(error), "refusals are not kept for anteroom explain");
                }
                Err(_) => {}
            }
        }
    }

    async fn purge(&self, directory: &Directory, now: Timestamp) -> Result<(), DirectoryError> {
        let keep = i64::try_from(self.0.settings.keep.as_millis()).unwrap_or(i64::MAX);
        let before = Timestamp::from_millis(now.millis().saturating_sub(keep));
        directory.explanations.purge(before, self.0.settings.max).await.map(drop)
    }
}
