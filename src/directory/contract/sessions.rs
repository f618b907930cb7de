use super::super::{Change, Lease, Linking, NewCookie, Page, Selector, SessionRow, Used};
use super::{NOBODY, NOW, Opened, cookie, create, make, person, references, secs, session, uuid, without_secrets};

pub(super) async fn a_session_is_found_as_it_was_written(on: &Opened) {
    let (row, key) = create(&on.one, session("acme-entra")).await;
    assert_eq!(row.born, on.one.changes.newest().await.unwrap());
    let found = on.other.sessions.by_cookie(&key).await.unwrap();
    assert_eq!(found, Some((row.clone(), "portal.acme.com".to_owned())));
    assert_eq!(on.other.sessions.by_reference(row.reference).await.unwrap(), Some(row.clone()));
    assert_eq!(on.one.sessions.by_cookie(&NOBODY).await.unwrap(), None);
    assert_eq!(on.one.sessions.by_reference(uuid()).await.unwrap(), None);

    let bare = SessionRow {
        provider_sid: None,
        auth_time: None,
        acr: None,
        amr: vec![],
        renew_at: None,
        ends_at: None,
        secrets: None,
        ..session("acme-entra")
    };
    let (bare, key) = create(&on.one, bare).await;
    assert_eq!(on.one.sessions.by_cookie(&key).await.unwrap().unwrap().0, bare);

    let again = on.one.sessions.create(&SessionRow { acr: None, ..row.clone() }, &cookie(), &Linking::default()).await;
    assert!(again.is_err(), "a reference names one session");
    assert_eq!(on.one.sessions.by_reference(row.reference).await.unwrap(), Some(row));
}

pub(super) async fn whatever_a_provider_calls_things_is_kept_and_found(on: &Opened) {
    let long = "x".repeat(9_000);
    let names = ["O'Brien; DROP TABLE sessions", "a\0b", "ä\u{1F600}\\u0000 \"'", &*long, "sha256:00", "%", ""];
    for name in names {
        let row = SessionRow {
            provider_sub: name.to_owned(),
            provider_sid: Some(name.to_owned()),
            acr: Some(name.to_owned()),
            ..session("odd")
        };
        let (row, key) = create(&on.one, row).await;
        assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap().unwrap().0, row, "{name:?}");
        let connector = row.identity.connector.clone();
        let session = Selector::ProviderSession { connector: connector.clone(), sid: name.to_owned() };
        let subject = Selector::Subject { connector, sub: name.to_owned() };
        for which in [session, subject] {
            let listed = on.one.sessions.list(&which, &Page { limit: 10 }).await.unwrap();
            assert_eq!(listed, [without_secrets(&row)], "{which:?}");
        }
    }
    for name in names {
        let which = Selector::Subject { connector: "odd".parse().unwrap(), sub: name.to_owned() };
        assert_eq!(on.one.sessions.end(&which, None, NOW).await.unwrap().count, 1, "{name:?}");
        assert_eq!(on.other.changes.revoked(NOW).await.unwrap().pop().unwrap().1, Change::Revoked(which));
    }
}

pub(super) async fn several_cookies_lead_to_one_session_each_with_its_host(on: &Opened) {
    let (row, first) = create(&on.one, session("acme-entra")).await;
    let second = NewCookie { host: "crm.acme.com".to_owned(), ..cookie() };
    assert!(on.other.sessions.add_cookie(row.reference, &second, NOW).await.unwrap());
    assert!(on.one.sessions.add_cookie(row.reference, &second, NOW).await.unwrap(), "asking again is safe");
    let found = on.one.sessions.by_cookie(&second.key).await.unwrap();
    assert_eq!(found, Some((row.clone(), "crm.acme.com".to_owned())));

    let ended = on.one.sessions.end(&Selector::Cookie(second.key), None, NOW).await.unwrap();
    let mut keys = [first, second.key];
    keys.sort_unstable();
    let mut cookies = ended.cookies.clone();
    cookies.sort_unstable();
    assert_eq!((ended.count, cookies.as_slice()), (1, keys.as_slice()));
    assert_eq!(on.other.sessions.by_cookie(&first).await.unwrap(), None);
    assert!(!on.one.sessions.add_cookie(row.reference, &cookie(), NOW).await.unwrap(), "it is gone");
    assert!(!on.one.sessions.add_cookie(row.reference, &second, NOW).await.unwrap(), "it is gone");
}

