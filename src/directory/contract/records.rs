use super::super::{Change, Directory, Explained, KeptKind, OnceKind, Switch, SwitchKind};
use super::{NOW, Opened, secs};

/// One of the two processes, in turn.
fn turn(on: &Opened, at: usize) -> Directory {
    if at.is_multiple_of(2) { on.one.clone() } else { on.other.clone() }
}

pub(super) async fn what_works_once_works_for_exactly_one(on: &Opened) {
    for round in 0..20 {
        let id = format!("attempt-{round}");
        let tasks = (0..8).map(|at| {
            let (directory, id) = (turn(on, at), id.clone());
            tokio::spawn(async move { directory.once.use_once(OnceKind::Attempt, &id, secs(60)).await.unwrap() })
        });
        let mut firsts = 0;
        for task in tasks.collect::<Vec<_>>() {
            firsts += usize::from(task.await.unwrap());
        }
        assert_eq!(firsts, 1, "O18");
    }
    assert!(on.one.once.use_once(OnceKind::LogoutToken, "attempt-0", secs(60)).await.unwrap(), "of another kind");
    let long = "j".repeat(20_000);
    assert!(on.one.once.use_once(OnceKind::LogoutToken, &long, secs(60)).await.unwrap());
    assert!(!on.other.once.use_once(OnceKind::LogoutToken, &long, secs(60)).await.unwrap());
}

pub(super) async fn used_ids_are_forgotten_after_their_time(on: &Opened) {
    on.one.once.use_once(OnceKind::Attempt, "short", secs(60)).await.unwrap();
    on.one.once.use_once(OnceKind::Attempt, "long", secs(120)).await.unwrap();
    assert_eq!(on.one.once.purge(secs(59)).await.unwrap(), 0);
    assert_eq!(on.other.once.purge(secs(60)).await.unwrap(), 1);
    assert!(!on.one.once.use_once(OnceKind::Attempt, "long", secs(500)).await.unwrap());
    assert!(on.one.once.use_once(OnceKind::Attempt, "short", secs(500)).await.unwrap());
}

pub(super) async fn a_kept_record_is_taken_by_exactly_one(on: &Opened) {
    for round in 0..10 {
        let id = format!("code-{round}");
        on.one.kept.keep(KeptKind::HandOff, &id, b"sealed", secs(60)).await.unwrap();
        assert_eq!(on.other.kept.take(KeptKind::Post, &id, NOW).await.unwrap(), None, "of another kind");
        let tasks = (0..8).map(|at| {
            let (directory, id) = (turn(on, at), id.clone());
            tokio::spawn(async move { directory.kept.take(KeptKind::HandOff, &id, NOW).await.unwrap() })
        });
        let mut got = Vec::new();
        for task in tasks.collect::<Vec<_>>() {
            got.extend(task.await.unwrap());
        }
        assert_eq!(got, [b"sealed"]);
    }
    assert_eq!(on.one.kept.bytes(KeptKind::HandOff).await.unwrap(), 0);
}

