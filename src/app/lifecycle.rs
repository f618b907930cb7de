//! From listening to the last answer.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::base::metrics::Metrics;
use crate::proxy::{DataPlane, Phase};

use super::background::{Background, BackgroundTasks};
use super::ops;

/// How long new connections are still taken after readiness went away: Kubernetes takes that long to tell everybody.
const STILL_ACCEPTING: Duration = Duration::from_secs(5);
/// How long requests in flight may take to finish; below the 30 s after which Kubernetes kills.
const DRAIN_LIMIT: Duration = Duration::from_secs(20);

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not yet.
    No,
    /// As an orchestrator expects: unready at once, take connections for 5 s more, finish requests for up to 20 s.
    Gracefully,
    /// As a person expects: take no more connections, finish requests for up to 20 s.
    Soon,
    /// Now: end what is left.
    Now,
}

/// A running Anteroom.
pub struct Running {
    address: SocketAddr,
    ops_address: SocketAddr,
    stop: watch::Sender<Stop>,
    task: JoinHandle<io::Result<()>>,
}

impl Running {
    pub(super) fn begin(
        listener: TcpListener,
        ops_listener: TcpListener,
        plane: DataPlane,
        metrics: Arc<Metrics>,
        background: Background,
    ) -> Self {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let address = listener.local_addr().unwrap_or(unknown);
        let ops_address = ops_listener.local_addr().unwrap_or(unknown);
        let (stop, stopped) = watch::channel(Stop::No);
        let ready = Arc::new(AtomicBool::new(true));
        let ops = tokio::spawn(ops::serve(ops_listener, ready.clone(), background.sessions(), metrics));
        let mut background = background.start();
        let task = tokio::spawn(async move {
            let result = live(plane, listener, &ready, stopped, &mut background).await;
            ops.abort();
            background.stop().await;
            result
        });
        Self { address, ops_address, stop, task }
    }

    /// Where requests are taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    pub fn ops_address(&self) -> SocketAddr {
        self.ops_address
    }

    /// Says how to stop; a second call can only hurry.
    pub fn stop(&self, how: Stop) {
        self.stop.send_if_modified(|now| {
            let hurry = how > *now;
            *now = (*now).max(how);
            hurry
        });
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// It ended by itself: a data-plane thread is gone.
    pub async fn ended(&mut self) -> io::Result<()> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => Err(io::Error::other(error)),
        }
    }
}

async fn live(
    mut plane: DataPlane,
    listener: TcpListener,
    ready: &AtomicBool,
    mut stop: watch::Receiver<Stop>,
    background: &mut BackgroundTasks,
) -> io::Result<()> {
    let mut result = tokio::select! {
        ended = plane.accept(&listener) => ended,
        error = background.failed() => Err(error),
        () = at_least(&mut stop, Stop::Gracefully) => Ok(()),
    };
    ready.store(false, Ordering::Release);
    if result.is_ok() {
        tracing::info!("stopping: not ready any more, finishing requests");
        tokio::select! {
            ended = plane.accept(&listener) => result = ended,
            () = at_least(&mut stop, Stop::Soon) => {}
            () = tokio::time::sleep(STILL_ACCEPTING) => {}
        }
    }
    drop(listener);
    plane.enter(Phase::Draining);
    let finished = async {
        while plane.open() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = finished => {}
        () = at_least(&mut stop, Stop::Now) => {}
        () = tokio::time::sleep(DRAIN_LIMIT) => tracing::warn!(open = plane.open(), "connections cut at the drain limit"),
    }
    plane.enter(Phase::Closing);
    drop(tokio::task::spawn_blocking(move || plane.join()).await);
    result
}

/// Waits until the process was told to stop in this way or in a more hurried one.
async fn at_least(stop: &mut watch::Receiver<Stop>, how: Stop) {
    // Without a sender nobody can say more: that is the end too.
    drop(stop.wait_for(|stop| *stop >= how).await);
}
