//! A browser in miniature: a cookie jar, and the links and forms of our own pages.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use super::http::{Answer, Ask, Connection};

/// Cookies, as a browser would keep them; one connection per request.
#[derive(Clone)]
pub struct Browser {
    address: SocketAddr,
    /// Those of `app.example.com` alone.
    pub cookies: BTreeMap<String, String>,
    /// Those of other hosts alone, by host.
    pub elsewhere: BTreeMap<String, BTreeMap<String, String>>,
    /// Those with a Domain, by it and the name.
    pub shared: BTreeMap<(String, String), String>,
    /// Host and name of those with `SameSite=None`.
    everywhere: BTreeSet<(String, String)>,
}

/// The host whose cookies are in [`Browser::cookies`].
const HERE: &str = "app.example.com";

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        Self {
            address,
            cookies: BTreeMap::new(),
            elsewhere: BTreeMap::new(),
            shared: BTreeMap::new(),
            everywhere: BTreeSet::new(),
        }
    }

    /// The same browser in front of another process.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, ..self.clone() }
    }

    /// Sends the request with the jar's cookies, and keeps the answer's.
    pub async fn send(&mut self, ask: Ask) -> Answer {
        let host = ask.headers.iter().find(|(name, _)| name == "Host").map_or(HERE, |(_, host)| host.as_str());
        let host = host.split(':').next().unwrap().trim_end_matches('.').to_ascii_lowercase();
        let below = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
        let cookies = self.jar(&host).clone();
        let shared =
            self.shared.iter().filter(|((domain, _), _)| below(domain)).map(|((_, name), value)| (name, value));
        let cookies = cookies.iter().chain(shared).map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = cookies.collect();
        let ask = if cookies.is_empty() { ask } else { ask.with("Cookie", &cookies.join("; ")) };
        let answer = Connection::open(self.address).await.send(&ask).await;
        self.keep(&answer, &host);
        answer
    }

    /// The cookies of `host` alone.
    pub fn jar(&mut self, host: &str) -> &mut BTreeMap<String, String> {
        if host == HERE { &mut self.cookies } else { self.elsewhere.entry(host.to_owned()).or_default() }
    }

    fn keep(&mut self, answer: &Answer, host: &str) {
        for line in answer.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            let key = (host.to_owned(), name.to_owned());
            if attributes.contains("SameSite=None") {
                assert!(attributes.contains("Secure"), "no browser keeps {line}");
                self.everywhere.insert(key);
            } else {
                self.everywhere.remove(&key);
            }
            let gone = attributes.contains("Max-Age=0");
            let domain = attributes.split("; ").find_map(|attribute| attribute.strip_prefix("Domain="));
            match (domain, gone) {
                (None, true) => drop(self.jar(host).remove(name)),
                (None, false) => drop(self.jar(host).insert(name.to_owned(), value.to_owned())),
                (Some(domain), true) => drop(self.shared.remove(&(domain.to_owned(), name.to_owned()))),
                (Some(domain), false) => {
                    assert!(!name.starts_with("__Host-"), "no browser keeps {line}");
                    self.shared.insert((domain.to_owned(), name.to_owned()), value.to_owned());
                }
            }
        }
    }

    /// A top-level navigation to a URL on one of our hosts.
    pub async fn open(&mut self, url: &str) -> Answer {
        let url = url::Url::parse(url).unwrap();
        assert_eq!(url.scheme(), "https", "{url}");
        let target = &url[url::Position::BeforePath..url::Position::AfterQuery];
        self.send(Ask::page(target).host(url.host_str().unwrap())).await
    }

    /// A top-level navigation.
    pub async fn visit(&mut self, target: &str) -> Answer {
        self.send(Ask::page(target)).await
    }

    /// The session cookie's value.
    pub fn session(&self) -> Option<&str> {
        self.cookies.get("__Host-anteroom").map(String::as_str)
    }

    /// The attempt cookies' names.
    pub fn attempts(&self) -> Vec<&str> {
        self.cookies.keys().filter(|name| name.starts_with("__Host-anteroom-try-")).map(String::as_str).collect()
    }
}

impl Browser {
    /// Posts from a page of another site: the cookies with `SameSite=None` go with it, and no others (RFC 6265bis section
    /// 5.6.7.1). The answer's are kept, whatever they are: it is a navigation.
    pub async fn send_from_elsewhere(&mut self, ask: Ask) -> Answer {
        let host = ask.headers.iter().find(|(name, _)| name == "Host").map_or(HERE, |(_, host)| host.as_str());
        let (host, everywhere) = (host.to_owned(), self.everywhere.clone());
        let sent = |name: &String| everywhere.contains(&(host.clone(), name.clone()));
        let cookies = self.jar(&host).clone();
        let cookies = cookies.iter().filter(|(name, _)| sent(name)).map(|(name, value)| format!("{name}={value}"));
        let cookies: Vec<String> = cookies.collect();
        let ask = if cookies.is_empty() { ask } else { ask.with("Cookie", &cookies.join("; ")) };
        let answer = Connection::open(self.address).await.send(&ask).await;
        self.keep(&answer, &host);
        answer
    }
}
