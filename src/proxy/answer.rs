//! An answer on its way to the client, and what is known of its request from the beginning.

use std::net::IpAddr;

use bytes::Bytes;
use http::Response;

use crate::base::clock::{Tick, Timestamp};
use crate::gate::Asker;

use super::body::Body;
use super::core::RequestId;

/// An answer, and what the access log says of it.
pub(super) struct Answer<'a> {
    pub(super) response: Response<Body>,
    /// The app's id, or empty.
    pub(super) app: &'a str,
    /// As whom the request went on, or why it did not.
    pub(super) by: &'static str,
    pub(super) client: Option<IpAddr>,
}

impl Answer<'_> {
    pub(super) fn own(response: Response<Bytes>, by: &'static str) -> Self {
        Self { response: response.map(Body::whole), app: "", by, client: None }
    }
}

/// What is known of a request from the beginning.
#[derive(Clone, Copy)]
pub(super) struct Arrived {
    pub(super) id: RequestId,
    /// When, by both clocks: one reading each, of some 25 ns, serves the whole request.
    pub(super) tick: Tick,
    pub(super) at: Timestamp,
    pub(super) asker: Asker,
}
