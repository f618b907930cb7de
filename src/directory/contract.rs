//! What every directory promises, tested on each: memory, SQLite, PostgreSQL. On PostgreSQL `other` is a second
//! process's; elsewhere the same one.

mod changes;
mod cutovers;
mod endings;
mod ledger;
mod native;
mod records;
mod renewal;
mod sessions;
mod users;

#[path = "../../tests/support/postgres.rs"]
#[expect(unreachable_pub, reason = "shared with the integration tests")]
pub(super) mod postgres_server;

use secrecy::SecretString;
use tempfile::TempDir;
use uuid::Uuid;

use super::{CookieKey, Created, Directory, Linking, Location, NewCookie, SessionRow, open};
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::base::random;
use crate::identity::Identity;
use crate::identity::headers::AuthMethod;
use crate::identity::tests::alice;

/// An open directory.
pub(super) struct Opened {
    pub(super) one: Directory,
    pub(super) other: Directory,
    /// Whether it knows when another process changes something.
    tells_of_changes: bool,
    _folder: Option<TempDir>,
}

async fn memory() -> Opened {
    let one = Directory::in_memory();
    Opened { other: one.clone(), one, tells_of_changes: true, _folder: None }
}

async fn sqlite() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let one = open(&Location::Sqlite(folder.path().join("anteroom.db"))).await.unwrap();
    Opened { other: one.clone(), one, tells_of_changes: false, _folder: Some(folder) }
}

pub(super) async fn postgres() -> Opened {
    let location = Location::Postgres(SecretString::from(postgres_server::server().database().await));
    let (one, other) = tokio::join!(open(&location), open(&location));
    Opened { one: one.unwrap(), other: other.unwrap(), tells_of_changes: true, _folder: None }
}

macro_rules! contract {
    ($($area:ident: $($promise:ident)*;)*) => {
        contract!(@on memory: $($area: $($promise)*;)*);
        contract!(@on sqlite: $($area: $($promise)*;)*);
        contract!(@on postgres: $($area: $($promise)*;)*);
    };
    (@on $engine:ident: $($area:ident: $($promise:ident)*;)*) => {
        mod $engine {
            $($(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $promise() {
                    let opened = super::$engine().await;
                    super::$area::$promise(&opened).await;
                    opened.one.close().await;
                    opened.other.close().await;
                }
            )*)*
        }
    };
}

contract! {
    sessions:
        a_session_is_found_as_it_was_written
        whatever_a_provider_calls_things_is_kept_and_found
        several_cookies_lead_to_one_session_each_with_its_host
        a_cookie_of_one_session_never_leads_to_another
        a_session_has_one_cookie_on_a_host
        a_session_begun_before_a_revocation_is_never_good
        a_list_is_newest_first_bounded_and_without_tokens
        a_use_never_goes_back
        old_sessions_are_forgotten_in_portions;
    endings:
        each_selector_ends_its_own_sessions_and_no_other
        an_ended_session_is_gone_for_every_process
        ending_again_ends_nothing
        an_epoch_ends_what_was_born_before_it_and_nothing_later
        a_used_logout_token_ends_nothing_again_l06
        of_many_with_one_logout_token_exactly_one_ends
        an_ending_of_many_counts_all_and_names_some;
    changes:
        a_follower_of_concurrent_endings_misses_none
        forgetting_changes_never_resets_their_numbers
        the_epochs_in_force_are_the_newest_of_each_selector
        a_forgotten_epoch_brings_nobody_back
        a_waiting_process_is_woken_where_that_is_known;
    renewal:
        of_many_claims_of_a_moment_exactly_one_is_taken
        a_renewal_is_seen_by_every_process_and_numbered
        a_claim_that_ran_out_goes_to_the_next_and_the_late_one_writes_nothing
        a_claim_given_back_may_be_taken_again
        nothing_is_renewed_that_has_ended;
    records:
        what_works_once_works_for_exactly_one
        used_ids_are_forgotten_after_their_time
        a_kept_record_is_taken_by_exactly_one
        kept_records_have_a_time_and_their_bytes_are_counted
        explanations_are_told_in_their_order_and_bounded
        switches_are_numbered_and_listed
        a_process_with_other_keys_is_told
        a_salt_is_the_same_for_every_process;
    users:
        a_first_sign_in_makes_a_record_and_the_next_finds_it
        another_connector_links_by_the_verified_address_to_the_one_who_has_it
        a_known_address_under_a_new_subject_waits_for_an_administrator
        nobody_signs_in_as_a_deactivated_user_by_whatever_name
        what_an_application_says_of_its_user_links_nobody
        a_proof_makes_two_one_and_ends_the_old_sessions
        a_proof_for_somebody_who_has_a_record_moves_the_memberships_there
        an_address_that_the_operator_vouches_for_links_at_the_first_sign_in
        of_first_sign_ins_of_a_moment_one_makes_the_record
        a_deactivation_leaves_no_session_of_the_same_moment
        names_that_no_database_holds_are_names_of_users_too;
    native:
        uses_of_a_native_identity_are_summed_by_every_process
        native_identities_are_forgotten_by_age_and_beyond_their_number
        a_native_cookie_is_remembered_for_as_long_as_it_is_used
        a_native_cookie_that_two_were_given_counts_for_neither;
    cutovers:
        a_cut_over_is_seen_by_every_process_and_numbered
        a_domain_that_was_off_is_on_for_those_who_are_named_alone;
    ledger:
        the_ledgers_sums_are_those_of_every_process
        every_kind_of_the_ledger_is_read_as_it_was_written;
}

