//! `acs_url`: where a provider posts its responses.

use super::connector_resolve::Surroundings;
use super::parse::{Context, fixed_path, web_url, wrong};
use super::read::Field;
use super::saml::AcsUrl;
use super::server;
use crate::base::id::Id;

const ACS_URL: &str = "allowed: a URL with a path, such as \"https://login.example.com/saml2/acs\"";

/// `None`: reported, here or where the default comes from.
pub(super) fn resolve(raw: Field<String>, id: &Id, around: &Surroundings<'_>, cx: &mut Context<'_>) -> Option<AcsUrl> {
    let default_path = around.prefix.map(|prefix| format!("{prefix}/saml/{id}/acs"));
    let parsed = raw.parse(cx.report, |text| acs_url(text, default_path.as_deref().unwrap_or_default(), around));
    match parsed.optional()? {
        Some(acs) => Some(acs),
        None => {
            let (host, path) = (around.public_url?.clone(), default_path?);
            Some(AcsUrl { url: format!("{}{path}", host.origin), host, path })
        }
    }
}

fn acs_url(text: &str, default_path: &str, around: &Surroundings<'_>) -> Result<AcsUrl, String> {
    let url = web_url(text, ACS_URL)?;
    let origin = url.origin().ascii_serialization();
    let host = server::public_url(&origin).map_err(|_| wrong(text, ACS_URL))?;
    if !host.secure_cookies() {
        let why = "responses are posted across sites, and browsers keep the cookie of such a sign-in over https alone";
        return Err(wrong(text, &format!("plain http off loopback: {why}; allowed: https")));
    }
    // As written, not as a URL parser would repair it: the provider posts to what is registered.
    let path = text.splitn(4, '/').nth(3).map_or_else(|| String::from("/"), |rest| format!("/{rest}"));
    fixed_path(&path).map_err(|_| wrong(text, ACS_URL))?;
    if let Some(known) = around.origin_of(&host.host).filter(|known| *known != origin) {
        let allowed = "a host has one origin; allowed: that one, or another host";
        return Err(wrong(text, &format!("that host has the origin {known:?} already; {allowed}")));
    }
    around.check_own_path(text, &path, Some(&host.host), default_path)?;
    Ok(AcsUrl { url: text.to_owned(), host, path })
}
