//! The main road of a sign-in over SAML, from the application's page to the provider and back.

use std::time::Duration;

use anteroom::directory::Directory;
use serde_json::Value;

use crate::support::{
    Answer, App, Ask, Asked, Browser, PORTAL, SamlProvider, SamlTrial, Setup, Signing, attribute, between,
};

/// The claims of the assertion that the application got last.
fn told(app: &App) -> Value {
    let assertion = app.upstream.last().header("x-anteroom-assertion").unwrap().to_owned();
    let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = base64::Engine::decode(&engine, assertion.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice(&claims).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_leads_to_the_provider_and_back_to_the_page_first_asked_for() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let mut browser = app.browser();
        let refused = browser.visit("/report?month=5").await;
        assert_eq!(refused.status, 302);
        let fields = [("email", "Carol@Initech.com"), ("rd", "/report?month=5")];
        let choice = browser.send(Ask::form("/.anteroom/sign-in/start", &fields)).await;
        assert!(choice.text().contains("Log in with initech"), "{}", choice.text());
        let go = choice.links().into_iter().find(|link| link.contains("/sign-in/go?")).unwrap();

        let to_provider = browser.visit(&go).await;
        assert_eq!((to_provider.status, to_provider.reason()), (303, "sign_in_started"));
        assert_eq!(to_provider.header("referrer-policy"), Some("no-referrer"));
        let asked = Asked::read(&to_provider);
        assert_eq!(asked.to, "https://idp.initech.example/sign-on");
        assert_eq!(attribute(&asked.xml, "Destination").as_deref(), Some("https://idp.initech.example/sign-on"));
        assert_eq!(asked.acs_url, "https://app.example.com/.anteroom/saml/initech/acs");
        assert_eq!(asked.issuer, "https://app.example.com/.anteroom/saml/initech/metadata");
        assert_eq!(asked.parameters["login_hint"], "Carol@initech.com");
        let relay_state = asked.relay_state.clone().unwrap();
        assert!(relay_state.len() <= 80 && !relay_state.contains('/'), "an opaque reference: {relay_state}");
        let upstream = app.upstream.count();

        let posted = trial.post(&mut browser, &asked, &trial.words(&asked)).await;
        assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{posted:?}\n{}", app.log.taken());
        assert!(posted.all("set-cookie").all(|cookie| !cookie.starts_with("__Host-anteroom=")), "not yet");
        let done = trial.follow(&mut browser, posted).await;
        assert_eq!((done.status, done.location()), (303, "/report?month=5"), "{done:?}\n{}", app.log.taken());
        assert_eq!(app.upstream.count(), upstream, "nothing reaches the application before the end");
        assert!(browser.attempts().is_empty(), "the attempt's cookie is gone");

        let report = browser.visit("/report?month=5").await;
        assert_eq!((report.status, report.text().as_str()), (200, "the application"));
        let seen = app.upstream.last();
        assert_eq!(seen.header("x-forwarded-email"), Some("carol@initech.com"));
        assert_eq!(seen.header("x-anteroom-role"), Some("User"));
        assert_eq!(seen.header("x-anteroom-auth"), Some("saml"));
        assert_eq!(seen.header("x-anteroom-connector"), Some("initech"));
        assert_eq!(seen.header("cookie"), None, "our cookies end here");
        assert_eq!(told(&app)["email"], "carol@initech.com");
        app.advance(Duration::from_secs(1));
    }
}

/// E02: the provider's post is a cross-site one. The attempt's cookie alone is sent with it, and no other cookie of ours
/// may be.
#[tokio::test(flavor = "multi_thread")]
async fn the_cookie_of_an_attempt_over_saml_alone_is_sent_across_sites_e02() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.browser();
    let started = app.start_sign_in(&mut browser, "initech", "/report", "carol@initech.com").await;
    let lines: Vec<&str> = started.all("set-cookie").collect();
    let [line] = lines.as_slice() else { panic!("one cookie: {lines:?}") };
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert!(pair.starts_with("__Host-anteroom-try-"));
    let mut attributes: Vec<&str> = attributes.split("; ").collect();
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Max-Age=600", "Path=/", "SameSite=None", "Secure"]);

    let asked = Asked::read(&started);
    let posted = trial.post(&mut browser, &asked, &trial.words(&asked)).await;
    let others = posted.all("set-cookie").map(str::to_owned).collect::<Vec<_>>();
    let done = trial.follow(&mut browser, posted).await;
    assert!(!others.is_empty() && browser.session().is_some());
    for line in others.iter().map(String::as_str).chain(done.all("set-cookie")) {
        assert!(line.starts_with("__Host-anteroom") && line.contains("; SameSite=Lax"), "{line}");
        assert!(line.contains("; Secure") && line.contains("; HttpOnly") && line.contains("; Path=/"), "{line}");
        assert!(!line.contains("Domain="), "{line}");
    }
    // An attempt over OpenID Connect comes back by a redirect: Lax is enough for that.
    let oidc = app.start_sign_in(&mut app.browser(), "acme", "/", "alice@acme.com").await;
    assert!(oidc.all("set-cookie").all(|line| line.contains("; SameSite=Lax")));
}

