//! The key of a Google service account, in the JSON file that Google hands out.

use std::fmt;

use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Map, Value};

use super::json;

/// A service account and its private key, which is never printed.
pub struct ServiceAccount {
    email: String,
    key_id: Option<String>,
    key: RsaKeyPair,
}

/// The file is no service account's key. Never quotes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidServiceAccount {
    /// Not strict JSON, or no object.
    #[error("it is not a JSON object")]
    Json(#[source] json::InvalidJson),
    /// Another kind of credentials, such as a client's secret or a workload identity federation's configuration.
    #[error("its type is not \"service_account\"")]
    Type,
    /// Who the account is.
    #[error("client_email is missing")]
    Email,
    /// No RSA key of 2048 bits or more in PKCS#8.
    #[error("private_key is not an unencrypted RSA key in PEM (PKCS#8)")]
    Key,
}

impl ServiceAccount {
    /// Reads the text of a key file. Its `token_uri` and other URLs are not looked at: where calls go is the operator's
    /// to say.
    ///
    /// # Errors
    /// See [`InvalidServiceAccount`].
    pub fn parse(text: &str) -> Result<Self, InvalidServiceAccount> {
        let members = json::parse_object(text.as_bytes()).map_err(InvalidServiceAccount::Json)?;
        if text_of(&members, "type") != Some("service_account") {
            return Err(InvalidServiceAccount::Type);
        }
        let email = text_of(&members, "client_email").ok_or(InvalidServiceAccount::Email)?.to_owned();
        let key_id = text_of(&members, "private_key_id").map(str::to_owned);
        let pem = text_of(&members, "private_key").ok_or(InvalidServiceAccount::Key)?;
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| InvalidServiceAccount::Key)?;
        let key = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).map_err(|_| InvalidServiceAccount::Key)?;
        Ok(Self { email, key_id, key })
    }

    /// The account's own address, `client_email`.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// The key's id, for the header of what it signs.
    pub fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    /// The RS256 signature of `message` (RFC 7518 section 3.3).
    ///
    /// # Errors
    /// The crypto library fails, which it does only without memory or randomness.
    pub fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let mut signature = vec![0; self.key.public_modulus_len()];
        self.key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature)?;
        Ok(signature)
    }
}

fn text_of<'m>(members: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    members.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
}

impl fmt::Debug for ServiceAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { email, key_id, .. } = self;
        f.debug_struct("ServiceAccount").field("email", email).field("key_id", key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::OnceLock;

    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::rsa::KeySize;
    use aws_lc_rs::signature::KeyPair as _;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde_json::json;

    use super::*;

    /// A key file as Google makes them, for one of two keys, which are made once per run.
    pub(crate) fn key_file(which: usize) -> Value {
        static PEMS: [OnceLock<String>; 2] = [OnceLock::new(), OnceLock::new()];
        let pem = PEMS[which].get_or_init(|| {
            let der = RsaKeyPair::generate(KeySize::Rsa2048).unwrap().as_der().unwrap();
            let base64 = STANDARD.encode(der.as_ref());
            let lines: Vec<&str> =
                base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
            format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", lines.join("\n"))
        });
        json!({
            "type": "service_account",
            "project_id": "acme",
            "private_key_id": format!("key-{which}"),
            "private_key": pem,
            "client_email": "anteroom@acme.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": "http://169.254.169.254/token",
        })
    }

    fn parse(value: &Value) -> Result<ServiceAccount, InvalidServiceAccount> {
        ServiceAccount::parse(&value.to_string())
    }

    #[test]
    fn an_honest_key_file_signs() {
        let account = parse(&key_file(0)).unwrap();
        assert_eq!(account.email(), "anteroom@acme.iam.gserviceaccount.com");
        assert_eq!(account.key_id(), Some("key-0"));
        let signature = account.sign(b"message").unwrap();
        let public = aws_lc_rs::signature::UnparsedPublicKey::new(
            &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256,
            account.key.public_key().as_ref(),
        );
        assert!(public.verify(b"message", &signature).is_ok());
        assert!(public.verify(b"another", &signature).is_err());
    }

    #[test]
    fn what_is_no_key_file_is_refused_without_quoting_it() {
        let spoilt = |name: &str, value: Value| {
            let mut file = key_file(0);
            file[name] = value;
            parse(&file).map(|_| ()).unwrap_err()
        };
        assert_eq!(spoilt("type", json!("external_account")), InvalidServiceAccount::Type);
        assert_eq!(spoilt("client_email", json!("")), InvalidServiceAccount::Email);
        for key in [
            Value::Null,
            json!("canary"),
            json!("-----BEGIN PRIVATE KEY-----\nY2FuYXJ5\n-----END PRIVATE KEY-----\n"),
            json!("-----BEGIN RSA PRIVATE KEY-----\nY2FuYXJ5\n-----END RSA PRIVATE KEY-----\n"),
        ] {
            let error = spoilt("private_key", key);
            assert_eq!(error, InvalidServiceAccount::Key);
            assert!(!format!("{error} {error:?}").contains("anary"));
        }
        assert!(matches!(ServiceAccount::parse("[]"), Err(InvalidServiceAccount::Json(_))));
    }

    #[test]
    fn debug_hides_the_key() {
        let file = key_file(0);
        let shown = format!("{:?}", parse(&file).unwrap());
        let line = file["private_key"].as_str().unwrap().lines().nth(1).unwrap();
        assert!(shown.contains("anteroom@acme") && !shown.contains(line), "{shown}");
    }
}
