//! Single logout over SAML: ours goes on to the provider, the provider's ends sessions here.

use anteroom::directory::Directory;
use serde_json::json;

use crate::support::{
    App, Ask, Asked, Browser, SamlProvider, SamlTrial, Setup, Way, between, name_id, spoilable, until_async,
};

const PARTIAL: &str = "urn:oasis:names:tc:SAML:2.0:status:PartialLogout";

async fn start() -> (App, SamlProvider, SamlProvider) {
    let (initech, hooli) = (SamlProvider::new("initech", "carol"), SamlProvider::new("hooli", "carol"));
    let setup = Setup::new().with(&initech.connector("")).with(&hooli.connector("")).directory(Directory::in_memory());
    (App::start_with(setup).await, initech, hooli)
}

async fn is_signed_in(browser: &mut Browser) -> bool {
    browser.visit("/").await.status == 200
}

/// Whether the link of an answer is signed by the key of our metadata.
async fn is_ours(app: &App, link: &str) -> bool {
    let own = app.send(&Ask::get("/.anteroom/saml/initech/metadata")).await.text();
    let key = own.split("<md:KeyDescriptor").find(|key| key.contains("use=\"signing\"")).unwrap();
    let text = key.split_once("X509Certificate>").unwrap().1.split_once('<').unwrap().0;
    let engine = base64::engine::general_purpose::STANDARD;
    let decode = |text: &str| base64::Engine::decode(&engine, text).unwrap();
    let certificate = decode(&text.split_whitespace().collect::<String>());
    let key = bergshamra::keys::loader::load_x509_cert_der(&certificate).unwrap().to_spki_der().unwrap();
    let key = aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256, key);
    let (octets, signature) = link.split_once('?').unwrap().1.split_once("&Signature=").unwrap();
    let signature = percent_encoding::percent_decode_str(signature).decode_utf8().unwrap();
    key.verify(octets.as_bytes(), &decode(&signature)).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_here_goes_on_to_the_provider_and_comes_back() {
    let (app, idp, _) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    for way in [Way::Link, Way::Form] {
        for (partial, sub) in [(false, None), (true, Some(PARTIAL))] {
            idp.publish(|metadata| {
                metadata.logout = vec![if way == Way::Link { "HTTP-Redirect" } else { "HTTP-POST" }];
            });
            app.advance(std::time::Duration::from_secs(600));
            let mut browser = trial.signed_in().await;
            let mut copy = browser.clone();
            app.log.taken();
            let out = browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
            assert_eq!(out.reason(), "signed_out", "{out:?}");
            assert!(browser.session().is_none() && !is_signed_in(&mut copy).await, "ours first");
            let asked = Asked::read(&out);
            assert_eq!(asked.to, "https://idp.initech.example/logout");
            assert_eq!(asked.issuer, "https://app.example.com/.anteroom/saml/initech/metadata");
            assert!(asked.xml.contains(&name_id("persistent-carol")), "as it came: {}", asked.xml);
            assert!(asked.xml.contains("<samlp:SessionIndex>session-of-carol</samlp:SessionIndex>"), "{}", asked.xml);
            match way {
                Way::Link => assert!(is_ours(&app, out.location()).await),
                Way::Form => assert!(asked.xml.contains("<ds:SignatureValue>"), "{}", asked.xml),
            }
            let words = idp.logout_words(app.clock.now());
            let xml = words.response(&asked.id, None, sub);
            let ask = idp.brings(way, &words, "SAMLResponse", &xml, asked.relay_state.as_deref());
            let back = browser.send_from_elsewhere(ask).await;
            let done = if partial { "/.anteroom/sign-out/done?connector=initech" } else { "/.anteroom/sign-out/done" };
            assert_eq!((back.status, back.reason(), back.location()), (303, "signed_out", done), "{way:?}: {back:?}");
            let page = browser.visit(done).await;
            assert_eq!(page.text().contains("You may still be signed in at initech."), partial);
        }
    }
}

/// L14: a provider without single logout keeps its session, and the page says whose.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_single_logout_is_named() {
    let (app, idp, _) = start().await;
    idp.publish(|metadata| metadata.logout.clear());
    app.advance(std::time::Duration::from_secs(15));
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    let out = browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert_eq!((out.status, out.location()), (303, "/.anteroom/sign-out/done?connector=initech"));
}