/// The post is blind for the session; `done` sees it. One browser, one session: the old one ends (E01).
#[tokio::test(flavor = "multi_thread")]
async fn a_new_sign_in_takes_the_place_of_the_browsers_session() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.signed_in().await;
    let mut old = browser.clone();
    assert_eq!(old.visit("/").await.status, 200);
    trial.accepted("another person", &mut browser, |_| {}).await;
    browser.visit("/").await;
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("carol@initech.com"));
    assert_eq!(old.visit("/").await.status, 302, "the session before is over");
}

/// R09: where the response goes does not depend on who asks how.
/// The provider says how long a session may last (S18): in the process that made it and in another, not a moment longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_its_provider_says_s18() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector("")).directory(Directory::in_memory())).await;
    let (trial, another) = (SamlTrial::new(&app, &idp), app.another().await);
    let (mut bounded, mut unbounded) = (app.browser(), app.browser());
    let end = app.clock.now().plus(Duration::from_secs(20 * 60));
    trial
        .accepted("until then", &mut bounded, |words| {
            let more = format!("<saml:AuthnStatement SessionNotOnOrAfter=\"{}\"", end.rfc3339());
            words.before(move |xml| xml.replacen("<saml:AuthnStatement", &more, 1));
        })
        .await;
    trial.accepted("without an end", &mut unbounded, |_| {}).await;
    let mut elsewhere = bounded.at(another.address);
    app.advance(end.since(app.clock.now()) - Duration::from_secs(2));
    assert_eq!((bounded.visit("/").await.status, elsewhere.visit("/").await.status), (200, 200));
    app.advance(Duration::from_secs(3));
    for (row, browser) in [("here", &mut bounded), ("elsewhere", &mut elsewhere)] {
        assert_eq!(browser.visit("/").await.status, 302, "{row}");
    }
    assert_eq!(unbounded.visit("/").await.status, 200, "the twin");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header_changes_what_the_provider_is_told_r09() {
    let idp = SamlProvider::new("initech", "carol");
    let setup = Setup::new().with(&idp.connector("")).replacing("workers = 2", "workers = 1");
    let app = App::start_with(setup).await;
    let page = || Ask::page("/.anteroom/sign-in/go?connector=initech&rd=/report");
    let honest = Asked::read(&app.send(&page()).await);
    let varies = |xml: &str| {
        let times = |name: &str| attribute(xml, name).unwrap();
        xml.replace(&times("ID"), "").replace(&times("IssueInstant"), "")
    };
    for (name, value) in [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "8443"),
        ("Forwarded", "host=evil.example"),
        ("X-Original-URL", "https://evil.example/"),
        ("Origin", "https://evil.example"),
        ("Referer", "https://evil.example/"),
    ] {
        let asked = Asked::read(&app.send(&page().with(name, value)).await);
        assert_eq!(varies(&asked.xml), varies(&honest.xml), "{name}");
        assert!(!asked.xml.contains("evil"), "{name}");
    }
    for host in ["evil.example", "app.example.com.evil.example", "app.example.com@evil.example"] {
        let answer = app.send(&page().host(host)).await;
        assert!(matches!(answer.status, 400 | 421), "{host}: {answer:?}");
        assert_eq!(answer.header("location"), None, "{host}");
    }
    let port = Asked::read(&app.send(&page().host("app.example.com:443")).await);
    assert_eq!(varies(&port.xml), varies(&honest.xml));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_takes_posts_alone_gets_a_form_that_posts_itself() {
    let idp = SamlProvider::new("initech", "carol");
    idp.publish(|metadata| metadata.sign_on = vec!["HTTP-POST"]);
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.browser();
    let link = "/.anteroom/sign-in/go?connector=initech&rd=/report&login_hint=carol@initech.com";
    let page = browser.visit(link).await;
    assert_eq!((page.status, page.reason()), (200, "sign_in_started"), "{page:?}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'sha256-"), "{policy}");
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let asked = Asked::read(&page);
    assert_eq!(asked.to, "https://idp.initech.example/sign-on");
    assert!(!asked.xml.contains("Signature"), "nobody asked for one");
    let done = trial.answer(&mut browser, &asked, &trial.words(&asked)).await;
    assert_eq!((done.status, done.location()), (303, "/report"), "{done:?}\n{}", app.log.taken());
}

