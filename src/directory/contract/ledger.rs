use super::super::{LedgerKind, LedgerRow, ledger_day};
use super::{Opened, secs};

fn row(day: i64, domain: &str, what: LedgerKind, reason: &str, count: u64) -> LedgerRow {
    let domain = (!domain.is_empty()).then(|| domain.parse().unwrap());
    LedgerRow { app: "portal".parse().unwrap(), domain, what, reason: reason.to_owned(), day, count }
}

pub(super) async fn the_ledgers_sums_are_those_of_every_process(on: &Opened) {
    use LedgerKind::{Adopted, Refused, WouldDeny};
    let adds = (0..8).map(|at| {
        let directory = if at % 2 == 0 { on.one.clone() } else { on.other.clone() };
        tokio::spawn(async move {
            for _ in 0..5 {
                let rows = [row(7, "acme.com", Adopted, "", 2), row(7, "acme.com", Refused, "role_missing", 1)];
                directory.ledger.add(&rows).await.unwrap();
                let rows = [row(7, "acme.com", Refused, "role_missing", 1), row(7, "", WouldDeny, "x", 1)];
                directory.ledger.add(&rows).await.unwrap();
            }
        })
    });
    for add in adds.collect::<Vec<_>>() {
        add.await.unwrap();
    }
    on.one.ledger.add(&[row(8, "acme.com", Adopted, "", 1), row(8, "globex.com", Adopted, "", 1)]).await.unwrap();
    on.one.ledger.add(&[]).await.unwrap();
    let of_acme = [
        row(7, "acme.com", Adopted, "", 80),
        row(7, "acme.com", Refused, "role_missing", 80),
        row(8, "acme.com", Adopted, "", 1),
    ];
    assert_eq!(on.other.ledger.since(7, Some(&"acme.com".parse().unwrap())).await.unwrap(), of_acme);
    assert_eq!(on.other.ledger.since(8, Some(&"acme.com".parse().unwrap())).await.unwrap(), of_acme[2..]);
    let all = on.one.ledger.since(0, None).await.unwrap();
    assert_eq!(all.len(), 5);
    assert_eq!(all[0], row(7, "", WouldDeny, "x", 40), "nobody's domain");
    assert_eq!(on.one.ledger.purge(7).await.unwrap(), 0);
    assert_eq!(on.one.ledger.purge(8).await.unwrap(), 3);
    assert_eq!(on.other.ledger.since(0, None).await.unwrap().len(), 2);
}

pub(super) async fn every_kind_of_the_ledger_is_read_as_it_was_written(on: &Opened) {
    let rows: Vec<LedgerRow> =
        LedgerKind::ALL.into_iter().map(|kind| row(ledger_day(secs(0)), "", kind, "r", 1)).collect();
    on.one.ledger.add(&rows).await.unwrap();
    assert_eq!(on.other.ledger.since(ledger_day(secs(0)), None).await.unwrap(), rows);
    assert_eq!((ledger_day(secs(0)), ledger_day(secs(-1_750_000_001))), (20_254, -1));
}
