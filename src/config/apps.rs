//! `[apps.<id>]`: the applications behind Anteroom.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use url::{Host, Url};

use super::native::{Native, RawNative};
use super::parse::{Context, duplicate, fixed_path, wrong};
use super::problem::Place;
use super::read::{At, Field, Keyed, section};
use super::routes::{self, RawRoute, Route};
use super::server::{self, PublicUrl};
use crate::base::id::Id;
use crate::base::net::is_loopback_host;

/// `[apps.<id>]`
#[derive(Clone, Debug)]
pub struct App {
    /// Lower case, without port or trailing dot: `server.public_url`'s, [`public_url`](Self::public_url)'s or both. No two
    /// apps share one.
    pub hosts: Vec<String>,
    /// Where browsers reach it, if that is another host than the sign-in host. One of `hosts` then.
    pub public_url: Option<PublicUrl>,
    /// Where its requests go.
    pub upstream: Upstream,
    /// The app's own sign-out path: forwarded, then our session ends too.
    pub sign_out: Option<String>,
    /// First match wins; nothing matches: signed-in, any role.
    pub routes: Vec<Route>,
    /// How the app's own credentials are known.
    pub native: Native,
}

/// `http://host:port`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// A name or an address; an IPv6 address without brackets.
    pub host: String,
    /// 80 if none is written.
    pub port: u16,
}

section! {
    /// An application behind Anteroom, by its id.
    RawApp {
        /// The host names it is reached at, without port: server.public_url's, its own public_url's, or both. Default: its
        /// own public_url's, without one server.public_url's.
        hosts: Vec<At<String>>,
        /// The origin that browsers use for this application, if it is on another host than server.public_url: scheme,
        /// host and, if it is not the scheme's own, port. Signing in there goes through the sign-in host, and whoever is
        /// signed in at one application is so at the others too.
        public_url: String,
        /// Required. Where requests go: `http://host:port`. `localhost` and `*.localhost` are this machine.
        upstream: String,
        /// The application's own sign-out path: it is forwarded, and then Anteroom's session ends too.
        sign_out: String,
        /// Who may reach which path. The first match decides; if none does, a session is needed.
        #[schemars(extend("default" = []))]
        routes: Vec<At<RawRoute>>,
        /// How the application's own credentials are known, on native routes.
        native: RawNative,
    }
}

/// What apps must fit to. `None`: not known, because it was reported.
pub(super) struct Surroundings<'a> {
    pub(super) public_url: Option<&'a PublicUrl>,
    /// Plain http off loopback is let through.
    pub(super) insecure_http: bool,
    pub(super) prefix: Option<&'a str>,
    pub(super) listen: Option<SocketAddr>,
}

const HOST: &str = "allowed: a host name such as \"app.example.com\", without scheme, port, path or wildcard";
const UPSTREAM: &str = "allowed: http://host:port, without path or query";

pub(super) fn resolve(
    raw: Field<Keyed<RawApp>>,
    root: &Place,
    around: &Surroundings<'_>,
    cx: &mut Context<'_>,
) -> Option<BTreeMap<Id, App>> {
    let Keyed(entries) = raw.or_else(Keyed::default)?;
    if entries.is_empty() {
        let text =
            "missing; allowed: at least one app, such as [apps.portal] with upstream = \"http://127.0.0.1:3000\"";
        cx.report.problem(&root.child("apps"), text);
    }
    let count = entries.len();
    let mut apps: BTreeMap<Id, App> = BTreeMap::new();
    for entry in entries {
        let id =
            entry.key.parse::<Id>().map_err(|e| cx.report.problem(&entry.place, wrong(&entry.key, &e.to_string())));
        let Some(raw) = entry.value else { continue };
        let hosts_place = raw.hosts.set().map_or_else(|| entry.place.child("hosts"), |at| at.place.clone());
        let app = RawApp::resolve(raw, &entry.place, &entry.key, around, cx);
        let (Ok(id), Some(app)) = (id, app) else { continue };
        for (other, earlier) in &apps {
            if let Some(host) = app.hosts.iter().find(|host| earlier.hosts.contains(host)) {
                let text =
                    format!("found {host:?}, which is the host of apps.{other} already; allowed: a host of its own");
                cx.report.problem(&hosts_place, text);
            }
        }
        apps.insert(id, app);
    }
    (apps.len() == count && count > 0).then_some(apps)
}

