use super::super::{Created, Creation, LinkRefused, Linking, Page, Selector, SessionRow, UserDetail, UserSource};
use super::{NOW, Opened, cookie, create, make, person, secs, uuid};
use crate::base::role::Role;
use crate::directory::Directory;
use crate::identity::{Identity, NativeUser};

/// A sign-in of the person whom `connector` calls `subject`.
fn at(connector: &str, subject: &str, email: &str) -> SessionRow {
    let row = person(connector, email);
    let identity = Identity { subject: subject.to_owned(), ..row.identity.clone() };
    SessionRow { user: identity.user_id(), identity, ..row }
}

async fn sign_in(on: &Directory, row: &SessionRow, linking: Linking) -> Creation {
    on.sessions.create(row, &cookie(), &linking).await.unwrap()
}

async fn made(on: &Directory, row: &SessionRow) -> Created {
    make(on, row, &cookie()).await
}

async fn refused(on: &Directory, row: &SessionRow) -> LinkRefused {
    let before = on.sessions.list(&Selector::All, &Page { limit: 100 }).await.unwrap().len();
    let Creation::Refused(refused) = sign_in(on, row, Linking::default()).await else { panic!("not refused") };
    assert_eq!(on.sessions.list(&Selector::All, &Page { limit: 100 }).await.unwrap().len(), before);
    assert_eq!(on.sessions.by_reference(row.reference).await.unwrap(), None);
    refused
}

async fn everybody(on: &Directory) -> Vec<UserDetail> {
    on.users.list(None, &Page { limit: 100 }).await.unwrap()
}

fn native(app: &str, id: &str) -> NativeUser {
    NativeUser { app: app.parse().unwrap(), id: id.to_owned() }
}

pub(super) async fn a_first_sign_in_makes_a_record_and_the_next_finds_it(on: &Opened) {
    let first = at("acme-entra", "1", "Alice@Acme.com");
    let created = made(&on.one, &first).await;
    assert_eq!((created.user, &created.native, &created.merged), (first.identity.user_id(), &vec![], &None));
    // From then on the subject alone counts: she has married.
    let again = made(&on.other, &at("acme-entra", "1", "a.smith@acme.com")).await;
    assert_eq!(again.user, created.user);
    let [detail] = &everybody(&on.other).await[..] else { panic!("one record") };
    let user = &detail.user;
    assert_eq!((user.id, &*user.address, user.source), (created.user, "a.smith@acme.com", UserSource::Jit));
    assert!(user.active && user.address_verified && !user.address_released && user.created_at == NOW);
    assert_eq!(detail.identities.len(), 1);
    assert_eq!((detail.identities[0].connector.as_str(), &*detail.identities[0].subject), ("acme-entra", "1"));
    // Who comes to have the old address is somebody else.
    let other = made(&on.one, &at("acme-entra", "2", "alice@acme.com")).await;
    assert_ne!(other.user, created.user);
    assert_eq!(on.one.users.user(other.user).await.unwrap().unwrap().user.address, "alice@acme.com");
    assert_eq!(on.one.users.user(uuid()).await.unwrap(), None);
    let (row, key) = create(&on.one, at("acme-entra", "1", "a.smith@acme.com")).await;
    assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap().unwrap().0, row, "the session names its user");
}

pub(super) async fn another_connector_links_by_the_verified_address_to_the_one_who_has_it(on: &Opened) {
    let alice = made(&on.one, &at("acme-entra", "1", "alice@acme.com")).await.user;
    let moved = at("acme-saml", "alice", "ALICE@acme.com");
    assert_eq!(made(&on.other, &moved).await.user, alice);
    assert_eq!(made(&on.one, &moved.clone().again()).await.user, alice);
    let detail = on.one.users.user(alice).await.unwrap().unwrap();
    assert_eq!(
        detail.identities.iter().map(|of| of.connector.as_str()).collect::<Vec<_>>(),
        ["acme-entra", "acme-saml"]
    );

    // Two have one address: which of them it is nobody knows.
    made(&on.one, &at("acme-entra", "2", "bob@acme.com")).await;
    made(&on.one, &at("acme-entra", "3", "robert@acme.com")).await;
    made(&on.one, &at("acme-entra", "3", "bob@acme.com")).await;
    let third = at("acme-saml", "bob", "bob@acme.com");
    assert_eq!(made(&on.one, &third).await.user, third.identity.user_id());
    assert_eq!(on.one.users.list(Some("bob@acme.com"), &Page { limit: 10 }).await.unwrap().len(), 3);
    assert_eq!(on.one.users.list(Some("bob@acme.com"), &Page { limit: 2 }).await.unwrap().len(), 2);
}

