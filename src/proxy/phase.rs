//! What the process is doing, and waiting for it.

use tokio::sync::watch;

/// What the process is doing, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Taking connections.
    Serving,
    /// Finishing what is there: idle connections close, answers end with `Connection: close`.
    Draining,
    /// Ending what is left, tunnels too.
    Closing,
}

/// Waits for a phase of the process.
pub(super) struct PhaseWatch {
    phase: watch::Receiver<Phase>,
    until: Phase,
}

impl PhaseWatch {
    pub(super) fn new(phase: watch::Receiver<Phase>, until: Phase) -> Self {
        Self { phase, until }
    }

    pub(super) async fn wait(&mut self) {
        let until = self.until;
        // The sender is gone only when the process ends: then everything closes.
        drop(self.phase.wait_for(|phase| *phase >= until).await);
    }
}
