//! Secrets, and `private_key_jwt` (RFC 7523): what the provider is shown is verified here as it would verify it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

use super::*;
use crate::base::client_certificate::ClientCertificate;

/// A self-signed certificate and its key, both PEM, and the certificate's DER.
fn made(algorithm: &'static rcgen::SignatureAlgorithm) -> (String, String, Vec<u8>) {
    let key = rcgen::KeyPair::generate_for(algorithm).unwrap();
    let certificate = rcgen::CertificateParams::new(vec!["anteroom".into()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem(), certificate.der().to_vec())
}

fn put(dir: &Path, certificate: &str, key: &str) {
    std::fs::write(dir.join("client.pem"), certificate).unwrap();
    std::fs::write(dir.join("client.key"), key).unwrap();
}

fn with_certificate(connector: &OidcConnector, dir: &Path) -> OidcConnector {
    let certificate = ClientCertificate::new(dir.join("client.pem"), dir.join("client.key"));
    OidcConnector { client_secret: None, client_certificate: Some(certificate), ..connector.clone() }
}

/// The claims of the assertion that the provider was shown last, verified with the key of the certificate.
fn shown(idp: &FakeIdp, key: &str, der: &[u8], algorithm: Algorithm) -> Value {
    let form = idp.form("/token");
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    assert_eq!(form["client_id"], CLIENT);
    assert!(!form.contains_key("client_secret"));
    let assertion = &form["client_assertion"];
    let header = jsonwebtoken::decode_header(assertion).unwrap();
    assert_eq!((header.alg, header.typ.as_deref(), header.kid), (algorithm, Some("JWT"), None));
    let thumbprint = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    assert_eq!(header.x5t_s256, Some(URL_SAFE_NO_PAD.encode(thumbprint)), "the certificate's");
    let public = rcgen::KeyPair::from_pem(key).unwrap();
    let public = rcgen::PublicKeyData::der_bytes(&public).to_vec();
    let key = match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_der(&public),
        _ => DecodingKey::from_rsa_der(&public),
    };
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&[format!("{}/token", idp.issuer())]);
    validation.set_issuer(&[CLIENT]);
    validation.sub = Some(CLIENT.into());
    // The clock of these tests stands in the future.
    (validation.validate_exp, validation.validate_nbf) = (false, false);
    jsonwebtoken::decode::<Value>(assertion, &key, &validation).unwrap().claims
}

#[tokio::test]
async fn a_certificate_stands_in_the_secrets_place() {
    let (idp, provider, clock) = setup().await;
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key, der) = made(&rcgen::PKCS_RSA_SHA256);
    put(dir.path(), &certificate, &key);
    let provider = self::provider(&with_certificate(&provider.connector, dir.path()), &clock);
    assert_eq!(verdict(&provider).await, ann());
    let first = shown(&idp, &key, &der, Algorithm::RS256);
    assert_eq!((first["iat"].as_i64(), first["nbf"].as_i64()), (Some(NOW.secs()), Some(NOW.secs())));
    assert_eq!(first["exp"].as_i64(), Some(NOW.secs() + 300));
    assert_eq!(verdict(&provider).await, ann());
    let second = shown(&idp, &key, &der, Algorithm::RS256);
    assert!(first["jti"].as_str().unwrap().len() >= 22);
    assert_ne!(first["jti"], second["jti"], "each is good for one request");
}

#[tokio::test]
async fn the_algorithm_is_one_that_the_provider_takes() {
    let (idp, provider, clock) = setup().await;
    let dir = tempfile::tempdir().unwrap();
    let config = with_certificate(&provider.connector, dir.path());
    let (certificate, key, der) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    put(dir.path(), &certificate, &key);
    assert_eq!(verdict(&self::provider(&config, &clock)).await, ann());
    shown(&idp, &key, &der, Algorithm::ES256);
    let (certificate, key, der) = made(&rcgen::PKCS_RSA_SHA256);
    put(dir.path(), &certificate, &key);
    for (listed, algorithm) in [
        (json!(["PS256", "ES256"]), Algorithm::PS256),
        (json!(["PS256", "RS256"]), Algorithm::RS256),
        (Value::Null, Algorithm::RS256),
    ] {
        idp.change(|s| s.discovery.1["token_endpoint_auth_signing_alg_values_supported"] = listed);
        assert_eq!(verdict(&self::provider(&config, &clock)).await, ann());
        shown(&idp, &key, &der, algorithm);
    }
}

