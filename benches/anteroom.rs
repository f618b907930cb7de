//! Anteroom as the benchmark runs it: the product's data and control plane, with any number of sessions in its cache.
//! Signing a million people in through a provider would take longer than everything that is measured.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anteroom::app::{self, Assembled, Environment};
use anteroom::base::clock::Clock;
use anteroom::base::email::EmailAddress;
use anteroom::base::id::Id;
use anteroom::base::log::Log;
use anteroom::base::role::Role;
use anteroom::config;
use anteroom::identity::Identity;
use anteroom::identity::headers::AuthMethod;
use anteroom::session::{Cookies, Session};
use clap::Parser;

/// Cookies written, spread over all sessions.
const COOKIES: usize = 20_000;

#[derive(Parser)]
struct Flags {
    /// The configuration file.
    #[arg(long)]
    config: PathBuf,
    /// How many people are signed in.
    #[arg(long)]
    sessions: usize,
    /// Where the cookies of 20,000 of them go, `name=value`, one a line.
    #[arg(long)]
    cookies: PathBuf,
}

type Problem = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Problem> {
    let flags = Flags::parse();
    let loaded = config::load(Some(&flags.config), std::iter::empty(), &config::Overrides::default())
        .map_err(|problems| format!("{problems:?}"))?;
    let environment = Environment { clock: Clock::system(), log: Log::stdout()?, directory: None };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let assembled = app::assemble(&loaded.config, &environment)?;
        let cookies = Cookies::new(&loaded.config.server.public_url, &loaded.config.sessions);
        let connector = loaded.config.connectors.keys().next().ok_or("no connector is configured")?;
        sign_in(&assembled, &flags, &environment.clock, connector, cookies.session_name())?;
        // Listening tells the driver that all sessions are there.
        let mut running = app::start_assembled(&loaded.config, assembled).await?;
        running.ended().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Makes the sessions and writes the cookies; keeps nothing else.
fn sign_in(assembled: &Assembled, flags: &Flags, clock: &Clock, connector: &Id, cookie: &str) -> Result<(), Problem> {
    let Flags { sessions, cookies, .. } = flags;
    #[expect(clippy::disallowed_methods, reason = "writes a file before anything listens; no part of the product")]
    let mut file = std::io::BufWriter::new(std::fs::File::create(cookies)?);
    let every = (*sessions / COOKIES).max(1);
    let shared = &assembled.shared;
    for number in 0..*sessions {
        let identity = person(number, connector)?;
        let headers = shared.plan.ready(&identity, AuthMethod::Oidc)?;
        let id = shared.sessions.insert(Session::start(&identity, headers, None, clock));
        if number % every == 0 && number / every < COOKIES {
            writeln!(file, "{cookie}={}", id.cookie_value())?;
        }
    }
    // Counting runs what moka has put off: the housekeeping of inserting belongs to no request.
    let held = shared.sessions.count();
    if held != u64::try_from(*sessions)? {
        return Err(format!("{held} sessions are held, not {sessions}").into());
    }
    Ok(file.flush()?)
}

/// What an Entra tenant says of somebody: `tid` and `oid` as subject (73 characters), an address of 25, two groups, a role.
fn person(number: usize, connector: &Id) -> Result<Identity, Problem> {
    let subject = format!("7c1f2a9e-4b53-4d0e-9a86-2f5c0d7be311.00000000-0000-4000-8000-{number:012x}");
    let email: EmailAddress = format!("person.{number:08}@acme.test").parse()?;
    Ok(Identity {
        connector: connector.clone(),
        subject,
        preferred_username: Some(email.as_str().to_owned()),
        email,
        name: Some(format!("Person Number {number:07}")),
        groups: vec!["staff".to_owned(), "finance".to_owned()],
        role: Some(if number % 100 == 0 { Role::Admin } else { Role::User }),
    })
}
