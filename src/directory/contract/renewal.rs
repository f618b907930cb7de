use super::super::{Change, Lease, NewCookie, Page, Renewed, Selector, SessionRow};
use super::{NOW, Opened, cookie, create, references, secs, session, uuid};
use crate::base::role::Role;
use crate::identity::Identity;

fn renewal_of(row: &SessionRow) -> Renewed {
    Renewed {
        identity: Identity {
            groups: vec!["new".to_owned()],
            role: Some(Role::ReadOnly),
            email: "married@other.com".parse().unwrap(),
            ..row.identity.clone()
        },
        auth_time: Some(secs(5)),
        acr: None,
        amr: vec![],
        secrets: Some(vec![9; 5_000]),
        renew_at: Some(secs(7_000)),
    }
}

pub(super) async fn of_many_claims_of_a_moment_exactly_one_is_taken(on: &Opened) {
    for _ in 0..10 {
        let (row, _) = create(&on.one, session("acme-entra")).await;
        let reference = row.reference;
        let claims = (0..8).map(|at| {
            let directory = if at % 2 == 0 { on.one.clone() } else { on.other.clone() };
            tokio::spawn(async move { directory.sessions.lease(reference, 0, uuid(), NOW, secs(30)).await.unwrap() })
        });
        let mut taken = 0;
        for claim in claims.collect::<Vec<_>>() {
            match claim.await.unwrap() {
                Lease::Taken(found) => {
                    assert_eq!(*found, row, "with its sealed tokens");
                    taken += 1;
                }
                other => assert_eq!(other, Lease::Busy),
            }
        }
        assert_eq!(taken, 1);
    }
}

pub(super) async fn a_renewal_is_seen_by_every_process_and_numbered(on: &Opened) {
    let (row, first) = create(&on.one, session("acme-entra")).await;
    let second = NewCookie { host: "crm.acme.com".to_owned(), ..cookie() };
    on.one.sessions.add_cookie(row.reference, &second, NOW).await.unwrap();
    let owner = uuid();
    let before = on.one.changes.newest().await.unwrap();
    let renewed = renewal_of(&row);
    assert!(!on.one.sessions.renewed(row.reference, owner, &renewed, NOW).await.unwrap(), "not claimed");
    on.one.sessions.lease(row.reference, 0, owner, NOW, secs(30)).await.unwrap();
    assert!(!on.other.sessions.renewed(row.reference, uuid(), &renewed, NOW).await.unwrap(), "somebody else's claim");
    assert_eq!(on.one.sessions.by_reference(row.reference).await.unwrap(), Some(row.clone()), "so far nothing changed");
    assert!(on.one.sessions.renewed(row.reference, owner, &renewed, NOW).await.unwrap());

    let expected = SessionRow {
        identity: renewed.identity.clone(),
        auth_time: renewed.auth_time,
        acr: None,
        amr: vec![],
        secrets: renewed.secrets.clone(),
        renew_at: renewed.renew_at,
        version: 1,
        ..row.clone()
    };
    let found = on.other.sessions.by_cookie(&first).await.unwrap().unwrap().0;
    assert_eq!(found, expected);
    let mut changes = on.other.changes.since(before, 9).await.unwrap();
    assert_eq!(changes.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [before + 1, before + 2]);
    let mut told: Vec<Change> = changes.drain(..).map(|(_, change)| change).collect();
    let mut expected_changes = vec![Change::CookieRenewed(first, 1), Change::CookieRenewed(second.key, 1)];
    let by_key = |change: &Change| if let Change::CookieRenewed(key, _) = change { *key } else { [0; 32] };
    told.sort_by_key(by_key);
    expected_changes.sort_by_key(by_key);
    assert_eq!(told, expected_changes);

    assert!(!on.one.sessions.renewed(row.reference, owner, &renewed, NOW).await.unwrap(), "the claim was given back");
    let late = on.other.sessions.lease(row.reference, 0, uuid(), NOW, secs(30)).await.unwrap();
    assert_eq!(late, Lease::Changed(Box::new(expected.clone())));
    // The address is another one now, and so is the domain by which it is found.
    let list = async |which| on.one.sessions.list(&which, &Page { limit: 9 }).await.unwrap();
    assert_eq!(list(Selector::Email(row.identity.email.to_string())).await, []);
    assert_eq!(references(&list(Selector::Domain("other.com".parse().unwrap())).await), [row.reference]);
    let next = on.one.sessions.lease(row.reference, 1, uuid(), NOW, secs(30)).await.unwrap();
    assert_eq!(next, Lease::Taken(Box::new(expected)));
}

pub(super) async fn a_claim_that_ran_out_goes_to_the_next_and_the_late_one_writes_nothing(on: &Opened) {
    let (row, _) = create(&on.one, session("acme-entra")).await;
    let (late, next) = (uuid(), uuid());
    let lease = async |owner, now, until| on.other.sessions.lease(row.reference, 0, owner, now, until).await.unwrap();
    assert_eq!(lease(late, NOW, secs(30)).await, Lease::Taken(Box::new(row.clone())));
    assert_eq!(lease(next, secs(29), secs(60)).await, Lease::Busy);
    assert_eq!(lease(late, secs(29), secs(31)).await, Lease::Taken(Box::new(row.clone())), "its own claim, longer");
    assert_eq!(lease(next, secs(31), secs(60)).await, Lease::Taken(Box::new(row.clone())));
    assert!(!on.one.sessions.renewed(row.reference, late, &renewal_of(&row), NOW).await.unwrap());
    on.one.sessions.release(row.reference, late, secs(99)).await.unwrap();
    assert_eq!(lease(uuid(), secs(32), secs(60)).await, Lease::Busy, "the late one gave nothing back");
    assert_eq!(on.one.sessions.by_reference(row.reference).await.unwrap(), Some(row.clone()));
    assert!(on.one.sessions.renewed(row.reference, next, &renewal_of(&row), NOW).await.unwrap());
}

pub(super) async fn a_claim_given_back_may_be_taken_again(on: &Opened) {
    let (row, _) = create(&on.one, session("acme-entra")).await;
    let owner = uuid();
    on.one.sessions.lease(row.reference, 0, owner, NOW, secs(30)).await.unwrap();
    on.one.sessions.release(row.reference, owner, secs(45)).await.unwrap();
    let row = SessionRow { renew_at: Some(secs(45)), ..row };
    assert_eq!(on.other.sessions.by_reference(row.reference).await.unwrap(), Some(row.clone()));
    let lease = on.other.sessions.lease(row.reference, 0, uuid(), NOW, secs(30)).await.unwrap();
    assert_eq!(lease, Lease::Taken(Box::new(row)));
    assert_eq!(on.one.changes.newest().await.unwrap(), 0, "nothing that others must know");
}

pub(super) async fn nothing_is_renewed_that_has_ended(on: &Opened) {
    for epoch in [false, true] {
        let (row, _) = create(&on.one, session("acme-entra")).await;
        let owner = uuid();
        on.one.sessions.lease(row.reference, 0, owner, NOW, secs(30)).await.unwrap();
        let which = if epoch { Selector::All } else { Selector::Reference(row.reference) };
        on.other.sessions.end(&which, None, NOW).await.unwrap();
        let number = on.one.changes.newest().await.unwrap();
        assert!(!on.one.sessions.renewed(row.reference, owner, &renewal_of(&row), NOW).await.unwrap());
        assert_eq!(on.one.sessions.lease(row.reference, 0, owner, NOW, secs(30)).await.unwrap(), Lease::Gone);
        assert_eq!(on.one.changes.newest().await.unwrap(), number);
    }
}