pub(super) async fn a_cookie_of_one_session_never_leads_to_another(on: &Opened) {
    let (first, _) = create(&on.one, session("acme-entra")).await;
    let cookie = cookie();
    let second = session("acme-entra");
    make(&on.one, &second, &cookie).await;
    assert!(on.one.sessions.add_cookie(first.reference, &cookie, NOW).await.is_err());
    assert!(on.one.sessions.create(&session("acme-entra"), &cookie, &Linking::default()).await.is_err());
    let (found, _) = on.one.sessions.by_cookie(&cookie.key).await.unwrap().unwrap();
    assert_eq!(found.reference, second.reference);
    let all = on.one.sessions.list(&Selector::All, &Page { limit: 10 }).await.unwrap();
    assert_eq!(references(&all), references(&[first, second]), "what failed left nothing behind");
}

pub(super) async fn a_session_has_one_cookie_on_a_host(on: &Opened) {
    let (row, first) = create(&on.one, session("acme-entra")).await;
    let (other, others) = create(&on.one, session("acme-entra")).await;
    let elsewhere = NewCookie { host: "crm.acme.com".to_owned(), ..cookie() };
    assert!(on.one.sessions.add_cookie(row.reference, &elsewhere, NOW).await.unwrap());
    let number = on.one.changes.newest().await.unwrap();
    assert_eq!(number, 0, "nothing was replaced");

    let second = cookie();
    assert!(on.other.sessions.add_cookie(row.reference, &second, NOW).await.unwrap());
    assert!(on.one.sessions.add_cookie(row.reference, &second, NOW).await.unwrap(), "asking again is safe");
    let changes = on.one.changes.since(number, 10).await.unwrap();
    assert_eq!(changes, [(number + 1, Change::CookieEnded(first))], "every process learns of it, once");
    assert_eq!(on.one.sessions.by_cookie(&first).await.unwrap(), None);
    let leads = async |key| on.one.sessions.by_cookie(key).await.unwrap().map(|(row, _)| row.reference);
    assert_eq!(leads(&second.key).await, Some(row.reference));
    assert_eq!(leads(&elsewhere.key).await, Some(row.reference), "another host's stays");
    assert_eq!(leads(&others).await, Some(other.reference), "and another session's");

    // Of many at once one stays.
    let adding = (0..8).map(|which| {
        let (directory, cookie) = (if which % 2 == 0 { &on.one } else { &on.other }.clone(), cookie());
        tokio::spawn(async move { directory.sessions.add_cookie(row.reference, &cookie, NOW).await })
    });
    for added in adding.collect::<Vec<_>>() {
        assert!(added.await.unwrap().unwrap());
    }
    let ended = on.one.sessions.end(&Selector::Reference(row.reference), None, NOW).await.unwrap();
    assert_eq!(ended.cookies.len(), 2, "one of each host");
}

pub(super) async fn a_session_begun_before_a_revocation_is_never_good(on: &Opened) {
    let begun = on.one.changes.newest().await.unwrap();
    let late = SessionRow { born: begun, ..person("acme-entra", "eve@acme.com") };
    on.other.sessions.end(&Selector::Email("eve@acme.com".to_owned()), None, NOW).await.unwrap();
    let cookie = cookie();
    assert_eq!(make(&on.one, &late, &cookie).await.born, begun);
    assert_eq!(on.other.sessions.by_cookie(&cookie.key).await.unwrap(), None);
    assert_eq!(on.one.sessions.by_reference(late.reference).await.unwrap(), None);

    let (new, key) = create(&on.one, person("acme-entra", "eve@acme.com")).await;
    assert_eq!(new.born, on.one.changes.newest().await.unwrap(), "never later than now");
    assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap().unwrap().0, new);
}