pub(super) async fn kept_records_have_a_time_and_their_bytes_are_counted(on: &Opened) {
    let kept = &on.one.kept;
    let bytes = async || on.other.kept.bytes(KeptKind::Post).await.unwrap();
    assert_eq!(bytes().await, 0);
    kept.keep(KeptKind::Post, "a", &[1; 100], secs(60)).await.unwrap();
    kept.keep(KeptKind::Post, "b", &[2; 50], secs(90)).await.unwrap();
    kept.keep(KeptKind::Post, "a", &[3; 10], secs(120)).await.unwrap();
    kept.keep(KeptKind::Verified, "a", &[4; 7], secs(60)).await.unwrap();
    assert_eq!(bytes().await, 60, "a replaced record counts no more");
    assert_eq!(on.other.kept.peek(KeptKind::Post, "a", secs(119)).await.unwrap(), Some(vec![3; 10]));
    assert_eq!(on.other.kept.peek(KeptKind::Post, "a", secs(120)).await.unwrap(), None, "too old");
    assert_eq!(on.other.kept.peek(KeptKind::Post, "c", NOW).await.unwrap(), None);
    assert_eq!(on.other.kept.take(KeptKind::Post, "b", secs(90)).await.unwrap(), None, "too old");
    kept.keep(KeptKind::Post, "b", &[2; 50], secs(90)).await.unwrap();
    assert_eq!(kept.purge(secs(90)).await.unwrap(), 2, "of every kind");
    assert_eq!(bytes().await, 10);
    assert_eq!(kept.take(KeptKind::Post, "a", secs(119)).await.unwrap(), Some(vec![3; 10]));
    assert_eq!(kept.take(KeptKind::Post, "a", secs(119)).await.unwrap(), None);
    assert_eq!(bytes().await, 0);

    // Many keep and take under few names at once: the sum stays true.
    let tasks = (0..4).map(|task| {
        let directory = turn(on, task);
        tokio::spawn(async move {
            for round in 0..12 {
                let id = format!("shared-{}", round % 3);
                let sealed = vec![0; 10 * (task + 1)];
                directory.kept.keep(KeptKind::Post, &id, &sealed, secs(60)).await.unwrap();
                if round % 2 == 0 {
                    directory.kept.take(KeptKind::Post, &id, NOW).await.unwrap();
                }
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let mut left = 0;
    for name in 0..3 {
        let found = on.one.kept.peek(KeptKind::Post, &format!("shared-{name}"), NOW).await.unwrap();
        left += found.map_or(0, |sealed| u64::try_from(sealed.len()).unwrap());
    }
    assert_eq!(bytes().await, left);
}

pub(super) async fn explanations_are_told_in_their_order_and_bounded(on: &Opened) {
    let record = |reference: &str, at, record: &str| Explained {
        reference: reference.to_owned(),
        at: secs(at),
        record: record.to_owned(),
    };
    let second = record("req-1", 2, r#"{"step":"deny","why":"a\u0000b"}"#);
    let (first, third) = (record("req-1", 1, "{}"), record("req-1", 2, "[]"));
    let other = record("req-2", 3, "{}");
    on.one.explanations.keep(&[second.clone(), first.clone(), third.clone()]).await.unwrap();
    on.one.explanations.keep(std::slice::from_ref(&other)).await.unwrap();
    let of = async |reference: &str| on.other.explanations.of(reference).await.unwrap();
    assert_eq!(of("req-1").await, [first, second, third.clone()]);
    assert_eq!(of("req-2").await, std::slice::from_ref(&other));
    assert_eq!(of("req-3").await, []);
    assert_eq!(on.one.explanations.purge(secs(2), 100).await.unwrap(), 1);
    assert_eq!(on.one.explanations.purge(secs(2), 2).await.unwrap(), 1, "the oldest beyond two");
    assert_eq!((of("req-1").await, of("req-2").await), (vec![third], vec![other]));
    assert_eq!(on.one.explanations.purge(secs(2), 0).await.unwrap(), 2);
}

pub(super) async fn switches_are_numbered_and_listed(on: &Opened) {
    let switch = |kind, name: &str, off| Switch { kind, name: name.to_owned(), off };
    let connector = switch(SwitchKind::Connector, "okta", true);
    let domain = switch(SwitchKind::Domain, "acme.com", true);
    for Switch { kind, name, off } in [&domain, &connector] {
        on.one.switches.switch(*kind, name, *off, NOW).await.unwrap();
    }
    assert_eq!(on.other.switches.off().await.unwrap(), [connector.clone(), domain.clone()]);
    on.other.switches.switch(SwitchKind::Connector, "okta", false, NOW).await.unwrap();
    assert_eq!(on.one.switches.off().await.unwrap(), std::slice::from_ref(&domain));
    let on_again = Switch { off: false, ..connector.clone() };
    let numbered =
        [(1, domain), (2, connector), (3, on_again)].map(|(number, switch)| (number, Change::Switched(switch)));
    assert_eq!(on.other.changes.since(0, 9).await.unwrap(), numbered);
}

pub(super) async fn a_process_with_other_keys_is_told(on: &Opened) {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    // Two that start at once with keys of their own: one is first.
    let (ab, xy) = (names(&["a", "b"]), names(&["x", "y"]));
    let (one, other) = tokio::join!(on.one.keys.share(&ab, NOW), on.other.keys.share(&xy, NOW));
    let (one, other) = (one.unwrap(), other.unwrap());
    assert_ne!(one, other);
    let (ours, theirs) = if one { (["a", "b"], ["x", "y"]) } else { (["x", "y"], ["a", "b"]) };
    assert!(!on.one.keys.share(&names(&theirs), NOW).await.unwrap());
    assert!(!on.one.keys.share(&[], NOW).await.unwrap());
    // Rotated: a new key beside an old one is noted, and then the new one alone is known.
    assert!(on.other.keys.share(&names(&[ours[1], "c"]), NOW).await.unwrap());
    assert!(on.one.keys.share(&names(&["c"]), NOW).await.unwrap());
    assert!(!on.one.keys.share(&names(&theirs), NOW).await.unwrap(), "what was refused was not noted");
}

pub(super) async fn a_salt_is_the_same_for_every_process(on: &Opened) {
    let ask = |at: usize| {
        let (directory, fresh) = (turn(on, at), [u8::try_from(at).unwrap() + 1; 32]);
        tokio::spawn(async move { directory.salts.salt("share", &fresh).await.unwrap() })
    };
    let tasks: Vec<_> = (0..8).map(ask).collect();
    let mut salts = Vec::new();
    for task in tasks {
        salts.push(task.await.unwrap());
    }
    assert!(salts.iter().all(|salt| *salt == salts[0] && salt[0] > 0), "{salts:?}");
    assert_eq!(on.other.salts.salt("native", &[99; 32]).await.unwrap(), [99; 32], "of another purpose");
}
