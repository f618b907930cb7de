//! The providers: reached as sign-ins reach them, with what will expire and whose clock differs.

use std::time::Duration;

use url::Url;

use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::outgoing::{Limits, Outgoing};
use crate::config::{Connector, MetadataFrom, OidcConnector, RequestBinding, SamlConnector, SamlPreset};
use crate::connector::inspect::{self, CertificateFacts, DiscoveryFacts, MetadataFacts, OwnCertificate};
use crate::connector::{OidcProvider, ProviderError};
use crate::explain;

use super::super::show::said;
use super::super::table::{count, minute};
use super::{AHEAD, Finding, Room};

/// How far a provider's clock may be from ours before somebody should look: SAML allows 60 seconds, and clocks drift.
const CLOCK: Duration = Duration::from_secs(30);

/// The whole of the call that asks for the time.
const LIMITS: Limits = Limits { time: Duration::from_secs(10), body: 4 * 1024 * 1024 };

/// A polled document that is shorter lived than this has not been renewed lately.
const POLLED: Duration = Duration::from_secs(2 * 86_400);

pub(super) async fn look(room: &Room<'_>, id: &Id, connector: &Connector) -> Vec<Finding> {
    let about = format!("connectors.{id}");
    let Some(outgoing) = room.outgoing else {
        return vec![Finding::warning(&about, "not looked at", "repair outgoing first")];
    };
    match connector {
        Connector::Oidc(oidc) => of_oidc(room, outgoing, id, oidc, &about).await,
        Connector::Saml(saml) => of_saml(room, outgoing, id, saml, &about).await,
    }
}

async fn of_oidc(room: &Room<'_>, outgoing: &Outgoing, id: &Id, oidc: &OidcConnector, about: &str) -> Vec<Finding> {
    let redirect_uri = format!("{}{}", room.config.server.public_url.origin, oidc.callback_path);
    let provider = OidcProvider::new(id.clone(), oidc, Vec::new(), redirect_uri, outgoing.clone(), room.clock.clone());
    let mut findings = match provider.probe().await {
        Err(error) => vec![refused(about, "the provider's documents", &error)],
        Ok(DiscoveryFacts { issuer, keys: 0 }) => {
            let text = format!("{issuer} publishes no key that can verify a token");
            vec![Finding::problem(about, text, "nobody can sign in: ask the provider's administrator")]
        }
        Ok(DiscoveryFacts { issuer, keys }) => {
            let url = inspect::discovery_url(oidc);
            let ok = Finding::ok(about, format!("{issuer} answers, with {}", count(keys as u64, "key")));
            vec![ok, clock(room, outgoing, &url, about).await]
        }
    };
    match oidc.client_certificate.as_ref().map(inspect::client_certificate) {
        None => {}
        Some(Ok(facts)) => findings.extend(expiring(room, about, "client_certificate_file", &facts)),
        Some(Err(error)) => findings.push(refused(about, "client_certificate_file", &error)),
    }
    findings
}

async fn of_saml(room: &Room<'_>, outgoing: &Outgoing, id: &Id, saml: &SamlConnector, about: &str) -> Vec<Finding> {
    let insecure_http = room.config.outgoing.insecure_http;
    let read = inspect::saml_metadata(id, saml, insecure_http, outgoing.clone(), room.clock.clone());
    let mut findings = match read.await {
        Err(error) => vec![refused(about, "the provider's metadata", &error)],
        Ok(facts) => {
            let mut findings = of_metadata(room, saml, &facts, about);
            let asked = match &saml.metadata {
                MetadataFrom::Url(url) => Some(url.to_string()),
                // The file says nothing of the time; where people are sent does, if it is reached from here.
                MetadataFrom::File(_) => facts.sign_on.first().and_then(|(_, url)| root(url)),
            };
            if let Some(url) = asked {
                findings.push(clock(room, outgoing, &url, about).await);
            }
            findings
        }
    };
    match inspect::own_certificates(saml, &room.config.keys.dir) {
        Err(error) => findings.push(refused(about, "Anteroom's own keys", &error)),
        Ok(own) => {
            let all = [("signing", &own.signing), ("encryption", &own.decryption)];
            let next = own.next.iter().map(|next| ("next signing", next));
            for (what, OwnCertificate { file, certificate }) in all.into_iter().chain(next) {
                let what = format!("the {what} certificate {}", file.display());
                match certificate {
                    Some(facts) => findings.extend(expiring(room, about, &what, facts)),
                    None => findings.push(Finding::ok(about, format!("{what} is made at the first start"))),
                }
            }
        }
    }
    findings
}

