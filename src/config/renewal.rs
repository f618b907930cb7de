//! How the sessions of a connector are renewed at the provider: `renewal`, `renewal_interval`, and the scopes that it
//! takes.

use std::time::Duration;

use super::connector_values::SCOPE;
use super::kinds::Kind;
use super::parse::{Context, duplicate, duration, wrong};
use super::problem::Place;
use super::read::{At, Field};
use super::words::{Choice, Word};

/// How the sessions of a connector are renewed at the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// In the background, with the refresh token, if the provider gave one (RFC 6749 section 6).
    Refresh,
    /// On a navigation, by a redirect to the provider that shows nothing (`prompt=none`).
    PromptNone {
        /// At most this often; 1 m to 1 d, default 15 m.
        interval: Duration,
    },
    /// Not at all: a session runs to its limits.
    Off,
}

/// The words of `renewal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Refresh,
    PromptNone,
    Off,
}

impl Word for Mode {
    const WORDS: &'static [(&'static str, Self)] =
        &[("refresh", Self::Refresh), ("prompt-none", Self::PromptNone), ("off", Self::Off)];
}

const INTERVAL: Duration = Duration::from_secs(900);
const MIN: Duration = Duration::from_secs(60);
const MAX: Duration = Duration::from_secs(86_400);

/// The scope that asks for a refresh token (OpenID Connect Core section 11).
const OFFLINE_ACCESS: &str = "offline_access";

pub(super) fn resolve(
    kind: Option<Kind>,
    mode: Field<Choice<Mode>>,
    interval: Field<String>,
    cx: &mut Context<'_>,
) -> Option<Renewal> {
    let default = if kind == Some(Kind::Google) { Mode::Off } else { Mode::Refresh };
    let mode = mode.word_or(default);
    if let (Some(at), Some(Mode::Refresh | Mode::Off)) = (interval.set(), mode) {
        let text = "has no effect: it belongs to renewal = \"prompt-none\"; remove it, or write that";
        cx.report.problem(&at.place, text);
    }
    let interval = interval.parse(cx.report, |text| duration(text, MIN, MAX)).or(INTERVAL);
    let (mode, interval) = (mode?, interval?);
    Some(match mode {
        Mode::Refresh => Renewal::Refresh,
        Mode::PromptNone => Renewal::PromptNone { interval },
        Mode::Off => Renewal::Off,
    })
}

/// The scopes (RFC 6749 section 3.3), with what the renewal needs.
///
/// Entra gives a refresh token for `offline_access` alone, and asks people for it with the first consent whether it is
/// in the request or not. Of other providers some refuse the scope (Google), some show a consent page for it
/// (oidc-provider), and Keycloak gives a refresh token without it, and with it one that outlives the sign-out. So it is
/// a default for Entra alone.
pub(super) fn scopes(
    kind: Option<Kind>,
    renewal: Option<Renewal>,
    raw: Field<Vec<At<String>>>,
    place: &Place,
    cx: &mut Context<'_>,
) -> Option<Vec<String>> {
    let scopes = raw.parse_each(cx.report, |text| {
        let allowed = |b: u8| matches!(b, 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
        if !text.is_empty() && text.bytes().all(allowed) { Ok(text.clone()) } else { Err(wrong(text, SCOPE)) }
    });
    let items = scopes.set().map(|at| at.value.as_slice()).unwrap_or_default();
    if let Some(twice) = duplicate(items) {
        cx.report.problem(&twice.place, format!("found {:?} twice; once is enough", twice.value));
    }
    let offline = items.iter().find(|at| at.value == OFFLINE_ACCESS);
    match (kind, renewal) {
        (Some(Kind::Google), _) => {
            if let Some(at) = offline {
                let text = "Google refuses this scope; write renewal = \"refresh\" for a refresh token";
                cx.report.problem(&at.place, text);
            }
        }
        (Some(Kind::Entra), Some(Renewal::Refresh)) if scopes.is_written() && offline.is_none() => {
            let text = "Entra ID gives a refresh token for the scope \"offline_access\" alone, so sessions are not \
                        renewed; add it, or write renewal = \"off\"";
            cx.report.warn(scopes.set().map_or(place, |at| &at.place), text);
        }
        _ => {}
    }
    let mut scopes = scopes.values_or(|| {
        let renewed = kind == Some(Kind::Entra) && renewal == Some(Renewal::Refresh);
        let more = renewed.then_some(OFFLINE_ACCESS);
        ["openid", "profile", "email"].into_iter().chain(more).map(String::from).collect()
    })?;
    if scopes.iter().all(|scope| scope != "openid") {
        scopes.insert(0, String::from("openid"));
    }
    Some(scopes)
}
