use std::collections::BTreeSet;

use super::super::{Change, Ended, MAX_ENDED, OnceKind, Page, Selector, SessionRow};
use super::{NOW, Opened, create, person, references, secs, session, without_secrets};

pub(super) async fn each_selector_ends_its_own_sessions_and_no_other(on: &Opened) {
    let alice = create(&on.one, person("acme-entra", "Alice@acme.com")).await;
    let again = SessionRow { provider_sub: alice.0.provider_sub.clone(), ..person("acme-entra", "alice@acme.com") };
    let again = create(&on.one, again).await;
    // The same `sub` and `sid` at another connector are somebody else's.
    let elsewhere = SessionRow {
        provider_sub: alice.0.provider_sub.clone(),
        provider_sid: alice.0.provider_sid.clone(),
        ..person("okta", "alice@sub.acme.com")
    };
    let elsewhere = create(&on.one, elsewhere).await;
    let bob = create(&on.one, person("acme-entra", "bob@acme.com")).await;
    let mail = create(&on.one, person("okta", "carol@other.com")).await;
    let all = [&alice, &again, &elsewhere, &bob, &mail];

    let connector = || alice.0.identity.connector.clone();
    let sid = alice.0.provider_sid.clone().unwrap();
    let cases: Vec<(Selector, Vec<usize>)> = vec![
        (Selector::Reference(alice.0.reference), vec![0]),
        (Selector::Cookie(bob.1), vec![3]),
        (Selector::ProviderSession { connector: connector(), sid }, vec![0]),
        (Selector::Subject { connector: connector(), sub: alice.0.provider_sub.clone() }, vec![0, 1]),
        (Selector::Email("alice@acme.com".to_owned()), vec![0, 1]),
        (Selector::Domain("acme.com".parse().unwrap()), vec![0, 1, 3]),
        (Selector::Connector("okta".parse().unwrap()), vec![2, 4]),
        (Selector::All, vec![0, 1, 2, 3, 4]),
    ];
    for (which, ends) in &cases {
        let listed = on.one.sessions.list(which, &Page { limit: 10 }).await.unwrap();
        let expected: Vec<SessionRow> = ends.iter().map(|at| all[*at].0.clone()).collect();
        assert_eq!(references(&listed), references(&expected), "{which:?}");
        assert!(matches!(which, Selector::Cookie(_)) || expected.iter().all(|row| which.fits(row)), "{which:?}");
        let others = all.iter().filter(|(row, _)| !expected.contains(row));
        assert!(others.clone().all(|(row, _)| !which.fits(row)), "{which:?}");
    }
    // One after the other: each ends what the ones before it left.
    let mut left: BTreeSet<usize> = (0..all.len()).collect();
    for (which, ends) in &cases {
        let ended = on.one.sessions.end(which, None, NOW).await.unwrap();
        let now: Vec<SessionRow> = ends.iter().filter(|at| left.remove(*at)).map(|at| all[*at].0.clone()).collect();
        assert_eq!(references(&ended.sessions), references(&now), "{which:?}");
        for (at, (_, key)) in all.iter().enumerate() {
            let found = on.other.sessions.by_cookie(key).await.unwrap();
            assert_eq!(found.is_some(), left.contains(&at), "{which:?} and {at}");
        }
    }
}

pub(super) async fn an_ended_session_is_gone_for_every_process(on: &Opened) {
    let (row, key) = create(&on.one, session("acme-entra")).await;
    let (neighbour, neighbour_key) = create(&on.one, session("acme-entra")).await;
    let before = on.one.changes.newest().await.unwrap();
    let ended = on.one.sessions.end(&Selector::Reference(row.reference), None, NOW).await.unwrap();
    let number = before + 1;
    let expected =
        Ended { sessions: vec![without_secrets(&row)], cookies: vec![key], count: 1, number, replayed: false };
    assert_eq!(ended, expected);
    assert_eq!(on.other.changes.newest().await.unwrap(), number);
    assert_eq!(on.other.changes.since(before, 9).await.unwrap(), [(number, Change::CookieEnded(key))]);
    assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap(), None);
    assert_eq!(on.other.sessions.by_reference(row.reference).await.unwrap(), None);
    assert_eq!(on.other.sessions.by_cookie(&neighbour_key).await.unwrap().unwrap().0, neighbour);

    let which = Selector::Connector("acme-entra".parse().unwrap());
    let ended = on.other.sessions.end(&which, None, NOW).await.unwrap();
    assert_eq!((ended.count, ended.number, ended.cookies), (1, number + 1, vec![neighbour_key]));
    assert_eq!(on.one.changes.since(number, 9).await.unwrap(), [(number + 1, Change::Revoked(which))]);
}

pub(super) async fn ending_again_ends_nothing(on: &Opened) {
    let (row, key) = create(&on.one, session("acme-entra")).await;
    on.one.sessions.end(&Selector::Cookie(key), None, NOW).await.unwrap();
    let before = on.one.changes.newest().await.unwrap();
    for which in [Selector::Cookie(key), Selector::Reference(row.reference)] {
        assert_eq!(on.other.sessions.end(&which, None, NOW).await.unwrap(), Ended::default());
    }
    assert_eq!(on.one.changes.newest().await.unwrap(), before);
    // An epoch is made whether or not somebody is there: a sign-in may be on its way.
    let ended = on.one.sessions.end(&Selector::All, None, NOW).await.unwrap();
    assert_eq!(ended, Ended { number: before + 1, ..Ended::default() });
}