/// Our own key and certificate are in our metadata, and what we sign is signed by them.
#[tokio::test(flavor = "multi_thread")]
async fn requests_are_signed_where_the_providers_metadata_wants_it() {
    for (row, binding, wanted, setting, signed) in [
        ("wanted", "HTTP-Redirect", true, "", true),
        ("wanted by post", "HTTP-POST", true, "", true),
        ("set", "HTTP-Redirect", false, "sign_requests = true", true),
        ("neither", "HTTP-Redirect", false, "", false),
        ("refused by setting", "HTTP-Redirect", true, "sign_requests = false", false),
    ] {
        let idp = SamlProvider::new("initech", "carol");
        idp.publish(|metadata| (metadata.wants_signed, metadata.sign_on) = (wanted, vec![binding]));
        let app = App::start_with(Setup::new().with(&idp.connector(setting))).await;
        let answer = app.browser().visit("/.anteroom/sign-in/go?connector=initech").await;
        let asked = Asked::read(&answer);
        let own = app.send(&Ask::get("/.anteroom/saml/initech/metadata")).await;
        assert_eq!((own.status, own.header("content-type")), (200, Some("application/samlmetadata+xml")), "{row}");
        let published = own.text();
        let certificate = between(&published, "use=\"signing\"", "</").unwrap();
        let certificate = between(certificate, "X509Certificate>", "\0").unwrap_or(certificate);
        let certificate: String = certificate.split('>').next_back().unwrap().split_whitespace().collect();
        match (binding, signed) {
            (_, false) => assert!(!asked.xml.contains("Signature") && !asked.parameters.contains_key("Signature")),
            ("HTTP-POST", true) => {
                assert!(asked.xml.contains(&format!("<ds:X509Certificate>{certificate}</")), "{row}: {}", asked.xml);
            }
            (_, true) => {
                let link = answer.location();
                let octets = link.split_once('?').unwrap().1.split("&Signature=").next().unwrap();
                assert!(octets.contains("&RelayState=") && octets.contains("&SigAlg="), "{row}: {octets}");
                let der = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &certificate).unwrap();
                assert!(verifies(&der, octets.as_bytes(), &asked.parameters["Signature"]), "{row}");
                assert!(!verifies(&der, format!("{octets}x").as_bytes(), &asked.parameters["Signature"]), "{row}");
            }
        }
    }
}

/// Whether the key of a certificate signed these bytes, by aws-lc alone.
fn verifies(certificate: &[u8], octets: &[u8], signature: &str) -> bool {
    let key = bergshamra::keys::loader::load_x509_cert_der(certificate).unwrap().to_spki_der().unwrap();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, key);
    let signature = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    key.verify(octets, &signature).is_ok()
}

/// R3 over SAML.
#[tokio::test(flavor = "multi_thread")]
async fn another_address_than_the_one_typed_is_asked_about_and_confirmed_once() {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(""))).await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.browser();
    let asked = Asked::read(&app.start_sign_in(&mut browser, "initech", "/report?month=5", "dora@initech.com").await);
    let page = trial.answer(&mut browser, &asked, &trial.words(&asked)).await;
    assert_eq!((page.status, page.reason()), (200, "address_mismatch"), "{page:?}");
    assert!(page.text().contains("dora@initech.com") && page.text().contains("Continue as carol@initech.com"));
    assert!(browser.session().is_none(), "nothing is decided yet");
    let attempt = page.field("attempt").unwrap();
    let confirm = || Ask::form("/.anteroom/sign-in/continue", &[("attempt", &attempt)]);
    assert_eq!(app.browser().send(confirm()).await.status, 400, "a stranger");
    let mut copy = browser.clone();
    let confirmed = browser.send(confirm()).await;
    assert_eq!((confirmed.status, confirmed.location()), (303, "/report?month=5"), "{}", app.log.taken());
    assert!(browser.session().is_some() && browser.attempts().is_empty());
    assert_eq!(browser.visit("/report?month=5").await.status, 200);
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("carol@initech.com"));
    assert_eq!(copy.send(confirm()).await.status, 400, "once");
    assert!(copy.session().is_none());
}