/// I05.
pub(super) async fn a_known_address_under_a_new_subject_waits_for_an_administrator(on: &Opened) {
    let first = at("acme-entra", "1", "alice@acme.com");
    let created = made(&on.one, &first).await;
    let hired_again = at("acme-entra", "2", "alice@acme.com");
    assert_eq!(refused(&on.other, &hired_again).await, LinkRefused::AccountConflict);
    assert_eq!(everybody(&on.one).await.len(), 1);
    let connector = first.identity.connector.clone();
    let ended = on.one.users.unlink(created.user, &connector, NOW).await.unwrap().unwrap();
    assert_eq!((ended.count, ended.number), (1, on.one.changes.newest().await.unwrap()));
    assert_eq!(on.one.users.unlink(created.user, &connector, NOW).await.unwrap(), None, "nothing is left");
    assert_eq!(on.one.users.unlink(uuid(), &connector, NOW).await.unwrap(), None);
    assert_eq!(made(&on.other, &hired_again).await.user, created.user);
    // The old subject has no claim to the record any more: not even to its id.
    let old = made(&on.one, &at("acme-entra", "1", "alice.old@acme.com")).await;
    assert_ne!(old.user, created.user);
}

/// I06, A01.
pub(super) async fn nobody_signs_in_as_a_deactivated_user_by_whatever_name(on: &Opened) {
    let first = at("acme-entra", "1", "alice@acme.com");
    let (row, key) = create(&on.one, first.clone()).await;
    let (bob, bobs) = create(&on.one, at("acme-entra", "9", "bob@acme.com")).await;
    assert_eq!(on.one.users.deactivate(uuid(), false, NOW).await.unwrap(), None);
    let ended = on.one.users.deactivate(row.user, false, NOW).await.unwrap().unwrap();
    assert_eq!((ended.count, ended.sessions[0].reference, ended.cookies), (1, row.reference, vec![key]));
    assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap(), None);
    assert_eq!(on.other.sessions.by_cookie(&bobs).await.unwrap().unwrap().0, bob);
    let same = [first.clone().again(), at("acme-entra", "2", "Alice@acme.com"), at("okta", "1", "alice@acme.com")];
    let adopted = [at("app/portal", "42", "alice@acme.com")];
    for row in same.iter().chain(&adopted) {
        assert_eq!(refused(&on.other, row).await, LinkRefused::UserDeactivated, "{:?}", row.identity);
    }
    made(&on.one, &at("app/portal", "43", "bob@acme.com")).await;
    // The same app's user comes to say the address of somebody who left.
    assert_eq!(refused(&on.one, &at("app/portal", "43", "alice@acme.com")).await, LinkRefused::UserDeactivated);

    // Nor does a colleague who is given the address at the provider.
    assert_eq!(refused(&on.one, &at("acme-entra", "9", "alice@acme.com")).await, LinkRefused::UserDeactivated);
    assert_eq!(made(&on.one, &at("acme-entra", "9", "robert@acme.com")).await.user, bob.user);

    assert!(on.other.users.activate(row.user).await.unwrap());
    assert!(!on.other.users.activate(uuid()).await.unwrap());
    let late = SessionRow { born: row.born, ..first.clone().again() };
    made(&on.one, &late).await;
    assert_eq!(on.one.sessions.by_reference(late.reference).await.unwrap(), None, "begun before");
    assert_eq!(made(&on.one, &first.again()).await.user, row.user);

    // Another person may have a released address; the old one comes back by no way.
    on.one.users.deactivate(row.user, true, NOW).await.unwrap().unwrap();
    assert_eq!(refused(&on.other, &at("acme-entra", "1", "alice@acme.com")).await, LinkRefused::UserDeactivated);
    let next = made(&on.one, &at("acme-entra", "2", "alice@acme.com")).await;
    assert_ne!(next.user, row.user);
}