/// Sign-ins go on while a connector's sessions are ended: whatever the moment, its `born` alone decides.
pub(super) async fn an_epoch_ends_what_was_born_before_it_and_nothing_later(on: &Opened) {
    for round in 0..6 {
        let connector = format!("round-{round}");
        let creators = (0..4).map(|at| {
            let (directory, connector) =
                (if at % 2 == 0 { on.one.clone() } else { on.other.clone() }, connector.clone());
            tokio::spawn(async move {
                let mut created = Vec::new();
                for _ in 0..6 {
                    created.push(create(&directory, session(&connector)).await);
                }
                created
            })
        });
        let creators: Vec<_> = creators.collect();
        tokio::task::yield_now().await;
        let which = Selector::Connector(connector.parse().unwrap());
        let number = on.one.sessions.end(&which, None, NOW).await.unwrap().number;
        let mut kept = 0;
        for creator in creators {
            for (row, key) in creator.await.unwrap() {
                let found = on.other.sessions.by_cookie(&key).await.unwrap();
                assert_eq!(found.is_some(), row.born >= number, "born {} and the epoch {number}", row.born);
                assert_eq!(on.one.sessions.by_reference(row.reference).await.unwrap().is_some(), row.born >= number);
                kept += usize::from(found.is_some());
            }
        }
        let listed = on.other.sessions.list(&which, &Page { limit: 100 }).await.unwrap();
        assert_eq!(listed.len(), kept);
        let (row, key) = create(&on.other, session(&connector)).await;
        assert!(row.born >= number, "who signs in again is in");
        assert!(on.one.sessions.by_cookie(&key).await.unwrap().is_some());
    }
}

pub(super) async fn a_used_logout_token_ends_nothing_again_l06(on: &Opened) {
    let subject = |row: &SessionRow| Selector::Subject {
        connector: row.identity.connector.clone(),
        sub: row.provider_sub.clone(),
    };
    let (first, _) = create(&on.one, session("acme-entra")).await;
    let once = Some((OnceKind::LogoutToken, "jti-1", secs(600)));
    let ended = on.one.sessions.end(&subject(&first), once, NOW).await.unwrap();
    assert_eq!((ended.count, ended.replayed), (1, false));
    // The same person is back; the old token must not end what it was not meant for.
    let back = SessionRow { reference: super::uuid(), born: i64::MAX, ..first };
    let (back, key) = create(&on.one, back).await;
    let number = on.one.changes.newest().await.unwrap();
    for which in [subject(&back), Selector::Reference(back.reference)] {
        let replayed = on.other.sessions.end(&which, once, NOW).await.unwrap();
        assert_eq!(replayed, Ended { replayed: true, ..Ended::default() });
    }
    assert_eq!(on.one.changes.newest().await.unwrap(), number);
    assert!(on.one.sessions.by_cookie(&key).await.unwrap().is_some());
    let other = Some((OnceKind::LogoutToken, "jti-2", secs(600)));
    assert_eq!(on.other.sessions.end(&subject(&back), other, NOW).await.unwrap().count, 1);
    assert!(!on.one.once.use_once(OnceKind::LogoutToken, "jti-2", secs(600)).await.unwrap());
}

pub(super) async fn of_many_with_one_logout_token_exactly_one_ends(on: &Opened) {
    for round in 0..5 {
        let (row, _) = create(&on.one, session("acme-entra")).await;
        let jti = format!("jti-{round}");
        let enders = (0..8).map(|at| {
            let directory = if at % 2 == 0 { on.one.clone() } else { on.other.clone() };
            let jti = jti.clone();
            // By either way: an epoch, or the one session.
            let which = if round % 2 == 0 {
                Selector::Subject { connector: row.identity.connector.clone(), sub: row.provider_sub.clone() }
            } else {
                Selector::Reference(row.reference)
            };
            tokio::spawn(async move {
                directory.sessions.end(&which, Some((OnceKind::LogoutToken, &jti, secs(600))), NOW).await.unwrap()
            })
        });
        let mut done = Vec::new();
        for ender in enders.collect::<Vec<_>>() {
            done.push(ender.await.unwrap());
        }
        assert_eq!(done.iter().filter(|ended| !ended.replayed).count(), 1);
        assert_eq!(done.iter().map(|ended| ended.count).sum::<u64>(), 1);
    }
}

pub(super) async fn an_ending_of_many_counts_all_and_names_some(on: &Opened) {
    let many = MAX_ENDED + 300;
    let creators = (0..4).map(|_| {
        let directory = on.one.clone();
        tokio::spawn(async move {
            for _ in 0..many / 4 {
                create(&directory, session("big")).await;
            }
        })
    });
    for creator in creators.collect::<Vec<_>>() {
        creator.await.unwrap();
    }
    let (_, other) = create(&on.one, session("small")).await;
    let which = Selector::Connector("big".parse().unwrap());
    let ended = on.one.sessions.end(&which, None, NOW).await.unwrap();
    assert_eq!(ended.count, u64::try_from(many).unwrap());
    assert_eq!((ended.sessions.len(), ended.cookies.len()), (MAX_ENDED, MAX_ENDED));
    let distinct: BTreeSet<_> = ended.sessions.iter().map(|row| row.reference).collect();
    assert_eq!(distinct.len(), MAX_ENDED);
    assert_eq!(on.other.sessions.list(&which, &Page { limit: 9 }).await.unwrap(), []);
    assert!(on.one.sessions.by_cookie(&other).await.unwrap().is_some());
}
