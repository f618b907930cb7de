//! Sessions in use are renewed at the provider, in the background of requests (O39, O40, E08, T08, T23).

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anteroom::app::Stop;
use anteroom::directory::Directory;
use anteroom::session::SessionId;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use crate::support::{App, Ask, Browser, Faults, SUITE, Setup, until};

/// Tokens last this long, in seconds: they are due after 65 to 75 % of it.
const LIFE: u64 = 1000;
/// Before they are due, and after.
const EARLY: Duration = Duration::from_secs(600);
const DUE: Duration = Duration::from_secs(800);

async fn started(setup: Setup) -> App {
    let app = App::start_with(setup).await;
    app.acme.gives_refresh_tokens(LIFE);
    app
}

/// With a directory that another process can share.
async fn shared() -> (App, Arc<Faults>) {
    let (directory, faults) = Faults::over(&Directory::in_memory());
    (started(Setup::new().directory(directory)).await, faults)
}

impl App {
    /// Refreshes that the provider granted.
    fn granted(&self) -> usize {
        self.acme.refreshes().succeeded()
    }

    /// Refreshes that the provider was asked for.
    fn asked(&self) -> usize {
        self.acme.refreshes().arrivals.len()
    }

    fn reused(&self) -> usize {
        self.acme.refreshes().reuses
    }

    /// Waits until this process serves the browser's session as its `version`th renewal left it.
    async fn serves(&self, browser: &Browser, version: i64) {
        let key = SessionId::parse(browser.session().unwrap()).unwrap().key();
        let waited = tokio::time::timeout(Duration::from_secs(20), async {
            while self.sessions.look_up(&key).await.unwrap().is_none_or(|session| session.version() < version) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        });
        waited.await.unwrap_or_else(|_| panic!("in vain: renewal {version}\n{}", self.log.taken()));
    }

    /// A request long enough after the last renewal, and the renewal number `version` that it leads to.
    async fn renew(&self, browser: &mut Browser, version: i64) {
        self.advance(DUE);
        assert_eq!(browser.visit("/").await.status, 200, "nobody waits for a renewal");
        self.serves(browser, version).await;
    }

    /// A request long enough after the last renewal, and the attempt number `number` that the provider hears of.
    async fn try_to_renew(&self, browser: &mut Browser, number: usize) {
        self.advance(DUE);
        assert_eq!(browser.visit("/").await.status, 200);
        until("an attempt", || self.asked() == number && self.acme.refreshes().under_way == 0).await;
    }

    /// The one event that says that the session ended.
    async fn ended(&self, reason: &str) -> Value {
        let mut events = vec![];
        until("the end", || {
            events.extend(self.events().into_iter().filter(|event| event["event"] == "session.ended"));
            !events.is_empty()
        })
        .await;
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0]["reason"], reason, "{events:?}");
        events.remove(0)
    }
}

async fn is_good(browser: &mut Browser) -> bool {
    let answer = browser.visit("/").await;
    assert!(matches!(answer.status, 200 | 302), "{answer:?}");
    answer.status == 200
}

