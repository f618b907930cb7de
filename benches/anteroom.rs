//! Anteroom as the benchmark runs it: the product's data and control plane, with any number of sessions in its cache.
//! Signing a million people in through a provider would take longer than everything that is measured.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anteroom::app::{self, Assembled, Environment};
use anteroom::base::clock::Clock;
use anteroom::base::email::EmailAddress;
use anteroom::base::id::Id;
use anteroom::base::log::Log;
use anteroom::base::random;
use anteroom::base::role::Role;
use anteroom::config::{self, Config};
use anteroom::directory::{Linking, SessionRow};
use anteroom::identity::Identity;
use anteroom::identity::headers::AuthMethod;
use anteroom::session::{Cookies, NewSession, ProviderTokens, SessionId};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Parser;
use secrecy::SecretString;
use uuid::Uuid;

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
    /// So many people more, of the connectors `renewed-…` in turn: in the directory too, with tokens that are due. Their
    /// cookies come first.
    #[arg(long, default_value_t = 0)]
    renewed: usize,
}

type Problem = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, Problem> {
    let flags = Flags::parse();
    let loaded = config::load(Some(&flags.config), std::iter::empty(), &config::Overrides::default())
        .map_err(|problems| format!("{problems:?}"))?;
    let environment = Environment { clock: Clock::system(), log: Log::stdout()?, directory: None };
    app::control_runtime()?.block_on(async {
        let assembled = app::assemble(&loaded.config, &environment).await?;
        let cookies = Cookies::new(&loaded.config.server.public_url, &loaded.config.sessions);
        let connector = loaded.config.connectors.keys().next().ok_or("no connector is configured")?;
        let host = &loaded.config.server.public_url.host;
        let cookie = cookies.session_name(host);
        let mut lines = with_tokens(&assembled, &flags, &environment.clock, &loaded.config, cookie).await?;
        lines += &sign_in(&assembled, &flags, &environment.clock, connector, host, cookie)?;
        tokio::fs::write(&flags.cookies, lines).await?;
        // Listening tells the driver that all sessions are there.
        let mut running = app::start_assembled(&loaded.config, assembled).await?;
        running.ended().await?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Makes sessions in memory alone; the lines with their cookies.
fn sign_in(
    assembled: &Assembled,
    flags: &Flags,
    clock: &Clock,
    connector: &Id,
    host: &str,
    cookie: &str,
) -> Result<String, Problem> {
    let mut lines = String::new();
    let every = (flags.sessions / COOKIES).max(1);
    let shared = &assembled.shared;
    let scope = shared.sessions.scope(host).ok_or("the host is not Anteroom's")?;
    for number in 0..flags.sessions {
        let id = SessionId::generate();
        shared.sessions.keep(&id.key(), &row(person(number, connector)?, clock), scope)?;
        if number % every == 0 && number / every < COOKIES {
            writeln!(lines, "{cookie}={}", id.cookie_value())?;
        }
    }
    // Counting runs what moka has put off: the housekeeping of inserting belongs to no request.
    let held = shared.sessions.count();
    if held != u64::try_from(flags.sessions + flags.renewed)? {
        return Err(format!("{held} sessions are held, not {} and {}", flags.sessions, flags.renewed).into());
    }
    Ok(lines)
}

/// Makes sessions with tokens of `benches/provider.rs`; the lines with their cookies.
async fn with_tokens(
    assembled: &Assembled,
    flags: &Flags,
    clock: &Clock,
    config: &Config,
    cookie: &str,
) -> Result<String, Problem> {
    let mut lines = String::new();
    let renews = |id: &Id| id.as_str().starts_with("renewed-");
    let connectors = config.connectors.iter().filter_map(|(id, connector)| Some((id, connector.oidc()?)));
    let connectors: Vec<_> = connectors.filter(|(id, _)| renews(id)).collect();
    let shared = &assembled.shared;
    let scope = shared.sessions.scope(&config.server.public_url.host).ok_or("the host is not Anteroom's")?;
    for number in 0..flags.renewed {
        let (id, connector) = connectors.get(number % connectors.len()).ok_or("no connector renews")?;
        let email: EmailAddress = format!("person@{id}.example").parse()?;
        let identity = Identity { subject: format!("person-{id}"), email, ..person(number, id)? };
        // Only its claims are read again: no signature.
        let issuer = connector.issuer.as_str();
        let claims = serde_json::json!({ "iss": issuer, "aud": "bench", "sub": identity.subject });
        let id_token = format!("e30.{}.", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let tokens = ProviderTokens {
            name_id: None,
            id_token: Some(SecretString::from(id_token)),
            refresh_token: Some(SecretString::from(format!("first-refresh-token-{number}"))),
        };
        let row = SessionRow { renew_at: Some(clock.now()), ..row(identity, clock) };
        let begun = shared.sessions.create(NewSession { row, tokens, linking: Linking::default() }, scope).await?;
        writeln!(lines, "{cookie}={}", begun.id.cookie_value())?;
    }
    Ok(lines)
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

/// A session of a provider that said nothing but who somebody is, and gave no refresh token.
fn row(identity: Identity, clock: &Clock) -> SessionRow {
    SessionRow {
        user: identity.user_id(),
        native: Vec::new(),
        reference: Uuid::from_bytes(random::bytes()),
        provider_sub: identity.subject.clone(),
        identity,
        auth: AuthMethod::Oidc,
        provider_sid: None,
        auth_time: None,
        acr: None,
        amr: vec![],
        created_at: clock.now(),
        last_used: clock.now(),
        renew_at: None,
        ends_at: None,
        secrets: None,
        version: 0,
        born: 0,
    }
}
