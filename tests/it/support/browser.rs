//! A browser in miniature: a cookie jar, and the links and forms of our own pages.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::http::{Answer, Ask, Connection};

/// Cookies of one host, as a browser would keep them; one connection per request.
#[derive(Clone)]
pub struct Browser {
    address: SocketAddr,
    pub cookies: BTreeMap<String, String>,
}

impl Browser {
    pub fn new(address: SocketAddr) -> Self {
        Self { address, cookies: BTreeMap::new() }
    }

    /// The same browser in front of another process.
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { address, cookies: self.cookies.clone() }
    }

    /// Sends the request with the jar's cookies, and keeps the answer's.
    pub async fn send(&mut self, ask: Ask) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let ask = if cookies.is_empty() { ask } else { ask.with("Cookie", &cookies.join("; ")) };
        let answer = Connection::open(self.address).await.send(&ask).await;
        self.keep(&answer);
        answer
    }

    fn keep(&mut self, answer: &Answer) {
        for line in answer.all("set-cookie") {
            let (pair, attributes) = line.split_once(';').unwrap_or((line, ""));
            let (name, value) = pair.split_once('=').unwrap();
            if attributes.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
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