pub(super) async fn a_list_is_newest_first_bounded_and_without_tokens(on: &Opened) {
    let mut rows = Vec::new();
    for age in 0..5 {
        let row = SessionRow { created_at: secs(-age), ..person("acme-entra", "Carol@Acme.com") };
        rows.push(without_secrets(&create(&on.one, row).await.0));
    }
    let (other, _) = create(&on.one, person("okta", "dave@other.com")).await;
    let list = async |which: Selector, limit| on.other.sessions.list(&which, &Page { limit }).await.unwrap();
    assert_eq!(list(Selector::Connector("acme-entra".parse().unwrap()), 10).await, rows);
    assert_eq!(list(Selector::Connector("acme-entra".parse().unwrap()), 2).await, rows[..2]);
    assert_eq!(list(Selector::Email("carol@acme.com".to_owned()), 10).await, rows);
    assert_eq!(list(Selector::Domain("acme.com".parse().unwrap()), 3).await, rows[..3]);
    assert_eq!(list(Selector::Domain("other.com".parse().unwrap()), 3).await, [without_secrets(&other)]);
    assert_eq!(list(Selector::Reference(other.reference), 3).await, [without_secrets(&other)]);
    assert_eq!(list(Selector::All, 10).await.len(), 6);
    assert_eq!(list(Selector::All, 0).await, []);
    on.one.sessions.end(&Selector::Domain("acme.com".parse().unwrap()), None, NOW).await.unwrap();
    assert_eq!(list(Selector::All, 10).await, [without_secrets(&other)]);
}

pub(super) async fn a_use_never_goes_back(on: &Opened) {
    let (row, _) = create(&on.one, session("acme-entra")).await;
    let (quiet, _) = create(&on.one, session("acme-entra")).await;
    let last_used = async |reference| on.other.sessions.by_reference(reference).await.unwrap().unwrap().last_used;
    let used = |reference, at| Used { reference, at };
    let uses = [secs(20), secs(60), secs(40)].map(|at| used(row.reference, at));
    on.one.sessions.used(&uses).await.unwrap();
    assert_eq!(last_used(row.reference).await, secs(60), "the latest of several");
    on.other.sessions.used(&[used(row.reference, secs(59)), used(uuid(), secs(99))]).await.unwrap();
    assert_eq!(last_used(row.reference).await, secs(60));
    assert_eq!(last_used(quiet.reference).await, NOW);
    on.one.sessions.used(&[]).await.unwrap();

    // Two processes note the uses of the same many sessions in their own order.
    let mut references = Vec::new();
    for _ in 0..30 {
        references.push(create(&on.one, session("acme-entra")).await.0.reference);
    }
    let rounds = (1..=10).map(|round| {
        let directory = if round % 2 == 0 { on.one.clone() } else { on.other.clone() };
        let mut uses: Vec<Used> = references.iter().map(|reference| used(*reference, secs(round))).collect();
        if round % 2 == 0 {
            uses.reverse();
        }
        tokio::spawn(async move { directory.sessions.used(&uses).await })
    });
    for round in rounds.collect::<Vec<_>>() {
        round.await.unwrap().unwrap();
    }
    for reference in references {
        assert_eq!(last_used(reference).await, secs(10));
    }
}

pub(super) async fn old_sessions_are_forgotten_in_portions(on: &Opened) {
    let aged = |created, used| SessionRow { created_at: secs(created), last_used: secs(used), ..session("acme-entra") };
    let (fresh, fresh_key) = create(&on.one, aged(-50, -5)).await;
    let (_, unused_key) = create(&on.one, aged(-50, -20)).await;
    create(&on.one, aged(-200, -5)).await;
    create(&on.one, aged(-200, -150)).await;
    let number = on.one.changes.newest().await.unwrap();
    assert_eq!(on.one.sessions.purge(secs(-100), secs(-10), 2).await.unwrap(), 2);
    assert_eq!(on.other.sessions.purge(secs(-100), secs(-10), 2).await.unwrap(), 1);
    assert_eq!(on.one.sessions.purge(secs(-100), secs(-10), 2).await.unwrap(), 0);
    assert_eq!(on.one.sessions.by_cookie(&fresh_key).await.unwrap().unwrap().0, fresh);
    assert_eq!(on.one.sessions.by_cookie(&unused_key).await.unwrap(), None);
    assert_eq!(on.one.changes.newest().await.unwrap(), number, "limits are known to every process");
    let lease = on.one.sessions.lease(fresh.reference, 0, uuid(), NOW, secs(9)).await.unwrap();
    assert_eq!(lease, Lease::Taken(Box::new(fresh)));
}