/// A14, I07.
pub(super) async fn what_an_application_says_of_its_user_links_nobody(on: &Opened) {
    let alice = made(&on.one, &at("acme-entra", "1", "alice@acme.com")).await;
    let eve = at("app/portal", "66", "alice@acme.com");
    let identity = Identity { role: Some(Role::ReadOnly), ..eve.identity.clone() };
    let (eve, key) = create(&on.one, SessionRow { identity, ..eve }).await;
    assert_eq!((eve.user, &eve.native), (eve.identity.user_id(), &vec![native("portal", "66")]));
    assert_ne!(eve.user, alice.user);
    assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap().unwrap().0, eve);
    assert_eq!(made(&on.one, &at("acme-entra", "1", "alice@acme.com")).await.native, []);
    let detail = on.other.users.user(eve.user).await.unwrap().unwrap();
    assert_eq!((detail.user.source, detail.user.address_verified), (UserSource::Adopted, false));
    let [membership] = &detail.memberships[..] else { panic!("one membership") };
    assert_eq!((&membership.user, membership.role), (&native("portal", "66"), Some(Role::ReadOnly)));

    // The victim comes later: no merge, and the other goes on as who they are in that application.
    let mallory = made(&on.one, &at("app/portal", "67", "bob@acme.com")).await;
    let bob = made(&on.other, &at("acme-entra", "2", "bob@acme.com")).await;
    assert!(bob.user != mallory.user && bob.native.is_empty() && bob.merged.is_none());
    assert_eq!(made(&on.one, &at("app/portal", "67", "mallory@acme.com")).await.user, mallory.user);
    // One user id of an application is one user, whatever the address; the same id in another application another.
    assert_ne!(made(&on.one, &at("app/crm", "67", "mallory@acme.com")).await.user, mallory.user);
}

/// I07: merged with proof, and then the old sessions are void.
pub(super) async fn a_proof_makes_two_one_and_ends_the_old_sessions(on: &Opened) {
    let (adopted, key) = create(&on.one, at("app/portal", "42", "carol@acme.com")).await;
    let (_, elsewhere) = create(&on.other, at("app/portal", "42", "carol@acme.com")).await;
    let (_, others) = create(&on.one, at("app/portal", "43", "dave@acme.com")).await;
    let proof = |user| Linking { proof: Some(user), ..Linking::default() };
    let stranger = sign_in(&on.one, &at("acme-entra", "7", "eve@acme.com"), proof(adopted.user)).await;
    assert_eq!(stranger.created().unwrap().merged, None, "the proof is of another address");
    let numbered = on.one.changes.newest().await.unwrap();

    let carol = at("acme-entra", "1", "Carol@acme.com");
    let created = sign_in(&on.one, &carol, proof(adopted.user)).await.created().unwrap();
    assert_eq!((created.user, &created.native), (adopted.user, &vec![native("portal", "42")]));
    let merged = created.merged.unwrap();
    assert_eq!((merged.native, merged.ended), (vec![native("portal", "42")], 2));
    for key in [key, elsewhere] {
        assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap(), None);
        assert!(merged.cookies.contains(&key));
    }
    assert_eq!(on.one.changes.newest().await.unwrap(), numbered + 2, "every process learns of it");
    assert!(on.other.sessions.by_cookie(&others).await.unwrap().is_some());
    assert!(on.other.sessions.by_reference(carol.reference).await.unwrap().is_some());
    // Later sign-ins are of the same user and end nothing, with a proof or without; so are later adoptions.
    let (later, its) = create(&on.one, at("app/portal", "42", "carol@acme.com")).await;
    assert_eq!(later.user, adopted.user);
    for linking in [proof(adopted.user), Linking::default()] {
        let again = sign_in(&on.other, &carol.clone().again(), linking).await.created().unwrap();
        assert_eq!((again.user, again.merged), (adopted.user, None));
    }
    assert!(on.one.sessions.by_cookie(&its).await.unwrap().is_some());
}

pub(super) async fn a_proof_for_somebody_who_has_a_record_moves_the_memberships_there(on: &Opened) {
    let row = at("acme-entra", "1", "alice@acme.com");
    let alice = made(&on.one, &row).await.user;
    let (adopted, key) = create(&on.one, at("app/portal", "42", "alice@acme.com")).await;
    let linking = Linking { proof: Some(adopted.user), ..Linking::default() };
    let created = sign_in(&on.other, &row.clone().again(), linking).await.created().unwrap();
    assert_eq!((created.user, created.native), (alice, vec![native("portal", "42")]));
    assert_eq!(created.merged.unwrap().ended, 1);
    assert_eq!(on.other.sessions.by_cookie(&key).await.unwrap(), None);
    assert_eq!(on.one.users.user(adopted.user).await.unwrap(), None);
    assert_eq!(made(&on.one, &at("app/portal", "42", "alice@acme.com")).await.user, alice);
    // A08: a second user of the same application stays somebody else.
    let (second, key) = create(&on.one, at("app/portal", "43", "alice@acme.com")).await;
    let linking = Linking { proof: Some(second.user), ..Linking::default() };
    let created = sign_in(&on.one, &row.again(), linking).await.created().unwrap();
    assert_eq!((created.native, created.merged), (vec![native("portal", "42")], None));
    assert!(on.one.sessions.by_cookie(&key).await.unwrap().is_some());
}

