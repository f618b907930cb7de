//! What a callback must be (security cases O17–O26), and what becomes of attempts: tabs side by side, stale answers,
//! redemption once, nothing left behind.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{App, Ask, Browser, Setup, Trial, Watch, b64};

type Query = BTreeMap<String, String>;

fn encoded(query: &Query) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish()
}

fn at(connector: &str, query: &str) -> Ask {
    App::callback(connector, &Query::new()).to(&format!("/.anteroom/oidc/{connector}/callback?{query}"))
}

/// A message that does not match the browser's attempt is refused before anybody is asked, and does not use the attempt
/// up: the honest answer to the same attempt, which comes next, is taken (G3, G7).
async fn stray(app: &App, row: &str, reason: &str, message: impl Fn(&Query) -> Ask) -> Value {
    let trial = Trial::acme(app);
    app.acme.honest();
    let mut browser = app.browser();
    let query = trial.begin(&mut browser).await;
    let attempts = browser.attempts().len();
    let (tokens, others) = (app.acme.count("/token"), app.globex.count("/token"));
    let watch = Watch::begin(app, &browser, &query);
    let answer = browser.send(message(&query)).await;
    let event = watch.refused(row, &browser, &answer, 400, reason);
    assert_eq!((app.acme.count("/token"), app.globex.count("/token")), (tokens, others), "{row}: a code was sent");
    assert_eq!(browser.attempts().len(), attempts, "{row}: the attempt was given up");
    let answer = browser.send(App::callback("acme", &query)).await;
    assert_eq!((answer.status, answer.location()), (303, "/report"), "{row}: the honest answer afterwards");
    event
}

