//! A failed sign-in in words. Everything shown comes from this file: nothing that a provider or a link says reaches the
//! page as text (security case O24).

mod entries;
mod saml;

use http::StatusCode;

use entries::{Entry, GENERAL};

/// Why a sign-in failed, as protocol code knows it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cause<'a> {
    /// Our own stable reason code.
    pub reason: &'a str,
    /// The `error` parameter of the provider's answer (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6), or
    /// the name of the SAML status code that says most.
    pub provider_error: Option<&'a str>,
    /// Microsoft's number: see [`aadsts`].
    pub aadsts: Option<u32>,
    /// The connector's display name.
    pub provider: &'a str,
    /// The cookie that did not come back, for `tx_not_bound`.
    pub cookie: &'a str,
}

/// What the page says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    pub headline: String,
    pub explanation: String,
    pub what_to_do: String,
    /// 400 for a failed message, 403 for a person who may not come in, 503 when waiting helps.
    pub status: StatusCode,
    /// The provider's code, when it is a known one: for the visitor's administrator.
    pub code: Option<String>,
}

/// The number in Microsoft's `error_description`: `AADSTS50105: …` → 50105.
pub fn aadsts(description: &str) -> Option<u32> {
    let (_, rest) = description.split_once("AADSTS")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end).filter(|digits| (4..=9).contains(&digits.len()))?.parse().ok()
}

/// Reasons that only say that the provider gave an error: its own code has the better words.
const RELAYED: [&str; 5] = ["provider_refused", "provider_error", "invalid_grant", "invalid_client", "saml_status"];

fn numbers() -> impl Iterator<Item = &'static (&'static [u32], Entry)> {
    entries::NUMBERS.iter().chain(saml::NUMBERS)
}

fn errors() -> impl Iterator<Item = &'static (&'static [&'static str], Entry)> {
    entries::ERRORS.iter().chain(saml::ERRORS)
}

fn reasons() -> impl Iterator<Item = &'static (&'static [&'static str], Entry)> {
    entries::REASONS.iter().chain(saml::REASONS)
}