/// A moment to count from.
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_750_000_000);

pub(super) fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(NOW.secs() + secs)
}

pub(super) fn uuid() -> Uuid {
    Uuid::from_bytes(random::bytes())
}

pub(super) fn cookie() -> NewCookie {
    NewCookie { key: random::bytes(), host: "portal.acme.com".to_owned() }
}

pub(super) const NOBODY: CookieKey = [0; 32];

/// A session of a person of their own at `connector`.
pub(super) fn session(connector: &str) -> SessionRow {
    person(connector, &format!("{}@acme.com", random::token::<8>().to_lowercase().replace(['-', '_'], "x")))
}

/// A session of the person with this address there.
pub(super) fn person(connector: &str, email: &str) -> SessionRow {
    let (sub, subject) = (random::token::<8>(), format!("tid.{}", email.to_lowercase()));
    let connector = Id::read_vouching(connector).unwrap();
    let identity = Identity { connector, subject, email: email.parse().unwrap(), ..alice() };
    SessionRow {
        reference: uuid(),
        user: identity.user_id(),
        native: vec![],
        identity,
        auth: AuthMethod::Oidc,
        provider_sub: sub.clone(),
        provider_sid: Some(format!("sid-{sub}")),
        auth_time: Some(secs(-30)),
        acr: Some("urn:acr".to_owned()),
        amr: vec!["pwd".to_owned(), "mfa".to_owned()],
        created_at: NOW,
        last_used: NOW,
        renew_at: Some(secs(3_000)),
        ends_at: Some(secs(90_000)),
        secrets: Some(vec![0, 1, 2, 255]),
        version: 0,
        born: i64::MAX,
    }
}

/// Writes a session; what can be read of it then, and its cookie.
pub(super) async fn create(directory: &Directory, session: SessionRow) -> (SessionRow, CookieKey) {
    let cookie = cookie();
    let made = make(directory, &session, &cookie).await;
    let Created { born, user, native, .. } = made;
    (SessionRow { born, user, native, ..session }, cookie.key)
}

/// Writes a session with this cookie.
pub(super) async fn make(directory: &Directory, session: &SessionRow, cookie: &NewCookie) -> Created {
    directory.sessions.create(session, cookie, &Linking::default()).await.unwrap().created().unwrap()
}

/// The references of `rows`, sorted.
pub(super) fn references(rows: &[SessionRow]) -> Vec<Uuid> {
    let mut references: Vec<Uuid> = rows.iter().map(|row| row.reference).collect();
    references.sort();
    references
}

pub(super) fn without_secrets(row: &SessionRow) -> SessionRow {
    SessionRow { secrets: None, ..row.clone() }
}
