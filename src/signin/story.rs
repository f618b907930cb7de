//! What a sign-in leaves for `anteroom explain`.

use crate::base::email::EmailAddress;
use crate::base::id::Id;
use crate::explain::{Asked, Field, Record, Step};

use super::silent::Back;
use super::start::Start;
use super::{Failed, SignIn, Visitor};

fn asked<'a>(sign_in: &SignIn, visitor: Visitor<'a>) -> Asked<'a> {
    Asked { at: sign_in.clock.now(), client: visitor.client, request_id: visitor.request_id }
}

/// A browser was sent to its provider. Any stranger can have that.
pub(super) fn started(sign_in: &SignIn, visitor: Visitor<'_>, id: &str, start: &Start<'_>) -> Record {
    Record::attempt(Step::Start, "sign_in_started", true, asked(sign_in, visitor))
        .of_attempt(id)
        .with(Field::Connector, start.provider.id().as_str())
        .with_some(Field::Typed, start.hint.as_ref().map(EmailAddress::as_str))
}

/// The provider verified another address than the one typed: the person is asked.
pub(super) fn paused(
    sign_in: &SignIn,
    visitor: Visitor<'_>,
    id: &str,
    connector: &Id,
    typed: &EmailAddress,
    verified: &EmailAddress,
) -> Record {
    Record::attempt(Step::Callback, "address_mismatch", false, asked(sign_in, visitor))
        .of_attempt(id)
        .with(Field::Connector, connector.as_str())
        .with(Field::Typed, typed.as_str())
        .with(Field::User, verified.as_str())
}

/// A session that was to be renewed has ended by the provider's word.
pub(super) fn renewal_over(
    sign_in: &SignIn,
    visitor: Visitor<'_>,
    back: &Back<'_>,
    person: &EmailAddress,
    reason: &'static str,
) -> Record {
    Record::attempt(Step::Renewal, reason, false, asked(sign_in, visitor))
        .of_attempt(back.id)
        .with(Field::Connector, back.provider.id().as_str())
        .with(Field::User, person.as_str())
        .with_some(Field::ProviderError, back.response.error.as_deref())
}

/// It ended in a session.
pub(super) fn signed_in(sign_in: &SignIn, step: Step, visitor: Visitor<'_>, id: &str, connector: &str) -> Record {
    let record = Record::attempt(step, "signed_in", false, asked(sign_in, visitor));
    record.of_attempt(id).with(Field::Connector, connector)
}

/// It reached another host.
pub(super) fn handed_off(sign_in: &SignIn, visitor: Visitor<'_>, id: &str, connector: &str) -> Record {
    Record::attempt(Step::HandOff, "handed_off", false, asked(sign_in, visitor))
        .of_attempt(id)
        .with(Field::Host, visitor.host)
        .with(Field::Connector, connector)
}

/// It was refused.
pub(super) fn rejected(
    sign_in: &SignIn,
    step: Step,
    visitor: Visitor<'_>,
    connector: Option<&Id>,
    failed: &Failed,
) -> Record {
    let missing = || sign_in.cookies.attempt_name(failed.attempt.as_deref().unwrap_or("…"));
    let detail = failed.detail();
    let record = Record::attempt(step, failed.reason, failed.anybody, asked(sign_in, visitor))
        .with_some(Field::Connector, connector.map(Id::as_str))
        .with_some(Field::User, failed.address().map(EmailAddress::as_str))
        .with_some(Field::ProviderError, failed.provider_error.as_deref())
        .with_some(Field::MissingCookie, matches!(failed.reason, "tx_not_bound" | "hand_off_not_bound").then(missing))
        .with_some(Field::Expected, detail.map(|d| d.0))
        .with_some(Field::Found, detail.map(|d| d.1));
    match &failed.attempt {
        Some(id) => record.of_attempt(id),
        None => record,
    }
}