pub(super) async fn an_address_that_the_operator_vouches_for_links_at_the_first_sign_in(on: &Opened) {
    let linking = Linking { address_verified: true, ..Linking::default() };
    let adopted = sign_in(&on.one, &at("app/portal", "42", "alice@acme.com"), linking).await.created().unwrap();
    let said = made(&on.one, &at("app/crm", "7", "alice@acme.com")).await;
    let alice = made(&on.other, &at("acme-entra", "1", "alice@acme.com")).await;
    assert_eq!((alice.user, alice.native), (adopted.user, vec![native("portal", "42")]));
    assert_eq!(alice.merged.unwrap().ended, 1);
    assert_ne!(said.user, alice.user);
}

pub(super) async fn of_first_sign_ins_of_a_moment_one_makes_the_record(on: &Opened) {
    for round in 0..8 {
        let (sso, legacy) = (format!("a{round}@acme.com"), format!("b{round}@acme.com"));
        let rows = (0..6).map(|which| match which % 3 {
            0 => at("app/portal", &format!("{round}"), &legacy),
            _ => at("acme-entra", &format!("{round}"), &sso),
        });
        let tasks: Vec<_> = rows
            .enumerate()
            .map(|(which, row)| {
                let directory = if which % 2 == 0 { &on.one } else { &on.other }.clone();
                tokio::spawn(async move { made(&directory, &row).await.user })
            })
            .collect();
        let mut users = Vec::new();
        for task in tasks {
            users.push(task.await.unwrap());
        }
        assert_eq!(users[1..3], [users[1]; 2], "round {round}");
        assert_eq!((users[0], users[1]), (users[3], users[4]), "round {round}");
    }
    assert_eq!(everybody(&on.one).await.len(), 16);
    // Two subjects of one address at one moment: one of them waits for an administrator.
    for round in 0..8 {
        let email = format!("c{round}@acme.com");
        let (one, other) =
            (at("acme-entra", &format!("x{round}"), &email), at("acme-entra", &format!("y{round}"), &email));
        let linking = Linking::default();
        let (one, other) = tokio::join!(sign_in(&on.one, &one, linking), sign_in(&on.other, &other, linking));
        assert_eq!([one, other].into_iter().filter_map(Creation::created).count(), 1, "round {round}");
    }
}

/// The sign-in comes before the deactivation, and its session ends, or after it, and is refused.
pub(super) async fn a_deactivation_leaves_no_session_of_the_same_moment(on: &Opened) {
    let row = at("acme-entra", "1", "alice@acme.com");
    let user = made(&on.one, &row).await.user;
    let (mut refused, mut ended) = (0, 0);
    for round in 0..30 {
        let signing_in: Vec<_> = (0..3)
            .map(|_| {
                let (directory, row) = (on.other.clone(), row.clone().again());
                tokio::spawn(async move { (sign_in(&directory, &row, Linking::default()).await, row.reference) })
            })
            .collect();
        on.one.users.deactivate(user, false, secs(round)).await.unwrap().unwrap();
        for signing_in in signing_in {
            let (creation, reference) = signing_in.await.unwrap();
            match creation {
                Creation::Created(_) => ended += 1,
                Creation::Refused(why) => {
                    assert_eq!(why, LinkRefused::UserDeactivated);
                    refused += 1;
                }
            }
            assert_eq!(on.one.sessions.by_reference(reference).await.unwrap(), None, "round {round}");
            assert_eq!(on.other.sessions.by_reference(reference).await.unwrap(), None, "round {round}");
        }
        assert!(on.one.users.activate(user).await.unwrap());
    }
    assert_eq!(refused + ended, 90);
}

pub(super) async fn names_that_no_database_holds_are_names_of_users_too(on: &Opened) {
    let long = "x".repeat(9_000);
    let mut seen = Vec::new();
    for id in ["a\0b", "O'Brien; DROP TABLE users", &*long, "\u{e4}\u{1F600}", "A", "a", " a"] {
        let created = made(&on.one, &at("app/portal", id, "odd@acme.com")).await;
        assert_eq!(created.native, [native("portal", id)]);
        assert_eq!(made(&on.other, &at("app/portal", id, "odd@acme.com")).await.user, created.user);
        // A08: names that differ in case or space are different users.
        assert!(!seen.contains(&created.user), "{id:?}");
        seen.push(created.user);
    }
}

trait Again {
    fn again(self) -> Self;
}

impl Again for SessionRow {
    /// The same person's next session.
    fn again(self) -> Self {
        Self { reference: uuid(), ..self }
    }
}