fn assertion(app: &App) -> Value {
    let seen = app.upstream.last();
    let payload = seen.header("x-anteroom-assertion").unwrap().split('.').nth(1).unwrap().to_owned();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_in_use_is_renewed_and_its_new_claims_count_from_the_next_request() {
    let app = started(Setup::new()).await;
    let mut alice = app.signed_in().await;
    let cookie = alice.session().unwrap().to_owned();
    assert_eq!(alice.visit("/admin/").await.status, 200);
    app.acme.script().claims["roles"] = json!(["User"]);
    app.acme.script().claims["groups"] = json!(["night shift"]);
    app.advance(EARLY);
    assert_eq!(alice.visit("/admin/").await.status, 200, "what the provider thinks now is not known yet");
    assert_eq!(app.asked(), 0, "not before it is due");

    app.advance(DUE - EARLY);
    let answer = alice.visit("/admin/").await;
    assert_eq!(
        (answer.status, answer.header("set-cookie")),
        (200, None),
        "the request that finds it due waits for nothing"
    );
    app.serves(&alice, 1).await;
    let denied = alice.visit("/admin/").await;
    assert_eq!((denied.status, denied.reason()), (403, "role_missing"), "the role is gone");
    assert_eq!(alice.visit("/").await.status, 200);
    let seen = app.upstream.last();
    assert_eq!(
        (seen.header("x-anteroom-role"), seen.header("x-forwarded-groups")),
        (Some("User"), Some("night shift"))
    );
    let claims = assertion(&app);
    assert_eq!((&claims["role"], &claims["groups"]), (&json!("User"), &json!(["night shift"])));
    assert_eq!(alice.session().unwrap(), cookie, "the browser notices nothing");

    let form = app.acme.last_form("/token");
    assert_eq!((form["grant_type"].as_str(), form["refresh_token"].as_str()), ("refresh_token", "canary-refresh-0-0"));
    // Long after they expired, too; with the token that came with the last renewal.
    app.advance(Duration::from_secs(5 * LIFE));
    assert_eq!(alice.visit("/").await.status, 200);
    app.serves(&alice, 2).await;
    assert_eq!(app.acme.last_form("/token")["refresh_token"], "canary-refresh-0-1");
    assert_eq!((app.granted(), app.reused()), (2, 0));
    let log = app.log.taken();
    assert!(!log.contains("canary"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sign_out_after_a_renewal_names_the_newest_id_token() {
    let app = started(Setup::new()).await;
    let mut alice = app.signed_in().await;
    app.renew(&mut alice, 1).await;
    let newest = app.acme.script().last_id_token.clone().unwrap();
    let out = alice.send(Ask::form("/.anteroom/sign-out", &[])).await;
    assert!(out.location().contains(&newest), "{}", out.location());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_whom_the_provider_no_longer_lets_in_is_out() {
    let app = started(Setup::new()).await;
    for (row, name, value, reason) in [
        ("switched off", "active", json!(false), "account_inactive"),
        ("moved to another domain", "upn", json!("alice@elsewhere.com"), "domain_not_allowed"),
    ] {
        app.acme.honest();
        let mut alice = app.signed_in().await;
        app.events();
        app.acme.script().claims[name] = value;
        app.advance(DUE);
        assert!(is_good(&mut alice).await);
        let event = app.ended(reason).await;
        assert_eq!((&event["connector"], &event["user"]), (&json!("acme"), &json!("alice@acme.com")), "{row}");
        assert!(!is_good(&mut alice).await, "{row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refreshed_token_about_another_sign_in_ends_the_session_at_once_o39() {
    let app = started(Setup::new()).await;
    let other = "99999999-2222-3333-4444-555555555555";
    for (name, value) in [
        ("iss", json!(format!("http://{}/{other}/v2.0", app.acme.address))),
        ("sub", json!("pairwise-eve")),
        ("aud", json!("another-client")),
        ("azp", json!("another-client")),
        ("oid", json!("eeeeeeee-0000-0000-0000-000000000001")),
        ("tid", json!(other)),
    ] {
        app.acme.honest();
        let mut alice = app.signed_in().await;
        app.renew(&mut alice, 1).await;
        let (granted, reached) = (app.granted(), app.upstream.count());
        app.events();
        app.acme.script().refresh.claims = json!({ name: value });
        app.advance(DUE);
        assert!(is_good(&mut alice).await);
        let event = app.ended("refresh_identity_changed").await;
        assert_eq!(event["user"], "alice@acme.com", "{name}");
        assert!(!event.to_string().contains("canary"), "{event}");
        let script = Ask::get("/").with("Cookie", &format!("__Host-anteroom={}", alice.session().unwrap()));
        assert_eq!(app.send(&script).await.status, 401, "{name}");
        assert!(!is_good(&mut alice).await, "{name}");
        app.advance(DUE);
        assert!(!is_good(&mut alice).await, "{name}");
        assert_eq!((app.granted(), app.upstream.count()), (granted + 1, reached + 1), "{name}: and nothing after it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_without_an_id_token_leaves_it_to_userinfo_o39() {
    let app = started(Setup::new()).await;
    let userinfo = |sub: &str| (200, "application/json", json!({ "sub": sub, "groups": ["late"] }).to_string());
    app.acme.always(|script| script.refresh.without_id_token = true);
    app.acme.script().userinfo = userinfo("pairwise-alice");
    let mut alice = app.signed_in().await;
    app.renew(&mut alice, 1).await;
    assert!(is_good(&mut alice).await);
    assert_eq!(app.upstream.last().header("x-forwarded-groups"), Some("late"));
    app.acme.script().userinfo = userinfo("pairwise-eve");
    app.events();
    app.advance(DUE);
    assert!(is_good(&mut alice).await);
    app.ended("refresh_identity_changed").await;
    assert!(!is_good(&mut alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_that_was_taken_back_ends_the_session_o40() {
    let app = started(Setup::new()).await;
    let mut alice = app.signed_in().await;
    app.renew(&mut alice, 1).await;
    app.acme.refreshes().revoke_all();
    let mut bob = app.signed_in().await;
    app.events();
    app.advance(DUE);
    assert!(is_good(&mut alice).await);
    let event = app.ended("invalid_grant").await;
    assert_eq!(event["provider_error"], "invalid_grant: AADSTS700082");
    assert!(!is_good(&mut alice).await);
    app.advance(DUE);
    assert!(is_good(&mut bob).await, "one that was not taken back goes on");
}

/// Each minute a request, for two hours: the session stays, and the provider is asked less and less often.
#[tokio::test(flavor = "multi_thread")]
async fn an_outage_keeps_the_session_and_is_not_hammered_o40_t23() {
    let (app, faults) = shared().await;
    let mut alice = app.signed_in().await;
    app.acme.script().down = true;
    app.pass(DUE).await;
    for minute in 0..120 {
        assert!(is_good(&mut alice).await, "minute {minute}");
        if app.acme.refreshes().arrivals.last().is_none_or(|last| app.clock.now().since(*last).as_secs() >= 1000) {
            until("an attempt, which is due", || app.acme.refreshes().arrivals.last() == Some(&app.clock.now())).await;
        }
        until("the end of what was tried", || {
            faults.leased.load(Ordering::SeqCst) == faults.released.load(Ordering::SeqCst)
        })
        .await;
        app.pass(Duration::from_secs(60)).await;
    }
    let arrivals = app.acme.refreshes().arrivals.clone();
    let gaps: Vec<u64> = arrivals.windows(2).map(|pair| pair[1].since(pair[0]).as_secs()).collect();
    assert!((9..=20).contains(&arrivals.len()), "{gaps:?}");
    assert!(gaps.iter().skip(6).all(|gap| (450..=1100).contains(gap)), "{gaps:?}");
    app.acme.honest();
    for _ in 0..16 {
        app.pass(Duration::from_secs(60)).await;
        assert!(is_good(&mut alice).await);
    }
    // Once or more, by how long the last pause was.
    assert!((1..=5).contains(&app.granted()), "it is back, and so are the renewals: {}", app.granted());
    assert_eq!(app.reused(), 0);
    assert!(app.events().iter().all(|event| event["event"] != "session.ended"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_says_nothing_about_the_person_keeps_the_session_o40() {
    let app = started(Setup::new()).await;
    let json = "application/json";
    for (row, answer) in [
        ("busy", (429, "text/plain", "slow down".to_owned())),
        ("in trouble", (503, json, json!({ "error": "temporarily_unavailable" }).to_string())),
        ("in trouble, and wrong about it", (500, json, json!({ "error": "invalid_grant" }).to_string())),
        ("our secret has expired", (401, json, json!({ "error": "invalid_client" }).to_string())),
        ("a portal page", (200, "text/html", "<html>please sign in to the network</html>".to_owned())),
        ("no token", (200, json, "{}".to_owned())),
        ("no JSON", (200, json, "{\"access_token\":".to_owned())),
    ] {
        app.acme.honest();
        let mut alice = app.signed_in().await;
        let (asked, granted) = (app.asked(), app.granted());
        app.acme.script().refresh.answer = Some(answer);
        app.try_to_renew(&mut alice, asked + 1).await;
        app.acme.honest();
        assert!(is_good(&mut alice).await, "{row}");
        app.advance(Duration::from_secs(10));
        assert!(is_good(&mut alice).await, "{row}");
        assert_eq!(app.asked(), asked + 1, "{row}: not at once");
        app.advance(Duration::from_secs(25));
        assert!(is_good(&mut alice).await, "{row}");
        app.serves(&alice, 1).await;
        assert_eq!(app.granted(), granted + 1, "{row}");
    }
    assert_eq!(app.reused(), 0);
}

/// The provider took the refresh token, gave another one, and nothing else of its answer is any good.
#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_token_is_kept_although_its_renewal_failed_o40() {
    let app = started(Setup::new()).await;
    let mut alice = app.signed_in().await;
    app.acme.script().edit_id_token = Some(Arc::new(|token| format!("{token}AAAA")));
    app.try_to_renew(&mut alice, 1).await;
    app.serves(&alice, 1).await;
    app.acme.honest();
    app.advance(Duration::from_secs(35));
    assert!(is_good(&mut alice).await);
    app.serves(&alice, 2).await;
    assert_eq!((app.granted(), app.reused()), (2, 0));
    assert!(is_good(&mut alice).await);
}

/// As an answer that never comes: it takes the ten seconds that a call may.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_ends_keeps_the_session_o40_t22() {
    let (app, faults) = shared().await;
    let mut alice = app.signed_in().await;
    app.acme.script().refresh.drip = true;
    app.acme.script().refresh.rotates = false;
    app.advance(DUE);
    assert!(is_good(&mut alice).await);
    until("the time-out", || faults.released.load(Ordering::SeqCst) == 1).await;
    app.acme.honest();
    app.advance(Duration::from_secs(35));
    assert!(is_good(&mut alice).await);
    app.serves(&alice, 1).await;
}

/// The refresh token works once: until the directory has the new one, nobody forgets it.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_provider_gave_is_offered_to_the_directory_until_it_takes_it() {
    let (app, faults) = shared().await;
    let mut alice = app.signed_in().await;
    faults.refuse.store(2, Ordering::SeqCst);
    app.advance(DUE);
    assert!(is_good(&mut alice).await);
    until("the first write", || faults.written.load(Ordering::SeqCst) > 0).await;
    let key = SessionId::parse(alice.session().unwrap()).unwrap().key();
    let version = app.sessions.look_up(&key).await.unwrap().unwrap().version();
    assert_eq!(version, 0, "nobody works with what is not stored");
    assert!(is_good(&mut alice).await);
    app.serves(&alice, 1).await;
    assert_eq!(faults.written.load(Ordering::SeqCst), 3);
    app.renew(&mut alice, 2).await;
    assert_eq!((app.granted(), app.reused()), (2, 0), "the new token was not lost");
    assert!(is_good(&mut alice).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_waits_for_its_renewals() {
    let (app, _) = shared().await;
    let mut alice = app.signed_in().await;
    let next = app.another().await;
    let mut there = alice.at(next.address);
    app.acme.script().refresh.takes = Duration::from_millis(700);
    app.advance(DUE);
    assert!(is_good(&mut alice).await);
    until("the renewal at the provider", || app.acme.refreshes().under_way == 1).await;
    app.stop(Stop::Now).await.unwrap();
    let key = SessionId::parse(there.session().unwrap()).unwrap().key();
    let (row, _) = next.directory.sessions.by_cookie(key.bytes()).await.unwrap().unwrap();
    assert_eq!(row.version, 1, "what the provider gave is written when the process ends");
    next.serves(&there, 1).await;
    next.renew(&mut there, 2).await;
    assert_eq!((next.granted(), next.reused()), (2, 0), "the next process goes on with the new token");
}

/// T08, T31: two processes find the same session due in the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_one_renews_and_the_other_takes_over_what_it_brought() {
    let (app, faults) = shared().await;
    let other = app.another().await;
    let mut here = app.signed_in().await;
    let mut there = here.at(other.address);
    assert!(is_good(&mut there).await);
    let hold = Arc::new(Semaphore::new(0));
    app.acme.script().refresh.hold = Some(hold.clone());
    app.acme.script().claims["groups"] = json!(["new"]);
    app.advance(DUE);
    assert!(is_good(&mut here).await && is_good(&mut there).await);
    until("both claims", || faults.leased.load(Ordering::SeqCst) == 2).await;
    hold.add_permits(10);
    app.serves(&here, 1).await;
    other.serves(&there, 1).await;
    for (which, browser) in [(&app, &mut here), (&other, &mut there)] {
        assert!(is_good(browser).await);
        assert_eq!(which.upstream.last().header("x-forwarded-groups"), Some("new"));
    }
    app.advance(Duration::from_secs(25));
    assert!(is_good(&mut here).await && is_good(&mut there).await);
    assert_eq!((app.asked(), app.granted(), app.reused()), (1, 1, 0));
    // Next time the other one is first.
    app.advance(DUE);
    assert!(is_good(&mut there).await);
    other.serves(&there, 2).await;
    app.serves(&here, 2).await;
    assert!(is_good(&mut here).await);
    assert_eq!((app.asked(), app.granted(), app.reused()), (2, 2, 0));
    assert!([&app, &other].iter().all(|app| app.events().iter().all(|event| event["event"] != "session.ended")));
}

/// Two cookies of one session are two records in one process, each with a claim of its own.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_used_at_once_one_renews_and_the_other_takes_over_what_it_brought() {
    let (directory, faults) = Faults::over(&Directory::in_memory());
    let app = started(Setup::suite().directory(directory)).await;
    let mut alice = app.signed_in().await;
    assert_eq!(app.follow(&mut alice, &format!("{SUITE}/")).await.status, 200);
    let keys = [alice.session(), alice.session_at("suite.example.org")];
    let keys = keys.map(|cookie| SessionId::parse(cookie.unwrap()).unwrap().key());
    assert_ne!(keys[0], keys[1]);
    let hold = Arc::new(Semaphore::new(0));
    app.acme.script().refresh.hold = Some(hold.clone());
    app.acme.script().claims["groups"] = json!(["new"]);
    app.advance(DUE);
    let (mut here, mut there, suite) = (alice.clone(), alice.clone(), format!("{SUITE}/"));
    let (here, there) = tokio::join!(here.visit("/"), there.open(&suite));
    assert_eq!((here.status, there.status), (200, 200), "nobody waits");
    until("both claims", || faults.leased.load(Ordering::SeqCst) == 2).await;
    hold.add_permits(10);
    let versions = async || {
        let mut versions = vec![];
        for key in &keys {
            versions.push(app.sessions.look_up(key).await.unwrap().unwrap().version());
        }
        versions
    };
    let renewed = tokio::time::timeout(Duration::from_secs(20), async {
        while versions().await != [1, 1] {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    renewed.await.unwrap_or_else(|_| panic!("in vain\n{}", app.log.taken()));
    for page in ["https://app.example.com/", &suite] {
        assert_eq!(alice.open(page).await.status, 200);
        assert_eq!(app.upstream.last().header("x-forwarded-groups"), Some("new"), "{page}");
    }
    // When whoever came second is due again, there is nothing left to do.
    app.advance(Duration::from_secs(25));
    assert_eq!((alice.visit("/").await.status, alice.open(&suite).await.status), (200, 200));
    assert_eq!(versions().await, [1, 1]);
    assert_eq!((app.asked(), app.granted(), app.reused()), (1, 1, 0));
    assert!(app.events().iter().all(|event| event["event"] != "session.ended"));
}

/// The claim of a process that stood still has run out, and another one was faster: what the provider says to the first
/// is about a token, not about the session.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_comes_too_late_ends_nothing() {
    let (app, faults) = shared().await;
    app.acme.always(|script| script.refresh.forgives_reuse = true);
    let other = app.another().await;
    let mut here = app.signed_in().await;
    let mut there = here.at(other.address);
    assert!(is_good(&mut there).await);
    faults.hold_up.store(1, Ordering::SeqCst);
    app.advance(DUE);
    assert!(is_good(&mut here).await);
    until("the claim", || faults.leased.load(Ordering::SeqCst) == 1).await;
    app.advance(Duration::from_secs(181));
    assert!(is_good(&mut there).await);
    other.serves(&there, 1).await;
    faults.go_on.add_permits(1);
    until("its refusal", || app.reused() == 1 && app.acme.refreshes().under_way == 0).await;
    app.serves(&here, 1).await;
    app.renew(&mut here, 2).await;
    assert!(is_good(&mut here).await && is_good(&mut there).await);
    assert!([&app, &other].iter().all(|app| app.events().iter().all(|event| event["event"] != "session.ended")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_out_during_a_renewal_is_a_sign_out() {
    for provider_agrees in [true, false] {
        let (app, _) = shared().await;
        let mut alice = app.signed_in().await;
        let mut copy = alice.clone();
        let hold = Arc::new(Semaphore::new(0));
        app.acme.script().refresh.hold = Some(hold.clone());
        app.advance(DUE);
        if !provider_agrees {
            // It has ended its session with ours, and says so.
            app.acme.refreshes().revoke_all();
        }
        assert!(is_good(&mut alice).await);
        until("the renewal at the provider", || app.acme.refreshes().under_way == 1).await;
        app.events();
        assert_eq!(alice.send(Ask::form("/.anteroom/sign-out", &[])).await.status, 303);
        hold.add_permits(10);
        until("the renewal's end", || app.acme.refreshes().under_way == 0).await;
        for _ in 0..20 {
            assert!(!is_good(&mut copy).await);
        }
        app.ended("signed_out").await;
        app.advance(DUE);
        assert!(!is_good(&mut copy).await);
        assert_eq!(app.asked(), 1);
        // Whatever the renewal still had to say has been said: it was the last thing that the process waited for.
        let log = app.log.clone();
        app.stop(Stop::Now).await.unwrap();
        assert!(!log.taken().contains("session.ended"), "one end, one event");
    }
}

/// E08: use every ten minutes, and a renewal every other time.
#[tokio::test(flavor = "multi_thread")]
async fn no_renewal_carries_a_session_past_its_limits_e08() {
    let limits = Setup::new().with("[sessions]\nidle_timeout = \"1h\"\nabsolute_timeout = \"4h\"");
    let app = started(limits).await;
    let (mut used, mut unused) = (app.signed_in().await, app.signed_in().await);
    for round in 1..24 {
        app.advance(Duration::from_secs(600));
        let granted = app.granted();
        assert!(is_good(&mut used).await, "round {round}");
        if round % 2 == 0 {
            until("a renewal", || app.granted() > granted).await;
            app.serves(&used, round / 2).await;
        }
    }
    assert!(!is_good(&mut unused).await, "nobody used it: it was not renewed, and is idle");
    app.advance(Duration::from_secs(601));
    assert!(!is_good(&mut used).await, "four hours");
    assert_eq!(app.acme.refreshes().counts(), [11, 0]);
}

/// Its use slides, and that is all.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_without_a_refresh_token_is_left_alone() {
    let app = App::start_with(Setup::new().with("[sessions]\nidle_timeout = \"1h\"\nabsolute_timeout = \"20h\"")).await;
    let mut alice = app.signed_in().await;
    for _ in 0..12 {
        app.advance(Duration::from_secs(3000));
        assert!(is_good(&mut alice).await);
    }
    assert_eq!(app.acme.count("/token"), 1, "the sign-in");
    app.advance(Duration::from_secs(3600));
    assert!(!is_good(&mut alice).await);
}