/// R8, R10: an existing registration, whose reply URL is on a host of its own and whose entity id is somebody else's.
#[tokio::test(flavor = "multi_thread")]
async fn an_existing_registration_with_a_reply_url_on_another_host_goes_on_working_r8() {
    let idp = SamlProvider::new("initech", "carol");
    let settings = "entity_id = \"urn:amazon:cognito:sp:us-east-1_x\"\n\
                    acs_url = \"https://login.example.com/saml2/idpresponse\"\n";
    let app = App::start_with(Setup::new().with(&idp.connector(settings))).await;
    let mut browser = app.browser();
    let to_provider =
        travel(&mut browser, &format!("{PORTAL}/.anteroom/sign-in/go?connector=initech&rd=/report")).await;
    let asked = Asked::read(&to_provider);
    assert_eq!(asked.acs_url, "https://login.example.com/saml2/idpresponse");
    assert_eq!(asked.issuer, "urn:amazon:cognito:sp:us-east-1_x");
    assert!(!browser.jar("login.example.com").is_empty(), "the attempt is where the answer will be posted");
    let trial = SamlTrial::new(&app, &idp);
    let (xml, relay_state) = (trial.words(&asked).response(), asked.relay_state.as_deref());
    // The path is this one's alone, and on that host alone.
    let ask = trial.ask(&xml, relay_state).to("/saml2/idpresponse");
    let elsewhere = browser.clone().send_from_elsewhere(ask.clone()).await;
    assert_ne!(
        elsewhere.reason(),
        "saml_received",
        "on the application's host the path is the application's: {elsewhere:?}"
    );
    let posted = browser.send_from_elsewhere(ask.host("login.example.com")).await;
    assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{posted:?}\n{}", app.log.taken());
    let next = url::Url::parse("https://login.example.com").unwrap().join(posted.location()).unwrap();
    let page = travel(&mut browser, next.as_str()).await;
    assert_eq!((page.status, page.text().as_str()), (200, "the application"), "{page:?}");
    assert_eq!(app.upstream.last().target, "/report");
    assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("carol@initech.com"));
}

/// R8, R10, S20: nothing is to be seen where its responses are posted to. Whoever comes from the provider's portal, signed
/// in there or not, gets to the application all the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_tile_leads_to_the_application_though_responses_are_posted_to_a_host_without_one_s20() {
    for (taken, sign_ins) in [("allow_idp_initiated = true\n", 2), ("", 1)] {
        let idp = SamlProvider::new("initech", "carol");
        let settings = format!("acs_url = \"https://login.example.com/acs\"\n{taken}");
        let app = App::start_with(Setup::new().with(&idp.connector(&settings))).await;
        let trial = SamlTrial::new(&app, &idp);
        let post = async |browser: &mut Browser, xml: &str, relay_state: Option<&str>| {
            let ask = trial.ask(xml, relay_state).to("/acs").host("login.example.com");
            let posted = browser.send_from_elsewhere(ask).await;
            assert_eq!((posted.status, posted.reason()), (303, "saml_received"), "{posted:?}");
            let next = url::Url::parse("https://login.example.com").unwrap().join(posted.location()).unwrap();
            travel(browser, next.as_str()).await
        };
        let mut browser = app.browser();
        // What a real request says of our address and name; this browser made none.
        let shown = travel(&mut app.browser(), &format!("{PORTAL}/.anteroom/sign-in/go?connector=initech")).await;
        let mut tile = trial.words(&Asked::read(&shown));
        tile.in_response_to = None;
        let to_provider = post(&mut browser, &tile.response(), None).await;
        let asked = Asked::read(&to_provider);
        let page = post(&mut browser, &trial.words(&asked).response(), asked.relay_state.as_deref()).await;
        assert_eq!((page.status, page.text().as_str()), (200, "the application"), "{taken}{page:?}");
        assert_eq!(app.upstream.last().header("x-forwarded-email"), Some("carol@initech.com"));
        let accepted = app.events().iter().filter(|event| event["event"] == "login.accepted").count();
        assert_eq!(accepted, sign_ins, "{taken}");
        // Again, by somebody who is signed in on both hosts.
        tile = trial.words(&Asked::read(&shown));
        tile.in_response_to = None;
        let again = post(&mut browser, &tile.response(), None).await;
        let asked = Asked::read(&again);
        let page = post(&mut browser, &trial.words(&asked).response(), asked.relay_state.as_deref()).await;
        assert_eq!((page.status, page.text().as_str()), (200, "the application"), "{taken}{page:?}");
    }
}

/// Follows redirects between our hosts; the answer that is none, or that leads to a provider.
pub async fn travel(browser: &mut Browser, from: &str) -> Answer {
    let mut url = url::Url::parse(from).unwrap();
    for _ in 0..12 {
        let answer = browser.open(url.as_str()).await;
        if !matches!(answer.status, 302 | 303) {
            return answer;
        }
        url = url.join(answer.location()).unwrap();
        if url.host_str().is_some_and(|host| host.ends_with(".example")) {
            return answer;
        }
    }
    panic!("{from} goes round for ever, last to {url}");
}
