//! What few sessions have, out of the way of the many.

use uuid::Uuid;

use crate::base::id::Id;
use crate::directory::SessionRow;
use crate::identity::headers::ReadyHeaders;

use super::assurance::Assurance;

/// What a session has beside what every one has.
#[derive(Default)]
pub(super) struct Particulars {
    /// How well the person was authenticated, as far as the provider said.
    pub(super) assurance: Assurance,
    /// Their record, where it was not made for the identity that signed in.
    pub(super) user: Option<Uuid>,
    /// The headers for those applications that have a name of their own for them.
    pub(super) native: Vec<(Id, ReadyHeaders)>,
}

/// The headers of a session, ready to insert.
#[derive(Default)]
pub struct SessionHeaders {
    pub(super) general: ReadyHeaders,
    /// For those applications that have a name of their own for the person.
    pub(super) native: Vec<(Id, ReadyHeaders)>,
}

impl Particulars {
    /// Those of the session of `row`. None: it has nothing particular.
    pub(super) fn of(row: &SessionRow, native: Vec<(Id, ReadyHeaders)>) -> Option<Box<Self>> {
        let assurance = Assurance::of(row).unwrap_or_default();
        let user = (row.user != row.identity.user_id()).then_some(row.user);
        let nothing = assurance == Assurance::default() && user.is_none() && native.is_empty();
        (!nothing).then(|| Box::new(Self { assurance, user, native }))
    }
}