/// A sign-out elsewhere ends the session here, by what is signed alone: no cookie of ours goes with it, or need be there.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_at_the_provider_ends_the_session_here() {
    let (app, idp, hooli) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    let mut elsewhere = SamlTrial::new(&app, &hooli).signed_in().await;
    for way in [Way::Link, Way::Form] {
        for relay_state in [None, Some("an opaque&reference=/of theirs")] {
            idp.publish(|metadata| {
                metadata.logout = vec![if way == Way::Link { "HTTP-Redirect" } else { "HTTP-POST" }];
            });
            app.advance(std::time::Duration::from_secs(600));
            let mut browser = trial.signed_in().await;
            let mut other = app.browser();
            trial.accepted("another session", &mut other, |words| words.session_index = Some("another".into())).await;
            app.log.taken();
            let words = idp.logout_words(app.clock.now());
            let ask = idp.brings(way, &words, "SAMLRequest", &words.request(), relay_state);
            let back = app.browser().send_from_elsewhere(ask.clone()).await;
            assert_eq!(back.reason(), "saml_logout", "{way:?} {relay_state:?}: {back:?}\n{}", app.log.taken());
            let events = app.events();
            let [event] = events.as_slice() else { panic!("{events:?}") };
            assert_eq!((&event["event"], &event["reason"]), (&json!("session.ended"), &json!("saml_logout")));
            assert_eq!(event["user"], "carol@initech.com");
            // The answer names the request, and brings the provider's own word back as it came.
            let answer = Asked::read_message(&back, "SAMLResponse");
            assert_eq!(answer.to, "https://idp.initech.example/logout");
            assert_eq!(answer.relay_state.as_deref(), relay_state);
            assert!(answer.xml.contains(&format!(" InResponseTo=\"{}\"", words.id)), "{}", answer.xml);
            assert!(answer.xml.contains("status:Success"), "{}", answer.xml);
            if way == Way::Link {
                assert!(is_ours(&app, back.location()).await);
            }
            assert!(!is_signed_in(&mut browser).await);
            assert!(is_signed_in(&mut other).await, "the other session is not concerned");
            assert!(is_signed_in(&mut elsewhere).await, "nor is that of a namesake elsewhere");
            // Once.
            let again = app.browser().send_from_elsewhere(ask).await;
            assert_eq!((again.status, again.reason()), (400, "saml_replay"), "{again:?}");
            // Without an index it is for all of the person's sessions.
            app.advance(std::time::Duration::from_secs(1));
            let mut words = idp.logout_words(app.clock.now());
            words.session_indexes.clear();
            let mut here = trial.signed_in().await;
            app.advance(std::time::Duration::from_secs(1));
            words.now = app.clock.now();
            let ask = idp.brings(way, &words, "SAMLRequest", &words.request(), None);
            assert_eq!(app.browser().send_from_elsewhere(ask).await.reason(), "saml_logout");
            assert!(!is_signed_in(&mut here).await && !is_signed_in(&mut other).await);
            assert!(is_signed_in(&mut elsewhere).await);
        }
    }
}

/// Where the assertion had no index, the person's name finds the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_the_provider_gave_no_index_ends_by_its_persons_name() {
    let (app, idp, _) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    // None, and one that is longer than what is kept.
    for index in [None, Some("x".repeat(300))] {
        let (mut browser, mut other) = (app.browser(), app.browser());
        trial.accepted("without an index", &mut browser, |words| words.session_index.clone_from(&index)).await;
        let erin = "erin@initech.com";
        let asked = Asked::read(&app.start_sign_in(&mut other, "initech", "/report", erin).await);
        let mut words = trial.words(&asked);
        words.session_index.clone_from(&index);
        words.name_id.1 = "persistent-erin".to_owned();
        words.attributes[0].1 = vec![erin.to_owned()];
        assert_eq!(trial.answer(&mut other, &asked, &words).await.reason(), "signed_in", "somebody else");
        app.advance(std::time::Duration::from_secs(1));
        let mut words = idp.logout_words(app.clock.now());
        words.session_indexes = vec![index.clone().unwrap_or_else(|| "whatever".to_owned())];
        let ask = idp.brings(Way::Link, &words, "SAMLRequest", &words.request(), None);
        assert_eq!(app.send(&ask).await.reason(), "saml_logout");
        assert!(!is_signed_in(&mut browser).await, "{index:?}");
        assert!(is_signed_in(&mut other).await, "{index:?}");
        app.advance(std::time::Duration::from_secs(2));
    }
}