fn of_metadata(room: &Room<'_>, saml: &SamlConnector, facts: &MetadataFacts, about: &str) -> Vec<Finding> {
    let MetadataFacts { entity_id, sign_on, certificates, unusable, valid_until, tenant, .. } = facts;
    let usable = certificates.len().saturating_sub(unusable.len()) as u64;
    let by: Vec<&str> = sign_on.iter().map(|(binding, _)| *binding).collect();
    let text = format!("{entity_id}, {}, sign-on by {}", count(usable, "signing key"), by.join(" and "));
    let mut findings = vec![Finding::ok(about, text)];
    let wanted = saml.request_binding.map(|binding| match binding {
        RequestBinding::Redirect => "redirect",
        RequestBinding::Post => "post",
    });
    if let Some(wanted) = wanted.filter(|wanted| !by.contains(wanted)) {
        let text = format!("request_binding is {wanted:?}, which the provider does not take");
        findings.push(Finding::problem(about, text, "leave it out"));
    }
    if let SamlPreset::Entra { allowed_tenants } = &saml.preset
        && allowed_tenants.is_empty()
        && tenant.is_none()
    {
        let text = "the entity id names no tenant (https://sts.windows.net/<tenant>/), so nobody may sign in";
        findings.push(Finding::problem(about, text, "set tenant_id, or take the metadata from Entra ID again"));
    }
    for (fingerprint, why) in unusable {
        let text = format!("the provider's certificate {fingerprint} cannot be used: {why}");
        findings.push(Finding::warning(about, text, "what it signs is refused: ask the provider's administrator"));
    }
    let now = room.clock.now();
    for CertificateFacts { fingerprint, not_after, .. } in certificates {
        if *not_after <= now.plus(AHEAD) {
            let (when, advice) = if *not_after <= now {
                ("expired", "what it signs is still accepted; see that the metadata here is the provider's newest")
            } else {
                (
                    "expires",
                    "the provider will sign with another: have its new metadata before that, or use metadata_url",
                )
            };
            let text = format!("the provider's certificate {fingerprint} {when} {} UTC", minute(&not_after.rfc3339()));
            findings.push(Finding::warning(about, text, advice));
        }
    }
    let ahead = if matches!(saml.metadata, MetadataFrom::Url(_)) { POLLED } else { AHEAD };
    if let Some(until) = valid_until.filter(|until| *until <= now.plus(ahead)) {
        let text = format!("the provider's metadata expires {} UTC", minute(&until.rfc3339()));
        findings.push(Finding::warning(
            about,
            text,
            "after that nobody can sign in with it: take it from the provider again",
        ));
    }
    findings
}

/// A certificate of ours.
fn expiring(room: &Room<'_>, about: &str, what: &str, facts: &CertificateFacts) -> Option<Finding> {
    let (now, not_after) = (room.clock.now(), facts.not_after);
    let when = if not_after <= now { "expired" } else { "expires" };
    let text = format!("{what} {when} {} UTC", minute(&not_after.rfc3339()));
    let advice = "make another, and register it at the provider before it is used";
    (not_after <= now.plus(AHEAD)).then(|| Finding::warning(about, text, advice))
}

fn refused(about: &str, what: &str, error: &ProviderError) -> Finding {
    let mut text = format!("{what}: {}", said(error));
    // The last of the causes: that nobody listens, that a name is not known, that a certificate is refused.
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    if let Some(cause) = causes.last().map(ToString::to_string).filter(|cause| !text.contains(cause.as_str())) {
        text.push_str(&format!(": {cause}"));
    }
    Finding::problem(about, text, explain::advice(error.reason()))
}

/// Compares the clocks by the `Date` of an answer, of whatever kind.
async fn clock(room: &Room<'_>, outgoing: &Outgoing, url: &str, about: &str) -> Finding {
    let began = room.clock.now();
    let answer = outgoing.get(url, "*/*", LIMITS).await;
    let host = Url::parse(url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    match answer.map(|answer| answer.date) {
        Ok(Some(date)) => compared(began, room.clock.now(), date, &host, about),
        Ok(None) => Finding::ok(about, format!("{host} does not tell its time")),
        Err(_) => Finding::ok(about, format!("{host} cannot be reached from here, so its time is not known")),
    }
}

/// `date` is in whole seconds, and was read somewhere between `began` and `ended`.
fn compared(began: Timestamp, ended: Timestamp, date: Timestamp, host: &str, about: &str) -> Finding {
    const SECOND: Duration = Duration::from_secs(1);
    let (behind, ahead) = (began.since(date.plus(SECOND)), date.since(ended));
    let (difference, way) = if behind > ahead { (behind, "behind") } else { (ahead, "ahead of") };
    if difference <= CLOCK {
        return Finding::ok(about, format!("the clock of {host} agrees with this machine's"));
    }
    let text = format!("the clock of {host} is {} s {way} this machine's", difference.as_secs());
    Finding::warning(about, text, "sign-ins fail from 60 s on: both machines need time synchronisation")
}

/// The first page of a URL's origin.
fn root(url: &str) -> Option<String> {
    Some(format!("{}/", Url::parse(url).ok()?.origin().ascii_serialization()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State;

    #[test]
    fn clocks_that_differ_by_more_than_half_a_minute_are_a_warning() {
        let now = Timestamp::from_secs(1_800_000_000);
        let second = Duration::from_secs(1);
        let state = |began: Timestamp, took: Duration, date: Timestamp| {
            compared(began, began.plus(took), date, "idp.example.com", "connectors.a").state
        };
        for (date, expected) in [
            (now, State::Ok),
            (now.plus(31 * second), State::Warning),
            (now.plus(30 * second), State::Ok),
            (now.minus(31 * second), State::Ok),
            (now.minus(32 * second), State::Warning),
            (now.minus(86_400 * second), State::Warning),
        ] {
            assert_eq!(state(now, Duration::ZERO, date), expected, "{date:?}");
        }
        // An answer that was long on its way says less.
        assert_eq!(state(now, 10 * second, now.plus(40 * second)), State::Ok);
        assert_eq!(state(now, 10 * second, now.plus(41 * second)), State::Warning);
        let found = compared(now, now, now.plus(90 * second), "idp.example.com", "connectors.a");
        assert_eq!(found.text, "the clock of idp.example.com is 90 s ahead of this machine's");
    }
}
