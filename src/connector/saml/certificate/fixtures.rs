//! Certificates made for a test.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertificateParams, DistinguishedName, DnType, Issuer, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rustls_pki_types::CertificateDer;

/// A certificate with the key that it is for.
pub(in crate::connector) struct Made {
    pub(in crate::connector) params: CertificateParams,
    pub(in crate::connector) key: KeyPair,
    pub(in crate::connector) der: CertificateDer<'static>,
}

impl Made {
    /// One that signed itself, good until the end of `last_year`; its key is on P-256.
    pub(in crate::connector) fn new(name: &str, last_year: i32) -> Self {
        Self::with_key(name, last_year, KeyPair::generate().unwrap())
    }

    fn with_key(name: &str, last_year: i32, key: KeyPair) -> Self {
        let params = params(name, last_year);
        let der = params.self_signed(&key).unwrap().der().clone();
        Self { params, key, der }
    }

    /// One that this one issued.
    pub(in crate::connector) fn issue(&self, name: &str, last_year: i32) -> Self {
        let (key, params) = (KeyPair::generate().unwrap(), params(name, last_year));
        let der = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap().der().clone();
        Self { params, key, der }
    }

    /// As an element of metadata holds it.
    pub(in crate::connector) fn base64(&self) -> String {
        STANDARD.encode(&self.der)
    }
}

fn params(name: &str, last_year: i32) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(last_year, 12, 31);
    params
}

/// An RSA certificate; its key takes a while to make.
pub(in crate::connector) fn rsa() -> &'static Made {
    static MADE: LazyLock<Made> = LazyLock::new(|| {
        Made::with_key("rsa", 2030, KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap())
    });
    &MADE
}

/// RSA of 1024 bits: `openssl req -x509 -newkey rsa:1024 -nodes -subj /CN=weak -days 3650`.
pub(in crate::connector) const WEAK: &str = "\
    MIIB+jCCAWOgAwIBAgIUKgcdVaqMK5i6sOdTWEnG2RmyXy4wDQYJKoZIhvcNAQELBQAwDzENMAsGA1UEAwwEd2VhazAeFw0yNjEx\
    MjMwMTA3NTNaFw0zNjExMjAwMTA3NTNaMA8xDTALBgNVBAMMBHdlYWswgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGBANV0N6vh\
    WQ7qeL7HrvDkEx28Bi1UNKlAesamZONflaeZe/rp7OsS1++tuS2rjqUVUrITryMqBzCJQ9uGUTlwPLOzHlkG/i7sFojUEwVEuq7h\
    l4OZZ9nRDT04yRAEiNlIJTGTHzpigdiji7woSMElUxAn4m49WbCXSZ1WyNNndmBtAgMBAAGjUzBRMB0GA1UdDgQWBBRh+WYZIAwO\
    dH9IQ5MxTA6QqB3wtzAfBgNVHSMEGDAWgBRh+WYZIAwOdH9IQ5MxTA6QqB3wtzAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEB\
    CwUAA4GBAG8pOiQGv88wthZ/JZEVGQTNRkbg/JZh/eDainQQnZDfvQuiFW3rP7aNEFAjXfhTZEsDCxK3lh8FinB3cUk6JXushW5r\
    BZvwlvXlZspqpaqczwwZHd5BHgn/mSvCZf6sfA9zPxJ91UmSRmObPsvbXPWmjBdjcflQE+ZC/w+Rn+jm";
