use std::collections::BTreeSet;
use std::time::Duration;

use super::super::{Change, Selector, SwitchKind};
use super::{NOW, Opened, create, person, secs, session};

/// Eight tasks end sessions of both kinds while another process follows: it sees every number, in order, once.
pub(super) async fn a_follower_of_concurrent_endings_misses_none(on: &Opened) {
    let start = on.other.changes.newest().await.unwrap();
    let enders: Vec<_> = (0..8)
        .map(|task| {
            let directory = if task % 2 == 0 { on.one.clone() } else { on.other.clone() };
            tokio::spawn(async move {
                let mut made = Vec::new();
                for round in 0..8 {
                    let (row, key) = create(&directory, session(&format!("task-{task}"))).await;
                    let which = if round % 3 == 0 {
                        Selector::Subject { connector: row.identity.connector, sub: row.provider_sub }
                    } else {
                        Selector::Cookie(key)
                    };
                    let number = directory.sessions.end(&which, None, NOW).await.unwrap().number;
                    let epoch = which.is_epoch();
                    made.push((number, if epoch { Change::Revoked(which) } else { Change::CookieEnded(key) }));
                }
                made
            })
        })
        .collect();
    let follower = {
        let directory = on.other.clone();
        tokio::spawn(async move {
            let (mut seen, mut last) = (Vec::new(), start);
            while seen.len() < 64 {
                let newest = directory.changes.newest().await.unwrap();
                let batch = directory.changes.since(last, 5).await.unwrap();
                assert!(batch.len() >= usize::try_from((newest - last).min(5)).unwrap(), "{newest} was there");
                for (number, change) in batch {
                    assert_eq!(number, last + 1, "in order and without a gap");
                    last = number;
                    seen.push((number, change));
                }
            }
            seen
        })
    };
    let mut made = Vec::new();
    for ender in enders {
        made.extend(ender.await.unwrap());
    }
    made.sort_by_key(|(number, _)| *number);
    let followed = tokio::time::timeout(Duration::from_secs(20), follower).await.unwrap().unwrap();
    assert_eq!(followed, made);
    let numbers: BTreeSet<i64> = made.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers.len(), 64);
}

pub(super) async fn forgetting_changes_never_resets_their_numbers(on: &Opened) {
    assert_eq!(on.one.changes.newest().await.unwrap(), 0);
    assert_eq!(on.one.changes.since(0, 10).await.unwrap(), []);
    let mut keys = Vec::new();
    for age in [-300, -200, -100] {
        let (_, key) = create(&on.one, session("acme-entra")).await;
        on.one.sessions.end(&Selector::Cookie(key), None, secs(age)).await.unwrap();
        keys.push(key);
    }
    assert_eq!(on.one.changes.purge(secs(-250), NOW).await.unwrap(), 1);
    let left = on.other.changes.since(0, 10).await.unwrap();
    assert_eq!(left, [(2, Change::CookieEnded(keys[1])), (3, Change::CookieEnded(keys[2]))], "the gap shows");
    assert_eq!(on.one.changes.purge(secs(1_000), NOW).await.unwrap(), 1, "the newest stays");
    assert_eq!(on.other.changes.since(0, 10).await.unwrap(), [(3, Change::CookieEnded(keys[2]))]);
    assert_eq!(on.one.changes.newest().await.unwrap(), 3);
    let (_, key) = create(&on.one, session("acme-entra")).await;
    assert_eq!(on.other.sessions.end(&Selector::Cookie(key), None, NOW).await.unwrap().number, 4);
}

pub(super) async fn the_epochs_in_force_are_the_newest_of_each_selector(on: &Opened) {
    let domain = Selector::Domain("acme.com".parse().unwrap());
    let email = Selector::Email("eve@acme.com".to_owned());
    let connector = Selector::Connector("okta".parse().unwrap());
    let end = async |which: &Selector, at| on.one.sessions.end(which, None, secs(at)).await.unwrap().number;
    let first = end(&domain, -300).await;
    let second = end(&email, -200).await;
    let third = end(&Selector::All, -100).await;
    let fourth = end(&domain, -50).await;
    let fifth = end(&connector, -40).await;
    let revoked = |number, which: &Selector| (number, Change::Revoked(which.clone()));
    let all =
        [revoked(second, &email), revoked(third, &Selector::All), revoked(fourth, &domain), revoked(fifth, &connector)];
    assert_eq!(on.other.changes.revoked(secs(-400)).await.unwrap(), all);
    assert_eq!(on.other.changes.revoked(secs(-100)).await.unwrap(), all[1..]);
    let changes = on.other.changes.since(0, 10).await.unwrap();
    assert_eq!(changes.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [first, second, third, fourth, fifth]);
    assert_eq!(on.one.changes.purge(secs(-400), secs(-100)).await.unwrap(), 1);
    assert_eq!(on.other.changes.revoked(secs(-400)).await.unwrap(), all[1..]);
}

pub(super) async fn a_forgotten_epoch_brings_nobody_back(on: &Opened) {
    let (_, old) = create(&on.one, person("acme-entra", "eve@acme.com")).await;
    let which = Selector::Email("eve@acme.com".to_owned());
    on.one.sessions.end(&which, None, secs(-100)).await.unwrap();
    let (_, new) = create(&on.one, person("acme-entra", "eve@acme.com")).await;
    assert_eq!(on.other.changes.purge(secs(-400), NOW).await.unwrap(), 1);
    assert_eq!(on.other.changes.revoked(secs(-400)).await.unwrap(), []);
    assert_eq!(on.one.sessions.by_cookie(&old).await.unwrap(), None);
    assert!(on.one.sessions.by_cookie(&new).await.unwrap().is_some());
}

/// SQLite serves one process, which knows what it did itself.
pub(super) async fn a_waiting_process_is_woken_where_that_is_known(on: &Opened) {
    let never = tokio::time::timeout(Duration::ZERO, on.other.changes.hint()).await;
    assert!(never.is_err(), "nothing was changed");
    let limit = if on.tells_of_changes { Duration::from_secs(20) } else { Duration::from_millis(300) };
    let directory = on.other.clone();
    let mut waiting = tokio::spawn(async move { tokio::time::timeout(limit, directory.changes.hint()).await.is_ok() });
    // Again and again: whoever begins to listen after a change hears of the next.
    let told = loop {
        on.one.switches.switch(SwitchKind::Connector, "okta", true, NOW).await.unwrap();
        if let Ok(told) = tokio::time::timeout(Duration::from_millis(20), &mut waiting).await {
            break told.unwrap();
        }
    };
    assert_eq!(told, on.tells_of_changes);
}