/// The words for a cause. What we found ourselves comes first, since a link can claim any error of a provider; then
/// Microsoft's number, the provider's error, and general words.
pub fn words(cause: &Cause<'_>) -> Words {
    let by_number = cause.aadsts.and_then(|n| numbers().find(|(numbers, _)| numbers.contains(&n)));
    let by_error = cause.provider_error.and_then(|e| errors().find(|(names, _)| names.contains(&e)));
    let by_reason = reasons().find(|(names, _)| names.contains(&cause.reason));
    let (entry, code) = match (by_reason, by_number, by_error) {
        (Some((_, entry)), _, _) if !RELAYED.contains(&cause.reason) => (entry, None),
        (_, Some((_, entry)), _) => (entry, cause.aadsts.map(|n| format!("AADSTS{n}"))),
        (_, None, Some((_, entry))) => (entry, cause.provider_error.map(str::to_owned)),
        (Some((_, entry)), None, None) => (entry, None),
        (None, None, None) => (&GENERAL, None),
    };
    let provider = if cause.provider.is_empty() { "the provider" } else { cause.provider };
    let fill = |text: &str| text.replace("{provider}", provider).replace("{cookie}", cause.cookie);
    Words {
        headline: fill(entry.headline),
        explanation: fill(entry.explanation),
        what_to_do: fill(entry.what_to_do),
        status: entry.status,
        code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connector::{Kind, Reason};

    fn all() -> Vec<(String, Words)> {
        let base = Cause { provider: "Microsoft", cookie: "__Host-anteroom-try-1", reason: "none", ..Cause::default() };
        let by_number = numbers().flat_map(|(numbers, _)| *numbers);
        let by_error = errors().flat_map(|(names, _)| *names);
        let by_reason = reasons().flat_map(|(names, _)| *names);
        let mut all = vec![("general".to_owned(), words(&base))];
        all.extend(by_number.map(|n| (format!("number {n}"), words(&Cause { aadsts: Some(*n), ..base }))));
        all.extend(by_error.map(|e| (format!("error {e}"), words(&Cause { provider_error: Some(e), ..base }))));
        all.extend(by_reason.map(|r| (format!("reason {r}"), words(&Cause { reason: r, ..base }))));
        all
    }

    #[test]
    fn every_entry_says_what_happened_and_what_to_do() {
        let mut keys = std::collections::BTreeSet::new();
        for (key, words) in all() {
            assert!(keys.insert(key.clone()), "{key} is listed twice: the second is never used");
            assert!((10..=70).contains(&words.headline.len()), "{key}: {}", words.headline);
            assert!(!words.headline.ends_with('.'), "{key}: a headline has no full stop");
            for text in [&words.explanation, &words.what_to_do] {
                assert!(text.len() > 20 && text.ends_with('.'), "{key}: {text:?}");
                assert!(!text.contains(['{', '}', '<', '>']), "{key}: {text:?}");
            }
            assert!([400, 403, 503].contains(&words.status.as_u16()), "{key}");
            assert!(key == "general" || words.headline != GENERAL.headline, "{key} has no words");
        }
    }

    #[test]
    fn every_reason_has_words_and_the_status_of_its_kind() {
        for reason in Reason::ALL {
            let words = words(&Cause { reason: reason.code(), ..Cause::default() });
            assert_ne!(words.headline, GENERAL.headline, "{}", reason.code());
            let status = match reason.kind() {
                Kind::Refused | Kind::Misconfigured => 400,
                Kind::NotAllowed => 403,
                Kind::Unavailable => 503,
            };
            assert_eq!(words.status, status, "{}", reason.code());
        }
    }

    #[test]
    fn the_most_exact_cause_chooses_the_words() {
        let cause = Cause { reason: "provider_error", provider: "Microsoft", ..Cause::default() };
        let denied = words(&Cause { provider_error: Some("access_denied"), ..cause });
        assert_eq!(
            (denied.headline.as_str(), denied.code.as_deref()),
            ("Microsoft did not let you in", Some("access_denied"))
        );
        let unassigned = words(&Cause { provider_error: Some("access_denied"), aadsts: Some(50105), ..cause });
        assert_eq!(unassigned.headline, "You are not assigned to this application");
        assert_eq!(unassigned.code.as_deref(), Some("AADSTS50105"));
        let unknown_number = words(&Cause { provider_error: Some("access_denied"), aadsts: Some(99999), ..cause });
        assert_eq!(unknown_number, denied);
        let refused = words(&Cause { provider_error: Some("interaction_required"), aadsts: Some(50076), ..cause });
        assert_eq!(refused.headline, "Microsoft asks for an extra check");
        let forged = words(&Cause {
            reason: "tx_not_bound",
            provider_error: Some("access_denied"),
            aadsts: Some(50105),
            ..cause
        });
        assert_eq!(forged.headline, "This sign-in was not started in this browser");
        assert_eq!(forged.code, None);
        let unbound = words(&Cause {
            reason: "tx_not_bound",
            provider: "Google",
            cookie: "__Host-anteroom-try-x",
            ..Cause::default()
        });
        assert!(unbound.explanation.contains("__Host-anteroom-try-x"));
    }

    /// S23
    #[test]
    fn a_saml_status_is_told_in_the_words_of_its_code_or_of_microsofts_number() {
        let status = Cause { reason: "saml_status", provider: "Microsoft", ..Cause::default() };
        let of = |code| words(&Cause { provider_error: Some(code), ..status });
        assert_eq!(of("NoPassive").headline, "Microsoft needs you to sign in");
        assert_eq!(of("NoPassive").code.as_deref(), Some("NoPassive"));
        assert_eq!(of("RequestDenied").headline, "Microsoft did not let you in");
        assert_eq!(of("UnknownPrincipal").headline, "Microsoft does not know this account");
        assert_eq!((of("unknown").headline, of("unknown").code), (words(&status).headline, None));
        let numbered = |n| words(&Cause { provider_error: Some("Responder"), aadsts: Some(n), ..status });
        assert_eq!(numbered(50105).headline, "You are not assigned to this application");
        assert_eq!(numbered(50076).headline, "Microsoft asks for an extra check");
        assert_eq!(numbered(75011).headline, of("NoAuthnContext").headline);
        assert_eq!(numbered(75011).code.as_deref(), Some("AADSTS75011"));
        assert_eq!(numbered(99999).headline, of("Responder").headline);
    }

    /// A forged answer can claim any status: what we found ourselves is told (S23, O24).
    #[test]
    fn a_status_does_not_hide_what_was_found_here() {
        let cause = Cause { reason: "saml_sig", provider_error: Some("NoPassive"), ..Cause::default() };
        assert_eq!(words(&cause).headline, "The answer of the provider could not be trusted");
    }

    #[test]
    fn every_status_code_of_a_sign_in_has_words() {
        for code in [
            "Requester",
            "Responder",
            "VersionMismatch",
            "AuthnFailed",
            "InvalidAttrNameOrValue",
            "InvalidNameIDPolicy",
            "NoAuthnContext",
            "NoAvailableIDP",
            "NoPassive",
            "NoSupportedIDP",
            "ProxyCountExceeded",
            "RequestDenied",
            "RequestUnsupported",
            "RequestVersionDeprecated",
            "RequestVersionTooHigh",
            "RequestVersionTooLow",
            "ResourceNotRecognized",
            "TooManyResponses",
            "UnknownAttrProfile",
            "UnknownPrincipal",
            "UnsupportedBinding",
        ] {
            assert!(errors().any(|(names, _)| names.contains(&code)), "{code}");
        }
    }

    /// O24
    #[test]
    fn what_is_not_in_the_catalogue_is_not_shown() {
        let hostile = "<script>alert(1)</script>";
        let shown =
            words(&Cause { reason: hostile, provider_error: Some(hostile), aadsts: Some(1), ..Cause::default() });
        assert_eq!(shown.code, None);
        assert_eq!(shown.headline, "The sign-in did not work");
        assert!(!format!("{shown:?}").contains("script"));
    }

    #[test]
    fn microsofts_number_is_read_from_its_description() {
        for (text, number) in [
            ("AADSTS50105: The signed in user 'x' is not assigned to a role for the application.", Some(50105)),
            ("invalid_client: AADSTS7000215: Invalid client secret provided.", Some(7_000_215)),
            ("AADSTS65001", Some(65001)),
            ("AADSTS: none", None),
            ("AADSTS12", None),
            ("AADSTS99999999999999", None),
            ("aadsts50105", None),
            ("", None),
        ] {
            assert_eq!(aadsts(text), number, "{text:?}");
        }
    }
}