impl RawApp {
    fn resolve(raw: Self, place: &Place, id: &str, around: &Surroundings<'_>, cx: &mut Context<'_>) -> Option<App> {
        let own_place = raw.public_url.set().map_or_else(|| place.child("public_url"), |at| at.place.clone());
        let own = own_url(raw.public_url, around, cx).map(|value| At { value, place: own_place });
        let hosts = own.as_ref().and_then(|own| hosts(raw.hosts, around.public_url, own, cx));
        let upstream = raw.upstream.parse(cx.report, |text| upstream(text, around.listen));
        let upstream = upstream.required(place, "upstream", UPSTREAM, cx.report);
        let sign_out = raw.sign_out.parse(cx.report, |text| {
            fixed_path(text)?;
            let own = around.prefix.is_some_and(|p| text.strip_prefix(p).is_some_and(|rest| rest.starts_with('/')));
            if own { Err(wrong(text, "allowed: the application's own sign-out path")) } else { Ok(text.clone()) }
        });
        let routes = raw.routes.or_else(Vec::new).and_then(|list| routes::resolve(list, around.prefix, cx));
        let native = raw.native.section(place, "native");
        let native = native.and_then(|native| RawNative::resolve(native.value, id, around.prefix, cx));
        Some(App {
            hosts: hosts?,
            public_url: own?.value,
            upstream: upstream?,
            sign_out: sign_out.optional()?,
            routes: routes?,
            native: native?,
        })
    }
}

/// The app's own `public_url`, which has to fit to the sign-in host's. `None`: reported.
fn own_url(raw: Field<String>, around: &Surroundings<'_>, cx: &mut Context<'_>) -> Option<Option<PublicUrl>> {
    let parsed = raw.parse(cx.report, |text| {
        let url = server::public_url(text)?;
        if !around.insecure_http {
            url.is_safe()?;
        }
        let Some(sign_in) = around.public_url else { return Ok(url) };
        if url.host == sign_in.host && url.origin != sign_in.origin {
            let allowed = "a host has one origin; allowed: that one, or another host";
            return Err(wrong(text, &format!("on that host server.public_url has {:?}; {allowed}", sign_in.origin)));
        }
        if url.secure_cookies() != sign_in.secure_cookies() {
            let allowed = "allowed: https for both, or plain http for both";
            return Err(wrong(text, &format!("and server.public_url is {:?}; {allowed}", sign_in.origin)));
        }
        Ok(url)
    });
    parsed.optional()
}

fn hosts(
    raw: Field<Vec<At<String>>>,
    sign_in: Option<&PublicUrl>,
    own: &At<Option<PublicUrl>>,
    cx: &mut Context<'_>,
) -> Option<Vec<String>> {
    let place = raw.set().map(|at| at.place.clone());
    let (own, own_place) = (own.value.as_ref(), &own.place);
    let parsed = raw.parse_each(cx.report, |text| {
        let host = host(text)?;
        let known = |url: Option<&PublicUrl>| url.is_some_and(|url| url.host == host);
        match sign_in {
            Some(sign_in) if !known(Some(sign_in)) && !known(own) => Err(wrong(
                text,
                &format!(
                    "browsers reach another host than server.public_url's ({:?}) by an origin of its own; allowed: the \
                     hosts of server.public_url and of this app's public_url, such as public_url = \"https://{host}\"",
                    sign_in.host
                ),
            )),
            Some(_) | None => Ok(host),
        }
    });
    if let (Some(place), Some(items)) = (&place, parsed.set().map(|at| &at.value)) {
        if items.is_empty() {
            cx.report.problem(place, "found an empty list, so the app is reached at no host; leave hosts out");
            return None;
        }
        if let Some(twice) = duplicate(items) {
            cx.report.problem(&twice.place, format!("found {:?} twice; once is enough", twice.value));
        }
        if let Some(own) = own.filter(|own| !items.iter().any(|item| item.value == own.host)) {
            let text =
                format!("found {:?}, whose host is not among the app's hosts; add it or leave hosts out", own.origin);
            cx.report.problem(own_place, text);
        }
    }
    match parsed.optional()? {
        Some(items) => Some(items.into_iter().map(|item| item.value).collect()),
        None => own.or(sign_in).map(|url| vec![url.host.clone()]),
    }
}