#[tokio::test]
async fn entra_is_shown_ps256() {
    const TENANT: &str = "11111111-2222-4333-8444-555555555555";
    let idp = FakeIdp::start().await;
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key, der) = made(&rcgen::PKCS_RSA_SHA256);
    put(dir.path(), &certificate, &key);
    let issuer = format!("{}/{TENANT}/v2.0", idp.issuer());
    idp.change(|s| s.discovery.1["issuer"] = json!(issuer));
    let kind = ConnectorKind::Entra { tenant: TENANT.into(), allowed_tenants: vec![TENANT.into()] };
    let config = with_certificate(&connector(&issuer, kind), dir.path());
    // The provider answers something; what it was shown is what counts here.
    assert_eq!(verdict(&provider(&config, &Clock::manual(NOW))).await, Err("claim_missing"));
    shown(&idp, &key, &der, Algorithm::PS256);
}

#[tokio::test]
async fn a_rotated_certificate_is_used_at_once_and_a_half_rotated_one_not_yet() {
    let (idp, provider, clock) = setup().await;
    let dir = tempfile::tempdir().unwrap();
    let (old_certificate, old_key, old_der) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (certificate, key, der) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    put(dir.path(), &old_certificate, &old_key);
    let provider = self::provider(&with_certificate(&provider.connector, dir.path()), &clock);
    assert_eq!(verdict(&provider).await, ann());
    shown(&idp, &old_key, &old_der, Algorithm::ES256);
    put(dir.path(), &certificate, &old_key);
    assert_eq!(verdict(&provider).await, ann());
    shown(&idp, &old_key, &old_der, Algorithm::ES256);
    put(dir.path(), &certificate, &key);
    assert_eq!(verdict(&provider).await, ann());
    shown(&idp, &key, &der, Algorithm::ES256);
}

#[tokio::test]
async fn an_unusable_certificate_is_our_own_fault_and_costs_no_code() {
    let (idp, provider, clock) = setup().await;
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key, _) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (_, other_key, _) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (p384, p384_key, _) = made(&rcgen::PKCS_ECDSA_P384_SHA384);
    let provider = self::provider(&with_certificate(&provider.connector, dir.path()), &clock);
    for (certificate, key) in
        [("", ""), (&certificate, &other_key), (&key, &key), (&certificate, &certificate), (&p384, &p384_key)]
    {
        put(dir.path(), certificate, key);
        let error = redeem(&provider).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("client_key_unusable", Kind::Misconfigured));
        assert!(!format!("{error:?}").contains("PRIVATE"), "{error:?}");
    }
    assert_eq!(idp.asked("/token"), 0);
    put(dir.path(), &certificate, &key);
    assert_eq!(verdict(&provider).await, ann());
}

#[test]
fn every_form_of_a_private_key_is_read() {
    // `from_pem` of the library cannot write these, so the forms are made from the PKCS#8 one.
    use aws_lc_rs::encoding::AsDer as _;
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
    use rustls_pki_types::PrivateKeyDer;
    use rustls_pki_types::pem::PemObject as _;
    let (certificate, key, _) = made(&rcgen::PKCS_ECDSA_P256_SHA256);
    let der = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der()).unwrap();
    let sec1: aws_lc_rs::encoding::EcPrivateKeyRfc5915Der<'_> = pair.private_key().as_der().unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(sec1.as_ref());
    let pem = format!("-----BEGIN EC PRIVATE KEY-----\n{text}\n-----END EC PRIVATE KEY-----\n");
    assert!(crate::base::client_certificate::SigningPair::parse(&certificate, &pem).is_ok());
    assert!(crate::base::client_certificate::SigningPair::parse(&certificate, &key).is_ok());
}

#[tokio::test]
async fn an_unreadable_secret_is_our_own_fault_and_costs_no_code() {
    let (idp, provider, clock) = setup().await;
    let secret = Some(Secret::File("/nonexistent/secret".into()));
    let config = OidcConnector { client_secret: secret, ..provider.connector.clone() };
    let error = redeem(&self::provider(&config, &clock)).await.unwrap_err();
    assert_eq!((error.reason(), error.kind()), ("client_secret_unreadable", Kind::Misconfigured));
    assert_eq!(idp.asked("/token"), 0);
}
