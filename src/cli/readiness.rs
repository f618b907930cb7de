//! `anteroom readiness`: before a domain is switched on, what will happen to each of the application's users.

use std::fs::File;
use std::io::{BufWriter, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::base::app_log::error_chain;
use crate::base::clock::{Clock, Timestamp};
use crate::base::email::EmailDomain;
use crate::config::{self, Config, Connector, ConnectorKind, Overrides, SamlPreset};
use crate::readiness::{
    Accounts, Asserted, Columns, DateOrder, Lists, Question, ReadError, Report, compare, read_accounts, write_csv,
    write_json, write_table,
};

use super::{Failure, problems_text};

pub(super) const EXAMPLES: &str = "\
Examples:
  anteroom readiness acme.com --users users.csv --provider exportUsers.csv --kind entra
  anteroom readiness acme.com --users users.csv --provider exportUsers.csv --config anteroom.toml
  anteroom readiness acme.com --users users.csv --column email=\"Login name\" --column session_ends=
  anteroom readiness acme.com --users users.csv --provider users.csv --kind google --format csv > findings.csv

Lists are comma-, semicolon- or tab-separated with a header, in UTF-8 or UTF-16. Of the application's users:
  email (required); id, username, account, kind (person, api), authentication, session_ends, last_sign_in,
  status, blocked.
Of the provider's accounts, as exported by Entra (\"Download users\", Get-MgUser), Microsoft 365, Google
Workspace or others:
  upn (required for entra), mail (required for the others), aliases, login, type (guest), status, blocked.
The usual titles are known; --column and --provider-column name others, as WHAT=TITLE or WHAT=#NUMBER; WHAT= leaves
a column out. docs/readiness.md says how to export them, and what each finding means.

Exit code: 0 nothing blocks, 1 something does, 2 wrong call or unreadable list. Lists are personal data: they are read
here, sent nowhere and logged nowhere.";

/// What `anteroom readiness` is asked.
#[derive(Args)]
pub(super) struct Readiness {
    /// The e-mail domain that is to be switched on.
    domain: String,
    /// The application's users, a CSV file.
    #[arg(long, value_name = "FILE")]
    users: PathBuf,
    /// The provider's accounts, a CSV file. Without it only the application's own list is judged.
    #[arg(long, value_name = "FILE")]
    provider: Option<PathBuf>,
    /// Takes the domain's connector and the session limits from this configuration.
    #[arg(long, short, value_name = "FILE", conflicts_with = "kind")]
    config: Option<PathBuf>,
    /// The provider's kind, where there is no configuration yet.
    #[arg(long)]
    kind: Option<Kind>,
    /// Names a column of the application's list, as often as needed.
    #[arg(long, value_name = "WHAT=TITLE")]
    column: Vec<String>,
    /// Names a column of the provider's list, as often as needed.
    #[arg(long, value_name = "WHAT=TITLE")]
    provider_column: Vec<String>,
    /// Lists who meets the provider on one of so many days, from today (UTC).
    #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(u16).range(1..=366))]
    days: u16,
    /// How long a session lasts after a sign-in, for lists without session_ends. Default: that of the configuration, else 7d.
    #[arg(long, value_name = "DURATION")]
    absolute_timeout: Option<String>,
    /// The time of the check, such as 2026-01-31 or 2026-01-31T09:30:00Z (UTC). Default: now.
    #[arg(long, value_name = "TIME")]
    as_of: Option<String>,
    /// How dates with slashes are written: 31/01/2026 or 01/31/2026.
    #[arg(long)]
    dates: Option<Dates>,
    /// The application does not tell upper from lower case in addresses: such a difference does not block.
    #[arg(long)]
    ignore_case: bool,
    /// Rows that the table shows of each kind of finding.
    #[arg(long, default_value_t = 20)]
    rows: usize,
    /// The report: for people, for a spreadsheet, or for a program.
    #[arg(long, default_value = "table")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Kind {
    /// Microsoft Entra ID, one tenant: the UPN of members.
    Entra,
    /// Google Workspace: the primary address.
    Google,
    /// Another OpenID provider: the e-mail address.
    Oidc,
    /// A SAML provider: the mapped e-mail address.
    Saml,
}

#[derive(Clone, Copy, ValueEnum)]
enum Dates {
    /// Day, month, year.
    Dmy,
    /// Month, day, year.
    Mdy,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// At most 100 columns wide.
    Table,
    /// Every finding, one a row.
    Csv,
    /// Everything.
    Json,
}

pub(super) fn run(asked: &Readiness) -> Result<(), Failure> {
    let clock = Clock::system();
    let question = asked.question(&clock)?;
    let columns =
        |result: Result<Columns, _>, flag: &str| result.map_err(|error| Failure::Usage(format!("{flag}: {error}")));
    let of_users = columns(Columns::of_users(asked.column.iter().map(String::as_str)), "--column")?;
    let of_accounts =
        columns(Columns::of_accounts(asked.provider_column.iter().map(String::as_str)), "--provider-column")?;
    let accounts: Option<Accounts> = match &asked.provider {
        None => None,
        Some(file) => {
            Some(read(file, &clock, |input, progress| read_accounts(input, &of_accounts, &question, progress))?)
        }
    };
    let report =
        read(&asked.users, &clock, |input, progress| compare(input, &of_users, accounts, &question, progress))?;
    asked.print(&report).map_err(|error| Failure::Usage(format!("cannot write the report: {error}")))?;
    if report.blocks() { Err(Failure::Found(1)) } else { Ok(()) }
}

impl Readiness {
    fn question(&self, clock: &Clock) -> Result<Question, Failure> {
        let usage = |text: String| Failure::Usage(text);
        let domain: EmailDomain = self
            .domain
            .parse()
            .map_err(|_| usage(format!("{:?} is no e-mail domain; write it as in acme.com", self.domain)))?;
        let config = self.config.as_deref().map(load).transpose()?;
        let (asserted, also) = match (&config, self.kind) {
            (Some(config), _) => connector_of(config, &domain)?,
            (None, Some(kind)) => (kind.asserted(), Vec::new()),
            (None, None) if self.provider.is_none() => (Kind::Oidc.asserted(), Vec::new()),
            (None, None) => {
                let text = "--provider needs --config FILE or --kind entra|google|oidc|saml: each asserts another \
                            address";
                return Err(usage(text.to_owned()));
            }
        };
        let absolute_timeout = match (&self.absolute_timeout, &config) {
            (Some(text), _) => duration(text).ok_or_else(|| {
                usage(format!("--absolute-timeout: found {text:?}; allowed: a length of time such as 12h or 7d"))
            })?,
            (None, Some(config)) => config.sessions.absolute_timeout,
            (None, None) => Duration::from_secs(7 * 86_400),
        };
        let now = match &self.as_of {
            None => clock.now(),
            Some(text) => moment(text).ok_or_else(|| {
                usage(format!("--as-of: found {text:?}; allowed: a time such as 2026-01-31T09:30:00Z"))
            })?,
        };
        Ok(Question {
            domain,
            also,
            asserted,
            days: self.days,
            absolute_timeout,
            now,
            ignore_case: self.ignore_case,
            dates: self.dates.map(|dates| match dates {
                Dates::Dmy => DateOrder::DayFirst,
                Dates::Mdy => DateOrder::MonthFirst,
            }),
        })
    }

    fn print(&self, report: &Report) -> std::io::Result<()> {
        let mut out = BufWriter::new(std::io::stdout().lock());
        let (users, provider) = (name(&self.users), self.provider.as_deref().map(name));
        match self.format {
            Format::Table => {
                let lists = Lists { users: &users, provider: provider.as_deref() };
                write_table(report, lists, self.rows, &mut out)?;
            }
            Format::Csv => write_csv(report, &mut out)?,
            Format::Json => write_json(report, &mut out)?,
        }
        out.flush()
    }
}

impl Kind {
    const fn asserted(self) -> Asserted {
        match self {
            Self::Entra => Asserted::UserPrincipalName,
            Self::Google => Asserted::Primary,
            Self::Oidc | Self::Saml => Asserted::Email { claim: None },
        }
    }
}

fn load(file: &Path) -> Result<Config, Failure> {
    let loaded = config::load(Some(file), config::environment(), &Overrides::default());
    // A configuration that is wrong is an unreadable input here: 1 would say that something was found.
    loaded.map(|loaded| loaded.config).map_err(|problems| Failure::Usage(problems_text(&problems)))
}

/// What the domain's connector asserts, and the other domains that it may.
fn connector_of(config: &Config, domain: &EmailDomain) -> Result<(Asserted, Vec<EmailDomain>), Failure> {
    let found =
        config.domains.get(domain).and_then(|entry| Some((&entry.connector, config.connectors.get(&entry.connector)?)));
    let Some((id, connector)) = found else {
        let text = format!("the configuration has no [domains.\"{domain}\"]; add it, or say --kind without --config");
        return Err(Failure::Usage(text));
    };
    let also = config.domains.iter().filter(|(name, entry)| entry.connector == *id && *name != domain);
    Ok((asserted(connector), also.map(|(name, _)| name.clone()).collect()))
}

fn asserted(connector: &Connector) -> Asserted {
    let connector = match connector {
        Connector::Oidc(oidc) => oidc,
        Connector::Saml(saml) => {
            let written = saml.attributes.email.first().map(String::as_str);
            return match (&saml.preset, written) {
                // The preset's order, and the claims that hold the user name until somebody changes that.
                (SamlPreset::Entra { .. }, None) => Asserted::UserPrincipalName,
                (SamlPreset::Entra { .. }, Some(name))
                    if name.ends_with("/claims/upn") || name.ends_with("/claims/name") =>
                {
                    Asserted::UserPrincipalName
                }
                (SamlPreset::Entra { .. }, Some(_)) => Asserted::EntraEmail,
                (SamlPreset::Google { .. }, _) => Asserted::Primary,
                _ => Asserted::Email { claim: None },
            };
        }
    };
    let claim = connector.email_claim.as_deref();
    match &connector.kind {
        // The rule of sign-in: only of one tenant is the user name taken for verified.
        ConnectorKind::Entra { allowed_tenants, .. } if allowed_tenants.len() > 1 || claim == Some("email") => {
            Asserted::EntraEmail
        }
        ConnectorKind::Entra { .. } => Asserted::UserPrincipalName,
        ConnectorKind::Google { .. } => Asserted::Primary,
        ConnectorKind::Oidc { .. } => Asserted::Email { claim: claim.map(str::to_owned) },
    }
}

fn duration(text: &str) -> Option<Duration> {
    let span: jiff::Span = text.trim().parse().ok()?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    Duration::try_from(length).ok().filter(|length| !length.is_zero() && length.as_secs() <= 365 * 86_400)
}

fn moment(text: &str) -> Option<Timestamp> {
    let utc = |at: jiff::civil::DateTime| Some(at.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp());
    let at = text.parse().ok().or_else(|| utc(text.parse().ok()?))?;
    Some(Timestamp::from_millis(jiff::Timestamp::as_millisecond(at)))
}

fn name(file: &Path) -> String {
    file.file_name().map_or_else(|| file.display().to_string(), |name| name.to_string_lossy().into_owned())
}

/// Opens a list and reads it, with progress on stderr once it takes longer than a second.
fn read<T>(
    file: &Path,
    clock: &Clock,
    read: impl FnOnce(File, &mut dyn FnMut(u64)) -> Result<T, ReadError>,
) -> Result<T, Failure> {
    let unreadable =
        |error: &dyn std::error::Error| Failure::Usage(format!("{}: {}", file.display(), error_chain(error)));
    let input = File::open(file).map_err(|error| unreadable(&ReadError::Io(error)))?;
    let mut progress = Progress { clock, last: clock.elapsed(), shown: false, name: name(file) };
    let result = read(input, &mut |rows| progress.tell(rows));
    progress.end();
    result.map_err(|error| unreadable(&error))
}

struct Progress<'c> {
    clock: &'c Clock,
    last: Duration,
    shown: bool,
    name: String,
}

impl Progress<'_> {
    fn tell(&mut self, rows: u64) {
        let now = self.clock.elapsed();
        if now.saturating_sub(self.last) < Duration::from_secs(1) {
            return;
        }
        self.last = now;
        self.shown = true;
        let mut err = std::io::stderr();
        // One line that moves where somebody watches, a line a second where it goes to a file. Nothing depends on it.
        let (before, after) = if err.is_terminal() { ("\r", "") } else { ("", "\n") };
        drop(write!(err, "{before}{}: {rows} rows read{after}", self.name));
        drop(err.flush());
    }

    fn end(&self) {
        if self.shown && std::io::stderr().is_terminal() {
            drop(writeln!(std::io::stderr()));
        }
    }
}
