//! Native identities and their cookies.

use std::time::Duration;

use super::{NOW, Opened, secs};
use crate::base::clock::Timestamp;
use crate::base::random;
use crate::directory::{NativeCookie, NativeIdentity, NativeKind};

fn seen(kind: NativeKind, name: &str, at: i64, count: u64) -> NativeIdentity {
    NativeIdentity {
        app: "portal".parse().unwrap(),
        kind,
        name: name.to_owned(),
        first: secs(at),
        last: secs(at),
        count,
        source: format!("192.0.2.{}", at.unsigned_abs() % 250).parse().unwrap(),
        email_shaped: name.contains('@'),
    }
}

fn cookie(user_name: &str) -> NativeCookie {
    NativeCookie {
        key: random::bytes(),
        app: "portal".parse().unwrap(),
        name: "SESSID".to_owned(),
        user_name: user_name.to_owned(),
        person: Some("alice@acme.com".parse().unwrap()),
        last_used: NOW,
        until: secs(1_000),
    }
}

pub(super) async fn uses_of_a_native_identity_are_summed_by_every_process(on: &Opened) {
    let long = "ä".repeat(256);
    let first = [
        seen(NativeKind::Basic, "svc-billing", 10, 3),
        seen(NativeKind::SignIn, "svc-billing", 11, 1),
        seen(NativeKind::SignIn, "alice@acme.com", 12, 1),
        seen(NativeKind::Mobile, &long, 13, 1),
    ];
    on.one.natives.note(&first).await.unwrap();
    // Two processes at once, one of them late, each with the rows in an order of its own.
    let (late, new) = (seen(NativeKind::Basic, "svc-billing", 5, 2), seen(NativeKind::Basic, "svc-billing", 20, 4));
    let more = seen(NativeKind::SignIn, "svc-billing", 1, 1);
    let (one, other) = ([late.clone(), more.clone()], [more, new.clone()]);
    let (one, other) = tokio::join!(on.one.natives.note(&one), on.other.natives.note(&other));
    one.unwrap();
    other.unwrap();
    let all = on.other.natives.list(None, 9).await.unwrap();
    let basic = NativeIdentity { first: late.first, count: 9, ..new };
    let sign_in = NativeIdentity { first: secs(1), count: 3, ..first[1].clone() };
    assert_eq!(all, [basic, first[3].clone(), first[2].clone(), sign_in]);
    let wiki = NativeIdentity { app: "wiki".parse().unwrap(), ..first[0].clone() };
    on.one.natives.note(std::slice::from_ref(&wiki)).await.unwrap();
    assert_eq!(on.other.natives.list(Some(&wiki.app), 9).await.unwrap(), [wiki]);
    assert_eq!(on.other.natives.list(None, 2).await.unwrap().len(), 2);
    on.one.natives.note(&[]).await.unwrap();
}

pub(super) async fn native_identities_are_forgotten_by_age_and_beyond_their_number(on: &Opened) {
    let many: Vec<_> = (0..10).map(|at| seen(NativeKind::Basic, &format!("svc-{at}"), at, 1)).collect();
    on.one.natives.note(&many).await.unwrap();
    let names = async || {
        let all = on.other.natives.list(None, 99).await.unwrap();
        all.into_iter().map(|kept| kept.name).collect::<Vec<_>>()
    };
    assert_eq!(on.one.natives.purge(secs(2), 100).await.unwrap(), 2);
    assert_eq!(names().await.len(), 8);
    assert_eq!(on.other.natives.purge(secs(2), 3).await.unwrap(), 5);
    assert_eq!(names().await, ["svc-9", "svc-8", "svc-7"]);
}

pub(super) async fn a_native_cookie_is_remembered_for_as_long_as_it_is_used(on: &Opened) {
    let natives = &on.one.natives;
    let (kept, other, unknown) = (cookie("svc-billing"), cookie("alice"), cookie("nobody"));
    natives.remember(&[kept.clone(), other.clone()]).await.unwrap();
    let of = async |key: [u8; 32]| on.other.natives.cookies(&[unknown.key, key]).await.unwrap();
    assert_eq!(of(kept.key).await, std::slice::from_ref(&kept));
    assert_eq!(on.other.natives.cookies(&[]).await.unwrap(), []);
    natives.cookies_used(&[(kept.key, secs(50)), (kept.key, secs(20)), (unknown.key, secs(9))]).await.unwrap();
    let used = NativeCookie { last_used: secs(50), ..kept.clone() };
    assert_eq!(of(kept.key).await, std::slice::from_ref(&used));
    // Replaced by another: it counts for a minute more.
    let ends = NativeCookie { until: secs(60), ..used.clone() };
    on.other.natives.remember(std::slice::from_ref(&ends)).await.unwrap();
    assert_eq!(of(kept.key).await, std::slice::from_ref(&ends));
    assert_eq!(natives.purge_cookies(secs(0), secs(59)).await.unwrap(), 0);
    assert_eq!(natives.purge_cookies(secs(0), secs(60)).await.unwrap(), 1, "its time is over");
    assert_eq!(natives.purge_cookies(NOW.plus(Duration::from_secs(1)), NOW).await.unwrap(), 1, "not used for too long");
    assert_eq!(of(other.key).await, []);
}

pub(super) async fn a_native_cookie_that_two_were_given_counts_for_neither(on: &Opened) {
    let natives = &on.one.natives;
    let ours = cookie("svc-billing");
    let theirs = NativeCookie { user_name: "svc-print".to_owned(), ..ours.clone() };
    natives.remember(std::slice::from_ref(&ours)).await.unwrap();
    on.other.natives.remember(std::slice::from_ref(&theirs)).await.unwrap();
    let until = async || on.one.natives.cookies(&[ours.key]).await.unwrap()[0].clone();
    let counts = |cookie: NativeCookie, now: Timestamp| now < cookie.until;
    assert!(!counts(until().await, secs(1)));
    for again in [&ours, &theirs] {
        natives.remember(std::slice::from_ref(again)).await.unwrap();
        natives.cookies_used(&[(ours.key, secs(500))]).await.unwrap();
        assert!(!counts(until().await, secs(1)), "for good");
    }
    assert_eq!(natives.purge_cookies(secs(-1), secs(2_000)).await.unwrap(), 0, "and that is not forgotten at once");
}
