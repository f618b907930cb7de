//! How single values of a connector are read.

use std::error::Error as _;

use url::Url;

use super::parse::{Context, web_url, wrong};
use super::problem::{Place, list, quoted};
use super::read::Field;
use crate::base::client_certificate::{ClientCertificate, Signing};

pub(super) const ISSUER: &str = "allowed: the provider's issuer, such as \"https://idp.example.com/realms/acme\"";
pub(super) const SCOPE: &str = "allowed: scopes without blanks or quotes, each an item of the list";
const DISCOVERY: &str = "/.well-known/openid-configuration";

/// An issuer (OpenID Connect Discovery 1.0 section 3) without its trailing slash.
pub(super) fn issuer_url(text: &str) -> Result<Url, String> {
    if let Some((issuer, _)) = text.split_once(DISCOVERY) {
        return Err(wrong(text, &format!("that is the discovery document; allowed: the issuer, {}", quoted(issuer))));
    }
    let mut url = web_url(text, ISSUER)?;
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

/// `prompt` values of OpenID Connect Core 3.1.2.1, but `none`: it forbids the provider to show a sign-in page.
pub(super) fn prompt(text: &str) -> Result<String, String> {
    let known = ["login", "consent", "select_account"];
    if text.split(' ').all(|word| known.contains(&word)) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, &format!("allowed: {}, or several with one blank between", list(known))))
}

/// Text that is not empty, not too long, and without characters that nobody can see.
pub(super) fn plain_text(text: &str, max: usize) -> Result<String, String> {
    let count = text.chars().count();
    if text.trim() == text && (1..=max).contains(&count) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(wrong(text, &format!("allowed: 1 to {max} characters on one line, without blanks at the ends")))
}

/// The names of a certificate's setting and of its key's.
pub(super) type Names = (&'static str, &'static str);
pub(super) const CLIENT_CERTIFICATE: Names = ("client_certificate_file", "client_key_file");

/// A certificate and its key, which must fit now. `Some(None)`: there is none; `None`: reported.
pub(super) fn certificate_and_key(
    certificate: Field<String>,
    key: Field<String>,
    names: Names,
    place: &Place,
    cx: &mut Context<'_>,
) -> Option<Option<ClientCertificate>> {
    let (certificate_name, key_name) = names;
    let (certificate, key) = (cx.path(certificate), cx.path(key));
    let (certificate, key) = match (certificate, key) {
        (Field::Absent, Field::Absent) => return Some(None),
        (Field::Invalid, _) | (_, Field::Invalid) => return None,
        (Field::Set(certificate), Field::Set(key)) => (certificate, key),
        (Field::Set(_), Field::Absent) => {
            cx.report.problem(&place.child(key_name), "missing; allowed: the file of the certificate's key");
            return None;
        }
        (Field::Absent, Field::Set(_)) => {
            let text = "missing; allowed: the file of the key's certificate";
            cx.report.problem(&place.child(certificate_name), text);
            return None;
        }
    };
    let pair = ClientCertificate::new(certificate.value, key.value);
    let problem = match pair.read() {
        // SAML signs with RSA, and encrypts to it.
        Ok(read) if names != CLIENT_CERTIFICATE && read.signing(Signing::RS256) == Signing::ES256 => {
            String::from("the key is EC; allowed: an RSA key of at least 2048 bits")
        }
        Ok(_) => return Some(Some(pair)),
        Err(error) => {
            let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}; allowed: the key of {certificate_name}")
        }
    };
    cx.report.problem(&key.place, problem);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_has_no_slash_at_its_end() {
        for text in ["https://idp.example.com/realms/acme", "https://idp.example.com/realms/acme/"] {
            assert_eq!(issuer_url(text).unwrap().as_str(), "https://idp.example.com/realms/acme");
        }
        let error = issuer_url("https://idp.example.com/.well-known/openid-configuration").unwrap_err();
        assert!(error.contains("discovery document"), "{error}");
        assert!(issuer_url("https://idp.example.com/?a=b").is_err());
    }

    #[test]
    fn prompt_none_is_refused() {
        assert!(prompt("login consent").is_ok());
        for bad in ["none", "", "login  consent", "Login"] {
            assert!(prompt(bad).is_err(), "{bad}");
        }
    }
}
