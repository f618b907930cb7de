use std::collections::BTreeSet;

use super::super::{Change, CutOver, Extent, Switch, SwitchKind};
use super::{NOW, Opened, secs};
use crate::base::email::EmailDomain;

fn share(percent: u8, users: &[&str]) -> Extent {
    Extent { percent, users: users.iter().map(|user| (*user).to_owned()).collect::<BTreeSet<_>>() }
}

pub(super) async fn a_cut_over_is_seen_by_every_process_and_numbered(on: &Opened) {
    let (acme, globex): (EmailDomain, EmailDomain) = ("acme.com".parse().unwrap(), "globex.com".parse().unwrap());
    let first = share(10, &["ann@acme.com", "bob@acme.com"]);
    let made = on.one.cut_overs.enable(&acme, &first, None, NOW).await.unwrap();
    assert_eq!(made, CutOver { extent: first.clone(), later: None });
    assert_eq!(on.other.cut_overs.of(&acme).await.unwrap(), Some(made));
    let then = share(100, &[]);
    let made = on.other.cut_overs.enable(&acme, &then, Some(secs(60)), secs(1)).await.unwrap();
    assert_eq!(made, CutOver { extent: first, later: Some((secs(60), then.clone())) });
    let everybody = CutOver { extent: Extent::everybody(), later: None };
    assert_eq!(on.one.cut_overs.enable(&globex, &then, Some(NOW), NOW).await.unwrap(), everybody);
    assert_eq!(on.other.cut_overs.all().await.unwrap(), [(acme.clone(), made), (globex.clone(), everybody)]);
    assert_eq!(on.one.cut_overs.of(&"initech.com".parse().unwrap()).await.unwrap(), None);
    let switched =
        |name: &str| Change::Switched(Switch { kind: SwitchKind::Domain, name: name.to_owned(), off: false });
    let numbered = on.other.changes.since(0, 9).await.unwrap();
    let expected = [
        switched("acme.com"),
        Change::CutOver(acme.clone()),
        switched("acme.com"),
        Change::CutOver(acme),
        switched("globex.com"),
        Change::CutOver(globex),
    ];
    assert_eq!(numbered.into_iter().map(|(_, change)| change).collect::<Vec<_>>(), expected);
}

pub(super) async fn a_domain_that_was_off_is_on_for_those_who_are_named_alone(on: &Opened) {
    let acme: EmailDomain = "acme.com".parse().unwrap();
    on.one.cut_overs.enable(&acme, &share(50, &[]), None, NOW).await.unwrap();
    on.one.switches.switch(SwitchKind::Domain, "acme.com", true, NOW).await.unwrap();
    on.one.switches.switch(SwitchKind::Connector, "acme.com", true, NOW).await.unwrap();
    let made = on.other.cut_overs.enable(&acme, &share(20, &[]), Some(secs(60)), secs(1)).await.unwrap();
    assert_eq!(made, CutOver { extent: Extent::nobody(), later: Some((secs(60), share(20, &[]))) });
    let off = on.one.switches.off().await.unwrap();
    assert_eq!(off, [Switch { kind: SwitchKind::Connector, name: "acme.com".to_owned(), off: true }]);
}
