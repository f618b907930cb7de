//! `[outgoing]`: calls to providers.

use std::path::{Path, PathBuf};

use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::parse::{Context, Insecure, web_url, wrong};
use super::read::{At, section};
use super::words::Choice;
use crate::base::net::parse_network;

/// `[outgoing]`: calls to providers. Plain-http hosts and roots were checked at start.
pub use crate::base::outgoing::Settings as Outgoing;

section! {
    /// Calls to providers.
    RawOutgoing {
        /// Corporate egress proxy, as `http://host:port`. The environment's `HTTPS_PROXY` is not looked at.
        proxy: String,
        /// Hosts reached without the proxy: names, `.suffixes`, IP addresses, CIDRs.
        #[schemars(extend("default" = []))]
        no_proxy: Vec<At<String>>,
        /// PEM file with root certificates that are trusted beside the system's.
        ca_file: String,
        /// Lets a provider be reached by plain http off loopback.
        insecure_http: Choice<Insecure>,
    }
}

const PROXY: &str = "allowed: http://host:port; user name and password cannot be given";
const NO_PROXY: &str = "allowed: a host name, a suffix such as .example.com, an IP address or a CIDR";

impl RawOutgoing {
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Option<Outgoing> {
        let raw = raw.value;
        if let Some(insecure) = raw.insecure_http.set() {
            let text = "plain-http providers are let through: who sits on the way can sign in as anybody";
            cx.report.warn(&insecure.place, text);
        }
        let insecure_http = raw.insecure_http.optional().map(|choice| choice.is_some());
        let proxy = raw.proxy.parse(cx.report, |text| {
            let url = web_url(text, PROXY)?;
            if url.scheme() == "http" && url.path() == "/" { Ok(url) } else { Err(wrong(text, PROXY)) }
        });
        let no_proxy = raw.no_proxy.parse_each(cx.report, |text| no_proxy(text)).values_or(Vec::new);
        let ca_file = cx.path(raw.ca_file).parse(cx.report, |path| roots(path)).optional();
        Some(Outgoing {
            proxy: proxy.optional()?,
            no_proxy: no_proxy?,
            ca_file: ca_file?,
            insecure_http: insecure_http?,
        })
    }
}

fn no_proxy(text: &str) -> Result<String, String> {
    let lower = text.to_ascii_lowercase();
    if let Ok(network) = parse_network(&lower) {
        let single = network.prefix_len() == network.max_prefix_len();
        return Ok(if single { network.addr().to_string() } else { network.to_string() });
    }
    let name = lower.strip_prefix('.').unwrap_or(&lower);
    let label = |l: &str| !l.is_empty() && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if name.split('.').all(label) { Ok(lower) } else { Err(wrong(text, NO_PROXY)) }
}

fn roots(path: &Path) -> Result<PathBuf, String> {
    let show = path.display();
    let allowed = "allowed: a PEM file with certificates";
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match certificates {
        Ok(found) if !found.is_empty() => Ok(path.to_owned()),
        Ok(_) => Err(format!("no certificate in {show}; {allowed}")),
        Err(error) => Err(format!("cannot read {show}: {error}; {allowed}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_without_the_proxy_are_names_suffixes_and_networks() {
        for (text, normal) in [
            ("IdP.example.com", "idp.example.com"),
            (".corp", ".corp"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(no_proxy(text).as_deref(), Ok(normal));
        }
        for bad in ["", "*", "*.example.com", "a:443", "https://a", "a..b", "."] {
            assert!(no_proxy(bad).is_err(), "{bad}");
        }
    }
}
