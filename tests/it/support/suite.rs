//! Applications on hosts of their own beside `app.example.com`.

use super::app::{App, Setup};
use super::browser::Browser;
use super::http::Answer;

/// The sign-in host, an application too.
pub const PORTAL: &str = "https://app.example.com";
/// An application on an unrelated host.
pub const SUITE: &str = "https://suite.example.org";
/// Another, below the sign-in host's domain.
pub const WIKI: &str = "https://wiki.example.com";

impl Setup {
    /// The usual application, and two more on hosts of their own.
    pub fn suite() -> Self {
        Self::new()
            .with(
                "[apps.suite]\npublic_url = \"https://suite.example.org\"\nupstream = \"$upstream\"\nsign_out = \"/logout\"",
            )
            .with("[apps.wiki]\npublic_url = \"https://wiki.example.com\"\nupstream = \"$upstream\"")
    }
}

impl App {
    /// The usual application, and two more on hosts of their own.
    pub async fn suite() -> Self {
        Self::start_with(Setup::suite()).await
    }

    /// Follows redirects between our hosts; the answer that is none, or that leads to a provider.
    pub async fn follow(&self, browser: &mut Browser, from: &str) -> Answer {
        let mut url = url::Url::parse(from).unwrap();
        for _ in 0..12 {
            let answer = browser.open(url.as_str()).await;
            if !matches!(answer.status, 302 | 303) {
                return answer;
            }
            url = url.join(answer.location()).unwrap();
            if url.scheme() == "http" {
                return answer;
            }
        }
        panic!("{from} goes round for ever, last to {url}");
    }

    /// From a page of another host, in a browser that has a session at the sign-in host, to the link that ends its
    /// hand-off.
    pub async fn code_for(&self, browser: &mut Browser, page: &str) -> String {
        let refused = browser.open(page).await;
        assert_eq!((refused.status, refused.reason()), (302, "sign_in_required"), "{refused:?}");
        let started = browser.open(refused.location()).await;
        assert_eq!((started.status, started.reason()), (303, "hand_off_started"), "{started:?}");
        let signed_in = browser.open(started.location()).await;
        assert_eq!((signed_in.status, signed_in.reason()), (303, "already_signed_in"), "{signed_in:?}");
        let code = browser.open(&format!("{PORTAL}{}", signed_in.location())).await;
        assert_eq!((code.status, code.reason()), (303, "hand_off"), "{code:?}");
        code.location().to_owned()
    }
}

impl Browser {
    /// The session cookie's value on another host.
    pub fn session_at(&self, host: &str) -> Option<&str> {
        self.elsewhere.get(host)?.get("__Host-anteroom").map(String::as_str)
    }

    /// The attempt cookies' names on another host.
    pub fn attempts_at(&self, host: &str) -> Vec<&str> {
        let jar = self.elsewhere.get(host).into_iter().flat_map(|jar| jar.keys());
        jar.filter(|name| name.starts_with("__Host-anteroom-try-")).map(String::as_str).collect()
    }
}
