//! What others know of the application's users, and what becomes of cookies.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Response;
use http::header::{COOKIE, SET_COOKIE};

use super::*;
use crate::config::{self, Overrides};
use crate::directory::Switchboard;

const CONFIG: &str = r#"
[server]
public_url = "https://app.example.com"
environment = "production"
[apps.portal]
upstream = "http://127.0.0.1:3000"
[apps.portal.native]
sign_in = [{ path = "/login", username = "form:username", failure = "status:401" }]
allow = ["svc-billing"]
[connectors.acme]
kind = "google"
client_id = "x"
client_secret = "x"
[domains."acme.com"]
connector = "acme"
environment = "production"
"#;

/// Knows `alice`, who is of acme.com, and whoever is deactivated.
#[derive(Default)]
struct People {
    deactivated: Mutex<Option<String>>,
    asked: AtomicUsize,
    away: AtomicBool,
}

#[async_trait]
impl Persons for People {
    async fn is_deactivated(&self, _: &Id, name: &UserName) -> Result<bool, DirectoryError> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.away.load(Ordering::Relaxed) {
            return Err(DirectoryError::Unavailable("away".into()));
        }
        Ok(self.deactivated.lock().unwrap().as_deref() == Some(name.as_str()))
    }

    async fn after_native_sign_in(&self, _: &Id, name: &UserName, _: &response::Parts) -> Verdict {
        self.asked.fetch_add(1, Ordering::Relaxed);
        match name.as_str() {
            "alice" => Verdict::Withhold("sso_required"),
            name => Verdict::Keep(format!("{name}@initech.example").parse().ok()),
        }
    }
}

async fn native(people: &Arc<People>) -> (Native, Clock) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("anteroom.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let config = config::load(Some(&file), std::iter::empty(), &Overrides::default()).unwrap().config;
    let clock = Clock::manual(Timestamp::from_secs(1_800_000_000));
    let enforced = Arc::new(Enforced::new(&config, Switchboard::default(), clock.clone()));
    let people: Option<Arc<dyn Persons>> = Some(people.clone());
    (Native::open(&config, Directory::in_memory(), enforced, people, clock.clone()).await.unwrap(), clock)
}

fn answer(cookies: &[&str]) -> response::Parts {
    let mut answer = Response::new(());
    for cookie in cookies {
        answer.headers_mut().append(SET_COOKIE, cookie.parse().unwrap());
    }
    answer.into_parts().0
}

async fn remembered(native: &Native, cookie: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, cookie.parse().unwrap());
    !native.remembered(native.of(0).unwrap(), &headers).await.unwrap().is_empty()
}

fn name(text: &str) -> UserName {
    UserName::read(text).unwrap()
}

#[tokio::test]
async fn the_cookies_of_people_who_sign_in_elsewhere_are_withheld_and_of_services_nobody_is_asked() {
    let people = Arc::new(People::default());
    let (native, clock) = native(&people).await;
    let app = native.of(0).unwrap();
    let (cookie, other) = ("SID=0123456789abcdef", "SID=abcdefghijklmnop");
    assert_eq!(
        native.signed_in(app, &name("alice"), false, &HeaderMap::new(), &answer(&[cookie])).await,
        Verdict::Withhold("sso_required")
    );
    assert!(!remembered(&native, cookie).await, "what was withheld is not remembered");
    clock.advance(Duration::from_secs(10));
    let carol = native.signed_in(app, &name("carol"), false, &HeaderMap::new(), &answer(&[cookie])).await;
    assert_eq!(carol, Verdict::Keep("carol@initech.example".parse().ok()));
    assert!(remembered(&native, cookie).await);
    assert_eq!(people.asked.load(Ordering::Relaxed), 2);
    for (who, mobile) in [("svc-billing", false), ("alice", true)] {
        assert_eq!(
            native.signed_in(app, &name(who), mobile, &HeaderMap::new(), &answer(&[other])).await,
            Verdict::Keep(None),
            "{who}"
        );
    }
    assert_eq!(people.asked.load(Ordering::Relaxed), 2, "not asked of");
}