fn with(query: &Query, name: &str, value: &str) -> Ask {
    let mut query = query.clone();
    query.insert(name.into(), value.into());
    App::callback("acme", &query)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_somebody_elses_attempt_is_refused_o17() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut attacker = app.browser();
    let query = acme.begin(&mut attacker).await;
    // A genuine code and state of the attacker, opened by the victim: with no attempt, and with one of their own.
    let mut victim = app.browser();
    let tokens = app.acme.count("/token");
    let watch = Watch::begin(&app, &victim, &query);
    let answer = victim.send(App::callback("acme", &query)).await;
    watch.refused("no attempt", &victim, &answer, 400, "tx_not_bound");
    assert!(
        answer.links().contains(&"/.anteroom/sign-in".to_owned()),
        "a fresh start is offered: {:?}",
        answer.links()
    );
    assert!(answer.text().contains("__Host-anteroom-try-"), "the cookie that did not come is named");
    stray(&app, "another attempt", "tx_not_bound", |_| App::callback("acme", &query)).await;
    assert_eq!(app.acme.count("/token"), tokens + 1, "only the honest one at the end");
    // The twin: in the browser that began it the answer is good.
    assert_eq!(attacker.send(App::callback("acme", &query)).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_of_an_attempt_is_bound_to_its_name_and_never_counts_twice_o17() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut attacker = app.browser();
    let theirs = acme.begin(&mut attacker).await;
    let mut victim = app.browser();
    let query = acme.begin(&mut victim).await;
    let (own, sealed) = victim.cookies.iter().next().map(|(n, v)| (n.clone(), v.clone())).unwrap();
    let foreign = attacker.cookies.values().next().unwrap().clone();
    for (row, cookies) in [
        ("the attacker's seal under the victim's name", format!("{own}={foreign}")),
        ("twice", format!("{own}={sealed}; {own}={sealed}")),
        ("twice, one planted", format!("{own}={foreign}; {own}={sealed}")),
        ("cut", format!("{own}={}", &sealed[..sealed.len() - 1])),
        ("empty", format!("{own}=")),
        ("quoted", format!("{own}=\"{sealed}\"")),
    ] {
        let watch = Watch::begin(&app, &victim, &query);
        let answer = app.send(&App::callback("acme", &query).with("Cookie", &cookies)).await;
        watch.refused(row, &victim, &answer, 400, "tx_not_bound");
    }
    let cookie = format!("{own}={sealed}; theme=dark");
    let honest = app.send(&App::callback("acme", &query).with("Cookie", &cookie)).await;
    assert_eq!(honest.status, 303);
    drop(theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_absent_or_altered_is_refused_o18() {
    let app = App::start().await;
    stray(&app, "absent", "state_missing", |query| {
        let mut query = query.clone();
        query.remove("state");
        App::callback("acme", &query)
    })
    .await;
    for (row, reason, change) in [
        ("empty", "state_missing", (|_| String::new()) as fn(&str) -> String),
        ("no id", "state_missing", |state| state.split('.').next_back().unwrap().to_owned()),
        ("an id alone", "state_missing", |state| state.split('.').next().unwrap().to_owned()),
        ("an id of another form", "state_missing", |state| format!("../{state}")),
        ("upper case", "state_missing", str::to_ascii_uppercase),
        ("another id", "tx_not_bound", |state| format!("{}.{}", "0".repeat(20), state.split_once('.').unwrap().1)),
        ("cut", "state_mismatch", |state| state[..state.len() - 1].to_owned()),
        ("longer", "state_mismatch", |state| format!("{state}A")),
        ("no secret", "state_mismatch", |state| format!("{}.", state.split_once('.').unwrap().0)),
        ("another secret", "state_mismatch", |state| {
            format!("{}.{}", state.split_once('.').unwrap().0, "A".repeat(32))
        }),
    ] {
        stray(&app, row, reason, |query| with(query, "state", &change(&query["state"]))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_is_taken_once_o18() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut browser = app.browser();
    let query = acme.begin(&mut browser).await;
    // A copy of the browser from before: it still has the attempt's cookie, and no session.
    let mut copy = browser.clone();
    assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303);
    let tokens = app.acme.count("/token");
    let watch = Watch::begin(&app, &copy, &query);
    let answer = copy.send(App::callback("acme", &query)).await;
    watch.refused("again", &copy, &answer, 400, "state_replayed");
    assert!(copy.attempts().is_empty(), "the used attempt's cookie goes");
    assert!(answer.links().contains(&"/.anteroom/sign-in?rd=/report".to_owned()), "{:?}", answer.links());
    assert_eq!(app.acme.count("/token"), tokens);
    assert_eq!(browser.visit("/report").await.status, 200, "the session is not touched");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_answers_at_the_same_moment_one_is_taken_o18() {
    let app = App::start().await;
    let mut browser = app.browser();
    let query = Trial::acme(&app).begin(&mut browser).await;
    let all = (0..16).map(|_| {
        let mut copy = browser.clone();
        let ask = App::callback("acme", &query);
        async move { (copy.send(ask).await, copy) }
    });
    let answers = futures_util::future::join_all(all).await;
    let signed_in: Vec<_> = answers.iter().filter(|(_, browser)| browser.session().is_some()).collect();
    assert_eq!(signed_in.len(), 1);
    for (answer, browser) in &answers {
        assert!(answer.status == 303 || answer.reason() == "state_replayed", "{answer:?}");
        assert!(browser.attempts().is_empty(), "{answer:?}");
    }
    assert_eq!(app.acme.count("/token"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_lasts_ten_minutes_o18() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    for (seconds, good) in [(599, true), (600, false)] {
        let mut browser = app.browser();
        let query = acme.begin(&mut browser).await;
        app.advance(Duration::from_secs(seconds));
        let tokens = app.acme.count("/token");
        let watch = Watch::begin(&app, &browser, &query);
        let answer = browser.send(App::callback("acme", &query)).await;
        if good {
            assert_eq!(answer.status, 303);
        } else {
            watch.refused("late", &browser, &answer, 400, "state_expired");
            assert_eq!(app.acme.count("/token"), tokens);
            assert!(answer.links().contains(&"/.anteroom/sign-in?rd=/report".to_owned()), "{:?}", answer.links());
        }
        assert!(browser.attempts().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_given_twice_is_refused_o19() {
    let app = App::start().await;
    for name in ["state", "code", "iss"] {
        for order in [false, true] {
            stray(&app, name, "duplicate_parameter", |query| {
                let mut query = query.clone();
                query.insert("iss".into(), app.acme.script().issuer.clone());
                let (own, other) = (encoded(&query), format!("{name}=another"));
                at("acme", &if order { format!("{own}&{other}") } else { format!("{other}&{own}") })
            })
            .await;
        }
    }
    stray(&app, "escaped", "duplicate_parameter", |query| at("acme", &format!("{}&%63ode=another", encoded(query))))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_at_another_connectors_callback_is_refused_o20_o22() {
    let app = App::start().await;
    Trial::globex(&app).honest("the other provider is known", &mut app.browser()).await;
    // The attempt's cookie was made for acme; globex's callback gets it with its right state.
    stray(&app, "acme's attempt at globex", "idp_mixup", |query| App::callback("globex", query)).await;
    let issuer = app.globex.script().issuer.clone();
    stray(&app, "iss of globex", "idp_mixup", |query| with(query, "iss", &issuer)).await;
    let own = app.acme.script().issuer.clone();
    for iss in [format!("{own}/"), own.to_ascii_uppercase(), String::new(), own.replace("/v2.0", "")] {
        stray(&app, &iss, "idp_mixup", |query| with(query, "iss", &iss)).await;
    }
    let mut browser = app.browser();
    let mut query = Trial::acme(&app).begin(&mut browser).await;
    query.insert("iss".into(), own);
    assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303, "the right iss");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promised_iss_must_be_there_o21() {
    let app = App::start().await;
    app.acme.always(|script| script.discovery["authorization_response_iss_parameter_supported"] = json!(true));
    stray(&app, "no iss", "iss_param_missing", |query| {
        let mut query = query.clone();
        assert!(query.remove("iss").is_some(), "the honest provider keeps its promise");
        App::callback("acme", &query)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_sign_in_has_a_fresh_s256_verifier_state_and_nonce_o23() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let mut browser = app.browser();
        let to_provider = app.start_sign_in(&mut browser, "acme", "/", "alice@acme.com").await;
        let sent: Query = url::Url::parse(to_provider.location()).unwrap().query_pairs().into_owned().collect();
        assert_eq!((sent["code_challenge_method"].as_str(), sent["response_type"].as_str()), ("S256", "code"));
        let query = acme.provider.sign_in(to_provider.location());
        assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303);
        let form = app.acme.last_form("/token");
        let verifier = &form["code_verifier"];
        assert!((43..=128).contains(&verifier.len()), "RFC 7636 section 4.1");
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, verifier.as_bytes());
        assert_eq!(sent["code_challenge"], b64(hash));
        for value in [verifier, &sent["state"], &sent["nonce"]] {
            assert!(seen.insert(value.clone()), "used twice: {value}");
            assert!(value.len() >= 32);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parameters_of_other_flows_are_refused_o25() {
    let app = App::start().await;
    for (name, value) in
        [("error", "access_denied"), ("id_token", "a.b.c"), ("access_token", "x"), ("token_type", "Bearer")]
    {
        stray(&app, name, "unexpected_parameter", |query| with(query, name, value)).await;
    }
    let mut browser = app.browser();
    let mut query = Trial::acme(&app).begin(&mut browser).await;
    query.insert("session_state".into(), "what Entra ID adds".into());
    assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303, "parameters that mean nothing here");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_is_a_get_without_more_than_its_query_o26() {
    let app = App::start().await;
    let mut browser = app.browser();
    let query = Trial::acme(&app).begin(&mut browser).await;
    for method in ["POST", "HEAD", "PUT", "DELETE", "OPTIONS"] {
        app.log.taken();
        let answer = browser.send(App::callback("acme", &query).method(method)).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some("GET")), "{method}");
        let events = app.events();
        assert_eq!(events.len(), 1, "{method}: {events:?}");
        assert_eq!(
            (&events[0]["event"], &events[0]["reason"]),
            (&json!("login.rejected"), &json!("method_not_allowed"))
        );
    }
    // The form that another response mode would post, small and large: its size is never a question.
    for size in [10, 1024 * 1024] {
        let post = App::callback("acme", &Query::new()).method("POST");
        let post = post.with("Content-Type", "application/x-www-form-urlencoded").body("x".repeat(size));
        assert_eq!(browser.send(post).await.status, 405);
    }
    assert_eq!((app.acme.count("/token"), app.upstream.count()), (0, 0));
    assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303, "the attempt is still good");
    stray(&app, "16 KB of query", "response_too_large", |query| with(query, "pad", &"x".repeat(17 * 1024))).await;
    stray(&app, "no code", "state_missing", |_| at("acme", "")).await;
    let unknown = app.send(&at("nobody", "code=a&state=b")).await;
    assert_eq!((unknown.status, unknown.reason()), (404, "own_path_unknown"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_code_and_error_uses_the_attempt_up() {
    let app = App::start().await;
    let mut browser = app.browser();
    let mut query = Trial::acme(&app).begin(&mut browser).await;
    query.remove("code");
    let watch = Watch::begin(&app, &browser, &query);
    let answer = browser.send(App::callback("acme", &query)).await;
    watch.refused("no code", &browser, &answer, 400, "code_missing");
    assert!(browser.attempts().is_empty());
    Trial::acme(&app).honest("afterwards", &mut browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_answer_in_a_signed_in_browser_goes_on() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut browser = app.browser();
    let query = acme.begin(&mut browser).await;
    let before = browser.clone();
    assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303);
    let (session, tokens) = (browser.session().unwrap().to_owned(), app.acme.count("/token"));
    app.log.taken();

    // The back button: the attempt's cookie is gone and nothing says any more where it went.
    let again = browser.send(App::callback("acme", &query)).await;
    assert_eq!((again.status, again.reason(), again.location()), (303, "already_signed_in", "/"));
    // The answer was lost on its way and the browser repeats: the cookie is there and says it.
    for (name, value) in before.cookies {
        browser.cookies.insert(name, value);
    }
    let again = browser.send(App::callback("acme", &query)).await;
    assert_eq!((again.status, again.reason(), again.location()), (303, "already_signed_in", "/report"));
    assert!(browser.attempts().is_empty());
    // An attempt that took too long in another tab.
    let late = acme.begin(&mut browser).await;
    app.advance(Duration::from_secs(600));
    let again = browser.send(App::callback("acme", &late)).await;
    assert_eq!((again.status, again.reason(), again.location()), (303, "already_signed_in", "/report"));
    assert!(browser.attempts().is_empty());

    assert_eq!(browser.session(), Some(session.as_str()));
    assert_eq!((app.acme.count("/token"), app.events().len()), (tokens, 0));
    // An altered state is no stale answer, signed in or not.
    let query = acme.begin(&mut browser).await;
    let answer = browser.send(with(&query, "state", &format!("{}A", query["state"]))).await;
    assert_eq!((answer.status, answer.reason()), (400, "state_mismatch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn five_tabs_sign_in_side_by_side_and_the_sixth_recycles_the_oldest() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut browser = app.browser();
    let mut tabs = vec![];
    for _ in 0..6 {
        tabs.push(acme.begin(&mut browser).await);
    }
    assert_eq!(browser.attempts().len(), 5);
    let watch = Watch::begin(&app, &browser, &tabs[0]);
    let answer = browser.send(App::callback("acme", &tabs[0])).await;
    watch.refused("the oldest", &browser, &answer, 400, "tx_not_bound");
    assert_eq!(browser.attempts().len(), 5);
    for (left, query) in [(4, &tabs[5]), (3, &tabs[1]), (2, &tabs[3]), (1, &tabs[2]), (0, &tabs[4])] {
        let answer = browser.send(App::callback("acme", query)).await;
        assert_eq!((answer.status, answer.location()), (303, "/report"));
        assert_eq!(browser.attempts().len(), left);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn links_with_long_targets_do_not_fill_a_browser_with_cookies() {
    let app = App::start().await;
    let mut browser = app.browser();
    let long = format!("/search?q={}", "x".repeat(2000));
    let escaped = format!("/search?q={}", "\"".repeat(2000));
    for rd in [&long, &escaped, &long, &escaped, &long] {
        app.advance(Duration::from_secs(1));
        app.start_sign_in(&mut browser, "acme", rd, "alice@acme.com").await;
        let size: usize = browser.cookies.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!(size < 7 * 1024, "{size} bytes of cookies: proxies refuse such a browser");
        assert!(browser.cookies.iter().all(|(name, value)| name.len() + value.len() <= 4096), "browsers keep no more");
    }
    // The newest always works; a target that fits nowhere becomes the root.
    for (rd, arrives) in [(&long, long.as_str()), (&escaped, "/")] {
        app.advance(Duration::from_secs(1));
        let to_provider = app.start_sign_in(&mut browser, "acme", rd, "alice@acme.com").await;
        let query = app.acme.sign_in(to_provider.location());
        let answer = browser.send(App::callback("acme", &query)).await;
        assert_eq!((answer.status, answer.location()), (303, arrives));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_makes_a_new_session_and_ends_the_browsers_old_one() {
    let app = App::start().await;
    let mut browser = app.signed_in().await;
    let old = browser.clone();
    Trial::acme(&app).honest("again", &mut browser).await;
    assert_ne!(old.session(), browser.session());
    assert_eq!(old.clone().visit("/").await.status, 302);
    assert_eq!(browser.visit("/").await.status, 200);
    // A session cookie that somebody planted before is not taken over.
    let mut planted: Browser = app.browser();
    planted.cookies.insert("__Host-anteroom".into(), "A".repeat(43));
    Trial::acme(&app).honest("planted", &mut planted).await;
    assert_ne!(planted.session(), Some("A".repeat(43).as_str()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_keeps_no_session_cookie_is_stopped_on_its_second_round() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    let mut browser = app.browser();
    let round = async |browser: &mut Browser| {
        assert_eq!(acme.sign_in(browser).await.status, 303);
        browser.cookies.remove("__Host-anteroom");
        browser.visit("/report").await
    };
    assert_eq!(round(&mut browser).await.status, 302, "once may happen");
    app.log.taken();
    let stopped = round(&mut browser).await;
    assert_eq!((stopped.status, stopped.reason()), (400, "redirect_loop"));
    assert!(stopped.text().contains("__Host-anteroom"), "the page names what did not come back");
    let event = app.events().pop().unwrap();
    assert_eq!((&event["event"], &event["reason"]), (&json!("session.rejected"), &json!("session_cookie_missing")));
    app.advance(Duration::from_secs(60));
    assert_eq!(browser.visit("/report").await.status, 302, "later it may try again");

    // The twin: two sign-ins, and the cookie comes back.
    let mut browser = app.browser();
    for _ in 0..2 {
        assert_eq!(acme.sign_in(&mut browser).await.status, 303);
    }
    assert_eq!(browser.visit("/report").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_holds_no_code_state_token_or_cookie() {
    let setup = Setup::new();
    let app = App::start_with(setup).await;
    let log = app.log.clone();
    let mut browser = app.browser();
    let query = Trial::acme(&app).begin(&mut browser).await;
    let mut secrets: Vec<String> = browser.cookies.values().cloned().collect();
    secrets.extend([query["code"].clone(), query["state"].clone()]);
    assert_eq!(browser.send(App::callback("acme", &query)).await.status, 303);
    secrets.push(browser.session().unwrap().to_owned());
    secrets.push(app.acme.last_form("/token")["code_verifier"].clone());
    browser.visit("/report?code=1").await;
    browser.send(Ask::form("/.anteroom/sign-out", &[])).await;
    let text = log.taken();
    assert!(text.contains("login.accepted") && text.contains("session.ended"));
    for secret in secrets.iter().map(String::as_str).chain(["canary-access-token", "canary-client-secret", "eyJ"]) {
        assert!(!text.contains(secret), "{secret}\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hints_of_a_link_reach_the_provider_as_values_and_nothing_else_does_d04_o41() {
    let app = App::start().await;
    let plain = app.browser().visit("/.anteroom/sign-in/go?connector=acme").await;
    let names = |location: &str| {
        let pairs = url::Url::parse(location).unwrap().query_pairs().into_owned().collect::<Vec<_>>();
        let mut names: Vec<String> = pairs.into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names
    };
    let usual = names(plain.location());
    for hint in ["acme.com&prompt=none&scope=all", "acme.com\r\nSet-Cookie: a=b", "acme.com#x", "\"><script>", "ä"] {
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("connector", "acme"), ("domain_hint", hint), ("login_hint", hint)])
            .extend_pairs([("prompt", "none"), ("scope", "all"), ("redirect_uri", "https://evil.example/")])
            .extend_pairs([("state", "chosen"), ("nonce", "chosen"), ("code_challenge", "chosen")])
            .finish();
        let answer = app.browser().visit(&format!("/.anteroom/sign-in/go?{query}")).await;
        assert_eq!(answer.status, 303, "{hint}");
        assert_eq!(answer.all("set-cookie").count(), 1, "{hint}");
        let mut expected = usual.clone();
        expected.push("domain_hint".into());
        expected.sort_unstable();
        assert_eq!(names(answer.location()), expected, "{hint}: what is no address is no login_hint");
        let url = url::Url::parse(answer.location()).unwrap();
        let sent: Query = url.query_pairs().into_owned().collect();
        assert_eq!(sent["domain_hint"], hint);
        assert!(!["state", "nonce", "code_challenge"].iter().any(|name| sent[*name] == "chosen"), "{hint}");
        assert_eq!(sent["redirect_uri"], "https://app.example.com/.anteroom/oidc/acme/callback");
        assert_eq!(url.fragment(), None);
    }
    for (row, query) in [
        ("an unknown connector", "connector=nobody"),
        ("none", "rd=/"),
        ("two", "connector=acme&connector=globex"),
        ("a path", "connector=../acme"),
    ] {
        app.log.taken();
        let answer = app.browser().visit(&format!("/.anteroom/sign-in/go?{query}")).await;
        assert_eq!(answer.status, 400, "{row}");
        assert_eq!(answer.all("set-cookie").count(), 0, "{row}");
        assert_eq!(app.events().len(), 1, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_top_level_get_starts_an_attempt() {
    let app = App::start().await;
    let go = "/.anteroom/sign-in/go?connector=acme";
    let hinted = "/.anteroom/sign-in?login_hint=alice%40acme.com";
    for target in [go, hinted] {
        for ask in [
            Ask::page(target).method("HEAD"),
            Ask::get(target),
            Ask::get(target).with("Sec-Fetch-Mode", "no-cors").with("Sec-Fetch-Dest", "image"),
            Ask::get(target).with("Sec-Fetch-Mode", "cors"),
            Ask::page(target).without("Sec-Fetch-Dest").with("Sec-Fetch-Dest", "iframe"),
        ] {
            let answer = app.send(&ask).await;
            assert_ne!(answer.status, 303, "{ask:?}");
            assert_eq!(answer.all("set-cookie").count(), 0, "{ask:?}");
        }
        assert_eq!(app.send(&Ask::page(target)).await.status, 303, "{target}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strange_callbacks_is_counted_in_the_log_not_copied_into_it() {
    let app = App::start().await;
    let mut connection = app.connect().await;
    for n in 0..200 {
        let answer = connection.send(&at("acme", &format!("code=a&state={n}"))).await;
        assert_eq!(answer.status, 400);
    }
    let events = app.events();
    assert!((50..=60).contains(&events.len()), "{}", events.len());
    // A refusal of an attempt of ours is never left out.
    stray(&app, "after the flood", "state_mismatch", |query| with(query, "state", &format!("{}A", query["state"])))
        .await;
}