/// A host in the form that a Host header is compared in: lower case, A-labels, no trailing dot.
fn host(text: &str) -> Result<String, String> {
    let fail = || wrong(text, HOST);
    let name = text.strip_suffix('.').unwrap_or(text);
    if name.contains(['*', '/', '@', '%', '?', '#', '\\']) || name.ends_with('.') {
        return Err(fail());
    }
    match Host::parse(name).map_err(|_| fail())? {
        Host::Domain(domain) if domain.is_empty() => Err(fail()),
        host => Ok(host.to_string()),
    }
}

fn upstream(text: &str, listen: Option<SocketAddr>) -> Result<Upstream, String> {
    let lower = text.to_ascii_lowercase();
    for (scheme, name) in [("https:", "https"), ("unix:", "unix-socket")] {
        if lower.starts_with(scheme) {
            return Err(wrong(text, &format!("{name} upstreams are not supported by this version; {UPSTREAM}")));
        }
    }
    let url: Url = super::parse::web_url(text, UPSTREAM)?;
    let (Some(host), Some(port)) = (url.host(), url.port_or_known_default()) else { return Err(wrong(text, UPSTREAM)) };
    if url.path() != "/" {
        return Err(wrong(text, UPSTREAM));
    }
    let host = match host {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    let ours = listen.is_some_and(|listen| {
        let wildcard = listen.ip().is_unspecified() || listen.ip().is_loopback();
        let same = host.parse().is_ok_and(|ip: std::net::IpAddr| ip == listen.ip());
        listen.port() == port && (same || (wildcard && is_loopback_host(&host)))
    });
    if ours {
        return Err(wrong(
            text,
            "that is server.listen: requests would go round in a circle; allowed: the application",
        ));
    }
    Ok(Upstream { host, port })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p10_hosts_have_one_spelling() {
        for text in ["App.Example.COM", "app.example.com.", "app.example.com"] {
            assert_eq!(host(text).as_deref(), Ok("app.example.com"));
        }
        assert_eq!(host("bücher.example").as_deref(), Ok("xn--bcher-kva.example"));
        for bad in ["*.example.com", "a:443", "https://a", "a/b", "", ".", "a..", "a b", "[::1]:80", "u@h", "%61"] {
            assert!(host(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_upstream_is_plain_http_without_a_path() {
        let listen = "0.0.0.0:4180".parse().ok();
        let read = |text| upstream(text, listen);
        assert_eq!(read("http://127.0.0.1:3000"), Ok(Upstream { host: String::from("127.0.0.1"), port: 3000 }));
        assert_eq!(read("http://[::1]/"), Ok(Upstream { host: String::from("::1"), port: 80 }));
        assert_eq!(read("http://app.localhost:3000").unwrap().host, "app.localhost");
        for (bad, says) in [
            ("https://app:3000", "https upstreams are not supported"),
            ("unix:/run/app.sock", "unix-socket upstreams are not supported"),
            ("http://app:3000/base", "without path"),
            ("http://app:3000?x", "without path"),
            ("http://bob:canary@app:3000", "user information"),
            ("127.0.0.1:3000", "http://host:port"),
            ("http://localhost:4180", "circle"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(says) && !error.contains("canary"), "{bad}: {error}");
        }
    }
}
