//! `anteroom doctor`: whether this deployment works from here, and what to do where it does not.

mod connectors;
mod here;

use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt as _;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::FuturesOrdered;
use serde::Serialize;

use crate::admin::{Client, Status};
use crate::base::app_log::error_chain;
use crate::base::clock::Clock;
use crate::base::outgoing::Outgoing;
use crate::config::{Config, Loaded};

use super::table::clean;
use super::{Configured, Failure, json, print};

pub(super) const EXAMPLES: &str = "\
Examples:
  anteroom doctor --config anteroom.toml
  anteroom doctor --config anteroom.toml --json | jq '.[] | select(.state != \"ok\")'
  kubectl exec deploy/portal -c anteroom -- anteroom doctor --config /etc/anteroom/anteroom.toml

Each line is ok, warning or problem, what was looked at, what was found, and what to do.
Exit code: 0 all is well, 1 there are warnings, 2 there are problems, or the call was wrong.";

/// What `anteroom doctor` is asked.
#[derive(Args)]
pub(super) struct Doctor {
    #[command(flatten)]
    configured: Configured,
    /// For programs: a list of findings.
    #[arg(long)]
    json: bool,
}

/// After so long it is said what is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far ahead something that expires is a warning (T47).
const AHEAD: Duration = Duration::from_secs(30 * 86_400);

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Finding {
    /// Such as `connectors.acme-entra`.
    about: String,
    state: State,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

/// In the order of their exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Problem,
}

impl Finding {
    fn ok(about: &str, text: impl Into<String>) -> Self {
        Self { about: about.to_owned(), state: State::Ok, text: text.into(), advice: None }
    }

    fn warning(about: &str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Warning, advice: Some(advice.into()), ..Self::ok(about, text) }
    }

    fn problem(about: &str, text: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { state: State::Problem, advice: Some(advice.into()), ..Self::ok(about, text) }
    }

    /// What an error says that names what to do itself.
    fn error(about: &str, error: &dyn std::error::Error) -> Self {
        Self { state: State::Problem, ..Self::ok(about, error_chain(error)) }
    }

    fn line(&self) -> String {
        let word = match self.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Problem => "problem",
        };
        let advice = self.advice.as_deref().filter(|advice| !advice.is_empty());
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        format!("{word:7}  {}: {}\n", self.about, clean(&format!("{}{advice}", self.text)))
    }
}

/// What every look needs.
struct Room<'a> {
    config: &'a Config,
    outgoing: Option<&'a Outgoing>,
    clock: &'a Clock,
    /// The process that runs here.
    process: Option<&'a Status>,
}

pub(super) fn run(Doctor { configured, json: as_json }: &Doctor) -> Result<(), Failure> {
    let mut report = Report { as_json: *as_json, findings: Vec::new() };
    let loaded = match configured.load() {
        Ok(loaded) => loaded,
        Err(Failure::Config(problems)) => {
            for problem in problems.0 {
                let about = format!("configuration {}", problem.place);
                report.add(vec![Finding { state: State::Problem, ..Finding::ok(&about, problem.text) }])?;
            }
            return report.end();
        }
        Err(failure) => return Err(failure),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::Other(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(examine(&loaded, &Clock::system(), &mut report));
    // A look at a file system that hangs is not waited for.
    runtime.shutdown_background();
    result?;
    report.end()
}

async fn examine(Loaded { config, warnings }: &Loaded, clock: &Clock, report: &mut Report) -> Result<(), Failure> {
    report.add(here::configuration(config, warnings))?;
    report.add(here::keys(&config.keys.dir))?;
    let (process, found) = here::process(&Client::new(&config.ops.admin_socket.path)).await;
    report.add(vec![found])?;
    let outgoing = Outgoing::new(&config.outgoing);
    if let Err(error) = &outgoing {
        report.add(vec![Finding::error("outgoing", error)])?;
    }
    let room = Room { config, outgoing: outgoing.as_ref().ok(), clock, process: process.as_ref() };
    report.add(here::listeners(&room))?;
    let mut looks: FuturesOrdered<LocalBoxFuture<'_, Vec<Finding>>> = FuturesOrdered::new();
    looks.push_back(Box::pin(patiently("the directory database", here::directory(config))));
    for (id, connector) in &config.connectors {
        looks.push_back(Box::pin(patiently(format!("connectors.{id}"), connectors::look(&room, id, connector))));
    }
    for (id, app) in &config.apps {
        looks.push_back(Box::pin(patiently(format!("apps.{id}"), here::upstream(id, &app.upstream))));
    }
    while let Some(findings) = looks.next().await {
        report.add(findings)?;
    }
    Ok(())
}

/// Does `work`, and says what is waited for if it takes long.
async fn patiently<T>(what: impl std::fmt::Display, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    match tokio::time::timeout(PATIENCE, &mut work).await {
        Ok(done) => done,
        Err(_) => {
            // Nothing depends on it.
            drop(writeln!(std::io::stderr(), "waiting for {what} ..."));
            work.await
        }
    }
}

/// What was found, printed as it comes.
struct Report {
    as_json: bool,
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, findings: Vec<Finding>) -> Result<(), Failure> {
        if !self.as_json {
            print(&findings.iter().map(Finding::line).collect::<String>())?;
        }
        self.findings.extend(findings);
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        if self.as_json {
            print(&json(&self.findings)?)?;
        }
        match self.findings.iter().map(|finding| finding.state).max() {
            None | Some(State::Ok) => Ok(()),
            Some(State::Warning) => Err(Failure::Found(1)),
            Some(State::Problem) => Err(Failure::Found(2)),
        }
    }
}
