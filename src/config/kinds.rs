//! The words of connectors: kinds, signature algorithms, and what is said to those that are not taken.

use super::connectors::{ConnectorKind, SigningAlgorithm};
use super::problem::{list, nearest, quoted};
use super::words::Word;

/// The kinds as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Entra,
    Google,
    Oidc,
    Saml,
}

/// `protocol` as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Oidc,
    Saml,
}

impl Word for Protocol {
    const WORDS: &'static [(&'static str, Self)] = &[("oidc", Self::Oidc), ("saml", Self::Saml)];
}

impl Kind {
    /// Whether a connector of this kind would have keys that we know nothing of.
    pub(super) fn is_another_protocol(word: &str) -> bool {
        ON_PREMISE.contains(&plain(word).as_str())
    }

    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Entra => "entra",
            Self::Google => "google",
            Self::Oidc => "oidc",
            Self::Saml => "saml",
        }
    }
}

fn plain(word: &str) -> String {
    word.to_ascii_lowercase().replace(['-', '_', ' '], "")
}

const ON_PREMISE: [&str; 7] = ["ldap", "ldaps", "activedirectory", "ad", "adds", "kerberos", "radius"];
pub(super) const KINDS: &str = "allowed: \"entra\" (Microsoft Entra ID), \"google\" (Google Workspace), \"oidc\" (any other \
                     OpenID Connect provider), \"saml\" (any other SAML 2.0 provider)";

impl Word for Kind {
    const WORDS: &'static [(&'static str, Self)] =
        &[("entra", Self::Entra), ("google", Self::Google), ("oidc", Self::Oidc), ("saml", Self::Saml)];

    fn refusal(word: &str) -> Option<String> {
        let plain = plain(word);
        let reason = match plain.as_str() {
            on_premise if ON_PREMISE.contains(&on_premise) => {
                "on-premise directories (Active Directory, LDAP) are not supported: users sign in at a provider that \
                 speaks OpenID Connect or SAML, such as AD FS"
            }
            "adfs" => {
                "there is no such kind: AD FS speaks SAML, which is \"saml\" with preset = \"adfs\"; AD FS 2016 and later \
                 speak OpenID Connect too, which is \"oidc\""
            }
            "shibboleth" => "there is no such kind: it is \"saml\" with preset = \"shibboleth\"",
            "okta" | "keycloak" => {
                let text = "there is no such kind: it speaks OpenID Connect, which is \"oidc\", and SAML, which is \"saml\" \
                            with preset";
                return Some(format!("found {}; {text} = {plain:?}; {KINDS}", quoted(word)));
            }
            saml if saml.starts_with("saml") => "did you mean \"saml\"?",
            "azure" | "azuread" | "aad" | "entraid" | "microsoft" => "did you mean \"entra\"?",
            "gsuite" | "googleworkspace" | "workspace" => "did you mean \"google\"?",
            "openid" | "openidconnect" | "auth0" => "did you mean \"oidc\"?",
            other => {
                let near = nearest(other, Self::WORDS.iter().map(|(word, _)| *word));
                let near = near.map(|word| format!("did you mean {word:?}? ")).unwrap_or_default();
                return Some(format!("found {}; {near}{KINDS}", quoted(word)));
            }
        };
        Some(format!("found {}; {reason}; {KINDS}", quoted(word)))
    }
}

/// `email_is_verified`'s one value, which says who vouches.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByOperator;

impl Word for ByOperator {
    const WORDS: &'static [(&'static str, Self)] = &[("by-operator", Self)];
}

impl Word for SigningAlgorithm {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("RS256", Self::RS256),
        ("RS384", Self::RS384),
        ("RS512", Self::RS512),
        ("PS256", Self::PS256),
        ("PS384", Self::PS384),
        ("PS512", Self::PS512),
        ("ES256", Self::ES256),
        ("ES384", Self::ES384),
        ("EdDSA", Self::EdDSA),
    ];

    /// Security cases O06, O07: no unsigned tokens, and no key that the verifier shares with the signer.
    fn refusal(word: &str) -> Option<String> {
        let reason = match word.to_ascii_uppercase().as_str() {
            "NONE" => "an unsigned token can be made by anybody",
            "HS256" | "HS384" | "HS512" => {
                "an HMAC key is known to everybody who can check a token, and confusing it with a public key forges one"
            }
            _ => return None,
        };
        let words = list(Self::WORDS.iter().map(|(word, _)| *word));
        Some(format!("found {}; {reason}; allowed: {words}", quoted(word)))
    }
}

/// Why the address cannot be read from `claim`: nothing vouches for it there (I03). None: it can.
pub(super) fn unvouched(kind: &ConnectorKind, claim: &str) -> Option<&'static str> {
    match kind {
        ConnectorKind::Entra { .. } if ["upn", "preferred_username", "email"].contains(&claim) => None,
        ConnectorKind::Entra { .. } => {
            Some("Entra ID vouches for no address in this claim; allowed: \"upn\", \"preferred_username\", \"email\"")
        }
        ConnectorKind::Google { .. } | ConnectorKind::Oidc { email_is_verified_by_operator: false }
            if claim == "email" =>
        {
            None
        }
        ConnectorKind::Google { .. } => Some("Google vouches for the claim \"email\" alone: leave email_claim out"),
        ConnectorKind::Oidc { email_is_verified_by_operator: true } => None,
        ConnectorKind::Oidc { email_is_verified_by_operator: false } => Some(
            "the provider's email_verified speaks of the claim \"email\" alone, and people may be able to edit another; \
             leave email_claim out, or add email_is_verified = \"by-operator\" if nobody can change it for themselves",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn o06_unsigned_and_hmac_algorithms_are_refused_with_the_reason() {
        assert!(SigningAlgorithm::refusal("none").unwrap().contains("anybody"));
        assert!(SigningAlgorithm::refusal("HS256").unwrap().contains("HMAC"));
        assert_eq!(SigningAlgorithm::refusal("RS257"), None);
    }

    #[test]
    fn r1_on_premise_directories_are_refused_with_what_is_supported() {
        for kind in ["ldap", "active-directory", "ActiveDirectory", "AD"] {
            let text = Kind::refusal(kind).unwrap();
            assert!(text.contains("on-premise") && text.contains("\"entra\"") && text.contains("\"oidc\""), "{text}");
        }
        assert!(Kind::refusal("entar").unwrap().contains("did you mean"));
    }

    #[test]
    fn a_product_is_answered_with_the_kinds_that_it_is() {
        for product in ["adfs", "AD-FS", "okta", "Keycloak"] {
            let text = Kind::refusal(product).unwrap();
            let preset = format!("preset = {:?}", plain(product));
            assert!(text.contains("which is \"oidc\"") && text.contains(&preset), "{text}");
        }
        assert!(Kind::refusal("shibboleth").unwrap().contains("preset = \"shibboleth\""));
        assert!(Kind::refusal("saml-2").unwrap().contains("did you mean \"saml\""));
        assert!(Kind::refusal("auth0").unwrap().contains("did you mean \"oidc\""));
    }
}