/// Providers escape as they like: what is signed is what came.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_verified_as_it_came_s26() {
    let (app, idp, _) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    type Rewrite = fn(&str) -> String;
    let rows: [(&str, Rewrite); 3] = [
        ("lower case", |query| {
            let mut out = String::new();
            let mut parts = query.split('%');
            out.push_str(parts.next().unwrap());
            for part in parts {
                out.push_str(&format!("%{}{}", part[..2].to_lowercase(), &part[2..]));
            }
            out
        }),
        ("no more than needed", |query| {
            query.replace("%2D", "-").replace("%2E", ".").replace("%5F", "_").replace("%3A", ":")
        }),
        ("a blank as a plus", |query| query.replace("%20", "+")),
    ];
    for (row, rewrite) in rows {
        let mut browser = trial.signed_in().await;
        app.advance(std::time::Duration::from_secs(1));
        let words = idp.logout_words(app.clock.now());
        let honest = words.query("SAMLRequest", &words.request(), Some("a reference of-theirs"));
        let octets = rewrite(honest.split("&Signature=").next().unwrap());
        let signature = crate::support::escape(&words.key.sign_bytes(octets.as_bytes()));
        let answer = app.send(&idp.link(&format!("{octets}&Signature={signature}"))).await;
        assert_eq!(answer.reason(), "saml_logout", "{row}: {answer:?}");
        assert!(!is_signed_in(&mut browser).await, "{row}");
        // Parameters of others beside, and the signature first, as some have it.
        app.advance(std::time::Duration::from_secs(1));
        let mut browser = trial.signed_in().await;
        app.advance(std::time::Duration::from_secs(1));
        let words = idp.logout_words(app.clock.now());
        let query = words.query("SAMLRequest", &words.request(), None);
        let (octets, signature) = query.split_once("&Signature=").unwrap();
        let answer = app.send(&idp.link(&format!("Signature={signature}&{octets}&locale=de"))).await;
        assert_eq!(answer.reason(), "saml_logout", "{row}: {answer:?}");
        assert!(!is_signed_in(&mut browser).await, "{row}");
        app.advance(std::time::Duration::from_secs(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_counts_in_every_process() {
    let (app, idp, _) = start().await;
    let another = app.another().await;
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    assert!(is_signed_in(&mut browser).await);
    app.advance(std::time::Duration::from_secs(1));
    let words = idp.logout_words(app.clock.now());
    let ask = idp.brings(Way::Form, &words, "SAMLRequest", &words.request(), None);
    assert_eq!(another.send(&ask).await.reason(), "saml_logout");
    until_async("the first process knows", || async { !is_signed_in(&mut browser.clone()).await }).await;
    assert_eq!(app.send(&ask).await.reason(), "saml_replay", "used up for all of them");
}

/// With the directory away nobody can tell: nothing is used up, and the same message works afterwards.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_directory_it_says_that_it_did_not_work() {
    let idp = SamlProvider::new("initech", "carol");
    let (directory, away) = spoilable();
    let app = App::start_with(Setup::new().with(&idp.connector("")).directory(directory)).await;
    let mut browser = SamlTrial::new(&app, &idp).signed_in().await;
    app.advance(std::time::Duration::from_secs(1));
    for way in [Way::Link, Way::Form] {
        let words = idp.logout_words(app.clock.now());
        let ask = idp.brings(way, &words, "SAMLRequest", &words.request(), None);
        away.all(true);
        app.log.taken();
        let answer = app.send(&ask).await;
        assert_eq!((answer.status, answer.reason()), (503, "directory_unavailable"), "{answer:?}");
        assert!(answer.header("retry-after").is_some());
        assert!(app.events().iter().any(|event| event["event"] == "logout.rejected"));
        away.all(false);
        assert_eq!(app.send(&ask).await.reason(), "saml_logout");
        assert!(!is_signed_in(&mut browser).await);
        app.advance(std::time::Duration::from_secs(1));
        browser = SamlTrial::new(&app, &idp).signed_in().await;
        app.advance(std::time::Duration::from_secs(1));
    }
}

/// The page that posts our answer names its target, and posts there alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_answer_by_form_posts_itself_and_says_nothing() {
    let (app, idp, _) = start().await;
    idp.publish(|metadata| metadata.logout = vec!["HTTP-POST"]);
    app.advance(std::time::Duration::from_secs(15));
    let words = idp.logout_words(app.clock.now());
    let state = "\"><script>alert(1)</script>";
    let ask = idp.brings(Way::Form, &words, "SAMLRequest", &words.request(), Some(state));
    let page = app.send(&ask).await;
    assert_eq!((page.status, page.reason()), (200, "saml_logout"), "{page:?}");
    assert!(!page.text().contains("<script>alert"), "{}", page.text());
    assert_eq!(between(&page.text(), "action=\"", "\""), Some("https://idp.initech.example/logout"));
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert_eq!(page.header("x-frame-options"), Some("DENY"));
    assert!(!page.text().contains("carol"), "nobody is named in clear");
}
