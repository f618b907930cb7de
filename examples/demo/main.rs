//! The demo: a legacy application, two OpenID providers and Anteroom in front, on one machine, with one command.
//!
//! It uses nothing of Anteroom's code: it starts the real program. See `README.md` beside this file.

mod anteroom;
mod app;
mod app_pages;
mod args;
mod authorize;
mod clock;
mod entra;
mod google;
mod keys;
mod memory;
mod pages;
mod profile;
mod provider;
mod random;
mod reply;
mod request;
mod server;
mod summary;
mod token;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::anteroom::Plan;
use crate::app::App;
use crate::args::{Args, Ports, loopback};
use crate::provider::Provider;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            let _ = writeln!(io::stderr().lock(), "\ndemo: {why}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), String> {
    let mut stop = StopSignals::listen()?;
    let ports = args.ports()?;
    let plan = plan(args, ports)?;

    let sites = Sites::bind(ports).await?;
    say("Making the providers' keys …");
    let entra = Provider::new(entra::profile(ports))?;
    let google = Provider::new(google::profile(ports))?;
    let summary = summary::text(ports, [&entra.profile, &google.profile]);
    tokio::spawn(server::serve(sites.app, Arc::new(App::new())));
    tokio::spawn(server::serve(sites.entra, Arc::new(entra)));
    tokio::spawn(server::serve(sites.google, Arc::new(google)));

    say("Starting Anteroom …");
    let mut anteroom = plan.start()?;
    let outcome = tokio::select! {
        ready = anteroom.ready(ports.ops()) => ready,
        () = stop.received() => {
            anteroom.stop().await;
            return Ok(());
        }
    };
    if outcome.is_err() {
        anteroom.stop().await;
        return outcome;
    }
    say(&format!(
        "{summary}\nAnteroom's log: {}\n\
         Ctrl-C ends all of it. Whoever is signed in then still is when it runs again.\n",
        anteroom.log.display()
    ));

    tokio::select! {
        why = anteroom.ended() => Err(why),
        () = stop.received() => {
            say("\nStopping …");
            anteroom.stop().await;
            say("Everything has ended.");
            Ok(())
        }
    }
}

/// Fills in what the command line left open: the binary beside this one, the configuration in the source tree.
fn plan(args: Args, ports: Ports) -> Result<Plan, String> {
    // target/debug/examples/demo → target/debug
    let own = std::env::current_exe().map_err(|cause| format!("cannot find out where this program is: {cause}"))?;
    let build = own.parent().and_then(Path::parent).unwrap_or(Path::new("."));
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/demo/anteroom.toml");
    let state = args.state.unwrap_or_else(|| build.parent().unwrap_or(build).join("demo"));
    Ok(Plan {
        binary: absolute(&args.anteroom.unwrap_or_else(|| build.join("anteroom")))?,
        config: absolute(&args.config.unwrap_or(source))?,
        state: absolute(&state)?,
        ports,
    })
}

fn absolute(path: &Path) -> Result<PathBuf, String> {
    std::path::absolute(path).map_err(|cause| format!("{}: {cause}", path.display()))
}

/// The listeners of everything but Anteroom, bound before anything starts.
struct Sites {
    app: TcpListener,
    entra: TcpListener,
    google: TcpListener,
}

impl Sites {
    async fn bind(ports: Ports) -> Result<Self, String> {
        server::probe(loopback(ports.anteroom()), "Anteroom").await?;
        server::probe(loopback(ports.ops()), "Anteroom's operations listener").await?;
        Ok(Self {
            app: server::bind(loopback(ports.app()), "the application").await?,
            entra: server::bind(loopback(ports.entra()), "the Entra-like provider").await?,
            google: server::bind(loopback(ports.google()), "the Google-like provider").await?,
        })
    }
}

/// Ctrl-C, `kill`, and the terminal going away: all end the demo, Anteroom included.
struct StopSignals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl StopSignals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|cause| format!("cannot wait for signals: {cause}"));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hang_up: listen(SignalKind::hangup())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}

/// A line for the person at the terminal. A terminal that is gone is no reason to stop.
fn say(line: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{line}");
    let _ = out.flush();
}
