//! The command line.

mod check;
mod doctor;
mod document;
mod domain;
mod explain;
mod keys;
mod native;
mod reach;
mod readiness;
mod serve;
mod session;
mod show;
mod status;
mod switch;
mod table;
mod user;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config::{self, Loaded, Overrides, Problems};

/// An authentication sidecar: corporate sign-in in front of a legacy web application.
///
/// It stands between the internet and one or more applications, sends people who are not signed in to the identity
/// provider of their e-mail domain, and forwards their requests with identity headers.
#[derive(Parser)]
#[command(name = "anteroom", version, max_term_width = 100, arg_required_else_help = true)]
#[command(after_help = "Start with examples/anteroom.toml, and look at it work with `make demo`.")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// What the help of every command that reads the configuration ends with.
const PRECEDENCE: &str = "Every key can also come from the environment, over the file: ANTEROOM__SERVER__LISTEN sets \
    server.listen, ANTEROOM__APPS__PORTAL__UPSTREAM sets apps.portal.upstream. Flags win over both.\n\
    `anteroom config reference` lists every key; examples/anteroom.toml is a whole configuration to begin with.";

#[derive(Subcommand)]
enum Command {
    /// Run the proxy until SIGTERM or Ctrl-C.
    ///
    /// SIGTERM drains as Kubernetes expects: unready at once, connections taken for 5 s more, requests in flight
    /// finished for up to 20 s. Ctrl-C takes no more connections at once; a second one ends what is left.
    #[command(after_help = PRECEDENCE)]
    Serve(Configured),
    /// Judge the configuration as start-up would, and exit with 0 or 1. Writes, binds and fetches nothing.
    #[command(after_help = PRECEDENCE)]
    Check(Configured),
    /// Look whether this deployment works from here, and say what to do where it does not.
    ///
    /// Loads the configuration, looks at keys, database, addresses and the running process, fetches what the providers
    /// publish as sign-ins do, compares the clocks, and connects to the applications. Names certificates that expire
    /// within 30 days. Changes nothing, and prints no secret.
    #[command(after_help = doctor::EXAMPLES)]
    Doctor(Box<doctor::Doctor>),
    /// Compare the application's users with the provider's accounts before a domain is switched on.
    ///
    /// Reports addresses that will not match, duplicates whose owners will choose, programs whose user name is an
    /// address, users that the provider does not know, and who will meet the provider on which day.
    #[command(after_help = readiness::EXAMPLES)]
    Readiness(Box<readiness::Readiness>),
    /// Print what may stand in the configuration.
    Config {
        #[command(subcommand)]
        what: document::Document,
    },
    /// Show how the running process is: version, sessions, keys, what is switched off.
    #[command(after_help = format!("Example: anteroom status --config anteroom.toml\n\n{}", reach::WHERE))]
    Status(status::Status),
    /// List sessions, or end them.
    Session {
        #[command(subcommand)]
        what: session::Session,
    },
    /// List users, say who may sign in, or decide whose an address is.
    User {
        #[command(subcommand)]
        what: user::User,
    },
    /// List who uses the applications' own credentials.
    Native {
        #[command(subcommand)]
        what: native::Native,
    },
    /// Say why a request or a sign-in was answered as it was, by its reference.
    ///
    /// The reference stands on every page of Anteroom, in the X-Request-Id of every answer and in the log. Kept are
    /// sign-ins, challenges and refusals, for a time.
    #[command(after_help = format!("Example: anteroom explain --config anteroom.toml 5xR2p0aVbq\n\n{}", reach::WHERE))]
    Explain(explain::Explain),
    /// List the sealing and assertion keys, or make new ones.
    Keys {
        #[command(subcommand)]
        what: keys::Keys,
    },
    /// Show what a connector's registration needs, or switch it off or on again.
    Connector {
        #[command(subcommand)]
        what: switch::Connector,
    },
    /// Say whose people sign in at their provider, and from when; or undo it.
    Domain {
        #[command(subcommand)]
        what: domain::Domain,
    },
}

/// Where the configuration comes from: a file, `ANTEROOM__SECTION__KEY` variables over it, flags over both.
#[derive(Args)]
struct Configured {
    /// The configuration, TOML or YAML by its ending.
    #[arg(long, short, value_name = "FILE")]
    config: PathBuf,
    /// Sets one key over file and environment, as often as needed: `--set server.workers=2`.
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Sets server.listen: where requests are taken.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Sets server.public_url: the origin that browsers see.
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Sets ops.listen: where /livez, /readyz and /metrics are.
    #[arg(long, value_name = "ADDRESS:PORT")]
    ops_listen: Option<String>,
}

impl Configured {
    fn load(&self) -> Result<Loaded, Failure> {
        let mut flags = Overrides::default();
        for (flag, key, value) in [
            ("--listen", "server.listen", &self.listen),
            ("--public-url", "server.public_url", &self.public_url),
            ("--ops-listen", "ops.listen", &self.ops_listen),
        ] {
            if let Some(value) = value {
                flags.set(flag, key, value);
            }
        }
        for assignment in &self.set {
            flags
                .assign("--set", assignment)
                .map_err(|error| Failure::Usage(format!("--set {assignment}: {error}")))?;
        }
        config::load(Some(&self.config), config::environment(), &flags).map_err(Failure::Config)
    }
}

/// Why a command failed.
enum Failure {
    Usage(String),
    Config(Problems),
    Other(String),
    /// The command did its work, and its report says what is wrong. The exit code.
    Found(u8),
}

/// Runs the command line and gives the process's exit code: 0, 1 for a failure, 2 for a wrong call.
pub fn run() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(configured) => serve::run(&configured),
        Command::Check(configured) => check::run(&configured),
        Command::Doctor(asked) => doctor::run(&asked),
        Command::Readiness(asked) => readiness::run(&asked),
        Command::Config { what } => document::run(what),
        Command::Status(status) => status::run(&status),
        Command::Session { what } => session::run(&what),
        Command::User { what } => user::run(&what),
        Command::Native { what } => native::run(&what),
        Command::Explain(explain) => explain::run(&explain),
        Command::Keys { what } => keys::run(&what),
        Command::Connector { what } => switch::connector(&what),
        Command::Domain { what } => domain::run(&what),
    };
    let (code, text) = match result {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Found(code)) => return ExitCode::from(code),
        Err(Failure::Usage(text)) => (2, text),
        Err(Failure::Other(text)) => (1, text),
        Err(Failure::Config(problems)) => (1, problems_text(&problems)),
    };
    // Nothing is left to do where even this cannot be written.
    drop(writeln!(std::io::stderr(), "anteroom: {text}"));
    ExitCode::from(code)
}

/// Writes `text` to standard output.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.map_err(|error| Failure::Other(format!("cannot write: {error}")))
}

/// A value for programs.
fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value);
    text.map(|text| text + "\n").map_err(|error| Failure::Other(format!("cannot write: {error}")))
}

fn problems_text(problems: &Problems) -> String {
    let count = problems.0.len();
    let heading = match count {
        1 => "the configuration has a mistake:".to_owned(),
        _ => format!("the configuration has {count} mistakes:"),
    };
    format!("{heading}\n{problems}")
}
