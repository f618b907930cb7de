//! `anteroom serve`.

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::app::{self, Environment, Running, Stop};
use crate::base::app_log::{self, error_chain};
use crate::base::clock::Clock;
use crate::base::log::Log;
use crate::config::{Config, LogFormat};

use super::{Configured, Failure};

pub(super) fn run(configured: &Configured) -> Result<(), Failure> {
    let loaded = configured.load()?;
    let config = &loaded.config;
    let fail = |what: &str, error: &dyn std::error::Error| Failure::Other(format!("{what}: {}", error_chain(error)));
    let log = Log::stdout().map_err(|error| fail("cannot start the log", &error))?;
    let clock = Clock::system();
    app_log::install(log.clone(), clock.clone(), &config.log.level, config.log.format == LogFormat::Json)
        .map_err(|error| fail("log.level", &error))?;
    for warning in &loaded.warnings {
        tracing::warn!(warning = %warning, "configuration");
    }
    let runtime = app::control_runtime().map_err(|error| fail("cannot start the runtime", &error))?;
    let result = runtime.block_on(serve(config, &Environment { clock, log: log.clone(), directory: None }));
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    log.flush();
    result
}

async fn serve(config: &Config, environment: &Environment) -> Result<(), Failure> {
    // Before anybody can know that we run: a SIGTERM right after "ready" must drain, not kill.
    let signals = Signals::install().map_err(|error| Failure::Other(format!("cannot watch signals: {error}")))?;
    let mut running = app::start(config, environment)
        .await
        .map_err(|error| Failure::Other(format!("cannot start: {}", error_chain(&error))))?;
    tracing::info!(
        listen = %running.address(),
        ops = %running.ops_address(),
        public_url = config.server.public_url.origin,
        workers = config.server.workers,
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    let ended = signals.obey_until_ended(&mut running).await;
    tracing::info!("stopped");
    ended.map_err(|error| Failure::Other(error_chain(&error)))
}

/// What the process is told from outside.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            // A closed terminal is no reason to stop; there is nothing to reload yet.
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn obey_until_ended(mut self, running: &mut Running) -> std::io::Result<()> {
        let mut interrupts = 0;
        loop {
            tokio::select! {
                ended = running.ended() => return ended,
                _ = self.terminate.recv() => running.stop(Stop::Gracefully),
                _ = self.interrupt.recv() => {
                    interrupts += 1;
                    running.stop(if interrupts > 1 { Stop::Now } else { Stop::Soon });
                }
                _ = self.hang_up.recv() => tracing::info!("SIGHUP: nothing to do"),
            }
        }
    }
}
