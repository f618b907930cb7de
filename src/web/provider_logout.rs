//! Endings that a provider announces: `backchannel-logout/<connector>` for its server, `frontchannel-logout/<connector>`
//! for a frame of its sign-out page.

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::request::Parts;
use http::{Response, StatusCode};
use hyper::body::Incoming;
use serde_json::json;

use crate::audit::{Event, Outcome};
use crate::connector::OidcProvider;

use super::form::Form;
use super::pages::FrontChannelDone;
use super::router::Visit;
use super::site::{Site, json};

/// Own paths up to the connector's id.
pub(super) const BACK: &str = "backchannel-logout/";
pub(super) const FRONT: &str = "frontchannel-logout/";

impl Site {
    /// `backchannel-logout/<connector>`: a provider's server posts a logout token (`OpenID` Connect Back-Channel Logout
    /// 1.0, sections 2.5 to 2.8). 200 without a body when nothing that the token names is signed in any more; 400 when the
    /// token is not acceptable; 503 when it should be sent again (L09). No cookie and no origin counts: the token alone.
    pub(super) async fn back_channel_logout(
        &self,
        visit: &Visit,
        provider: &OidcProvider,
        parts: &Parts,
        body: Incoming,
    ) -> Response<Bytes> {
        let form = match Form::read_from_anywhere(&parts.headers, body).await {
            Ok(form) => form,
            Err(bad) => {
                let event = Event::new("logout.rejected", Outcome::Failure, bad.reason)
                    .from_client(visit.client, &visit.request_id)
                    .with("connector", provider.id().as_str());
                self.audit.record_frequent(event);
                return told(visit, bad.status, bad.reason);
            }
        };
        match self.sign_in.back_channel_logout(provider, form.get("logout_token"), visit.visitor()).await {
            Ok(()) => {
                let mut response = json(StatusCode::OK, "back_channel_logout", &serde_json::Value::Null);
                *response.body_mut() = Bytes::new();
                response.headers_mut().remove(http::header::CONTENT_TYPE);
                response
            }
            Err(refused) if refused.again => {
                let mut response = told(visit, StatusCode::SERVICE_UNAVAILABLE, refused.reason);
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
                response
            }
            Err(refused) => told(visit, StatusCode::BAD_REQUEST, refused.reason),
        }
    }

    /// `frontchannel-logout/<connector>?iss=…&sid=…`: a frame in the provider's sign-out page (`OpenID` Connect
    /// Front-Channel Logout 1.0, section 2). Best effort: the browser may not load it.
    pub(super) async fn front_channel_logout(
        &self,
        visit: &Visit,
        provider: &OidcProvider,
        parts: &Parts,
    ) -> Response<Bytes> {
        let query = parts.uri.query().unwrap_or_default();
        match self.sign_in.front_channel_logout(provider, query, visit.visitor()).await {
            Ok(()) => {
                let origins = provider.front_channel_origins().await;
                FrontChannelDone { setting: self.setting("") }.render(&origins).into_response()
            }
            Err(refused) if refused.again => self.directory_away(visit),
            Err(refused) => self.refusal(StatusCode::BAD_REQUEST, refused.reason, visit.asker, &visit.request_id),
        }
    }
}

/// An OAuth error for a server (Back-Channel Logout 1.0, section 2.8; RFC 6749, section 5.2).
fn told(visit: &Visit, status: StatusCode, reason: &'static str) -> Response<Bytes> {
    let error = if status.is_server_error() { "temporarily_unavailable" } else { "invalid_request" };
    json(status, reason, &json!({ "error": error, "error_description": reason, "reference": visit.request_id }))
}