/// Applications that keep their session's id at the sign-in set nothing.
#[tokio::test]
async fn where_the_answer_sets_no_session_the_one_that_came_is_remembered() {
    let people = Arc::new(People::default());
    let (native, clock) = native(&people).await;
    let app = native.of(0).unwrap();
    let (old, new) = ("SID=0123456789abcdef", "SID=abcdefghijklmnop");
    let mut brought = HeaderMap::new();
    brought.insert(COOKIE, format!("lang=en; {old}").parse().unwrap());
    native.signed_in(app, &name("carol"), false, &brought, &answer(&[new])).await;
    assert!(!remembered(&native, old).await && remembered(&native, new).await, "it set another");
    clock.advance(Duration::from_secs(10));
    native.signed_in(app, &name("carol"), false, &brought, &answer(&["lang=de"])).await;
    assert!(remembered(&native, old).await);
    assert!(!remembered(&native, "lang=en").await);
}

/// N06
#[tokio::test]
async fn a_deactivated_user_is_known_within_a_minute() {
    let people = Arc::new(People::default());
    let (native, clock) = native(&people).await;
    let app = native.of(0).unwrap();
    let ask = async |who: &str| native.is_deactivated(app, &name(who)).await.ok();
    assert_eq!(ask("dora").await, Some(false));
    *people.deactivated.lock().unwrap() = Some("dora".to_owned());
    clock.advance(Duration::from_secs(29));
    assert_eq!(native.is_known_deactivated(app, &name("dora")), Some(false), "asked once in half a minute");
    assert_eq!(ask("dora").await, Some(false));
    clock.advance(Duration::from_secs(1));
    assert_eq!(native.is_known_deactivated(app, &name("dora")), None);
    assert_eq!((ask("dora").await, ask("carol").await), (Some(true), Some(false)));
    assert_eq!(people.asked.load(Ordering::Relaxed), 3);

    people.away.store(true, Ordering::Relaxed);
    clock.advance(Duration::from_secs(59));
    assert_eq!((ask("dora").await, ask("carol").await), (Some(true), Some(false)), "as it was said a minute ago");
    clock.advance(Duration::from_secs(1));
    assert_eq!((ask("dora").await, ask("carol").await, ask("new").await), (None, None, None));
}

#[tokio::test]
async fn only_secrets_are_remembered_and_of_one_person_each() {
    let people = Arc::new(People::default());
    let (native, clock) = native(&people).await;
    let app = native.of(0).unwrap();
    let sets = [
        "SID=0123456789abcdef; Path=/; HttpOnly; Expires=Thu, 01 Jan 2037 00:00:00 GMT",
        "lang=en",
        "theme=aaaaaaaaaaaaaaaaaaaaaaaa",
        "gone=0123456789abcdef; Max-Age=0",
        "past=0123456789abcdef; expires=Thu, 01 Jan 1970 00:00:01 GMT",
    ];
    native.signed_in(app, &name("carol"), false, &HeaderMap::new(), &answer(&sets)).await;
    for (set, counts) in sets.iter().zip([true, false, false, false, false]) {
        let pair = set.split(';').next().unwrap();
        assert_eq!(remembered(&native, pair).await, counts, "{set}");
        assert_eq!(remembered(&native, &format!("a=b; {pair} ;c=d")).await, counts, "{set}");
    }
    assert!(!remembered(&native, "SID=0123456789abcdeg").await);
    // The same value for somebody else: it is the application's, and nobody's secret.
    native.signed_in(app, &name("dora"), false, &HeaderMap::new(), &answer(&sets[..1])).await;
    clock.advance(Duration::from_secs(60));
    assert!(!remembered(&native, "SID=0123456789abcdef").await);
}
