//! Own paths and who answers them. Exact and case-sensitive; anything else under the prefix is 404 (P09).

use std::net::IpAddr;

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::connector::Provider;
use crate::gate::Asker;
use crate::signin::Visitor;

use super::provider_logout;
use super::saml::SamlPage;
use super::site::Site;

/// A request to an own path.
pub struct Visit {
    /// What follows the own prefix and its slash.
    pub path: String,
    /// The host that was asked, lower case.
    pub host: String,
    pub client: IpAddr,
    pub request_id: String,
    pub asker: Asker,
}

impl Visit {
    /// Whether the answer ends sessions: then it is to be finished whether or not somebody waits for it.
    pub fn ends_sessions(&self) -> bool {
        self.path == "sign-out"
            || self.path.starts_with(provider_logout::BACK)
            || self.path.starts_with(provider_logout::FRONT)
            || self.path.starts_with("saml/") && self.path.ends_with("/slo")
    }

    pub(super) fn visitor(&self) -> Visitor<'_> {
        Visitor { client: self.client, request_id: &self.request_id, host: &self.host }
    }
}

const GET: &[Method] = &[Method::GET, Method::HEAD];
const POST: &[Method] = &[Method::POST];
/// What changes something: HEAD has to be safe (RFC 9110, section 9.2.1).
const GET_ALONE: &[Method] = &[Method::GET];
const GET_OR_POST: &[Method] = &[Method::GET, Method::POST];

impl Site {
    /// Answers an own path.
    pub async fn answer(&self, visit: Visit, request: Request<Incoming>) -> Response<Bytes> {
        let (parts, body) = request.into_parts();
        let path = visit.path.as_str();
        let callback = path.strip_prefix("oidc/").and_then(|rest| rest.strip_suffix("/callback"));
        let elsewhere = self.sign_in.hosts().other(&visit.host).is_some();
        let oidc = |id: &str| self.sign_in.provider(id).and_then(Provider::oidc);
        let provider = |prefix: &str| path.strip_prefix(prefix).and_then(oidc);
        let saml = path.strip_prefix("saml/").and_then(|rest| rest.split_once('/'));
        let saml = saml.filter(|(id, _)| self.sign_in.provider(id).is_some_and(|known| known.saml().is_some()));
        let saml = saml.and_then(|(id, page)| Some((self.sign_in.provider(id)?, SamlPage::of(page)?)));
        let (back, front) = (provider(provider_logout::BACK), provider(provider_logout::FRONT));
        // Where SAML responses are posted to, those sign-ins run from their beginning to their end.
        let begins_here = || {
            let query = parts.uri.query().unwrap_or_default();
            let named = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "connector");
            let provider = named.and_then(|(_, id)| self.sign_in.provider(&id)).and_then(Provider::saml);
            provider.is_some_and(|saml| saml.acs_host() == visit.host)
        };
        let receives = elsewhere && self.host(&visit.host).receives_saml();
        let elsewhere = elsewhere && !(receives && path == "sign-in/go" && begins_here());
        let saml = saml.filter(|(provider, page)| {
            let acs = provider.saml().is_some_and(|saml| saml.acs_host() == visit.host);
            if matches!(page, SamlPage::Acs | SamlPage::Done) { acs } else { !elsewhere || acs }
        });
        let methods = match path {
            "sign-in/resend" | "sign-out/done" | "me" | "jwks.json" => GET,
            "session" => GET_ALONE,
            "sign-in" | "sign-in/go" if elsewhere => GET_ALONE,
            "sign-out" => GET_OR_POST,
            "hand-off" if receives => GET_ALONE,
            "sign-in/continue" if receives => POST,
            _ if receives && let Some((_, page)) = saml => page.methods(),
            // The rest is on the sign-in host alone.
            _ if elsewhere => return self.reject(&visit, StatusCode::NOT_FOUND, "own_path_unknown"),
            "sign-in" => GET,
            "sign-in/go" | "sign-in/renew" | "hand-off" => GET_ALONE,
            "sign-in/start" | "sign-in/continue" => POST,
            _ if back.is_some() => POST,
            _ if front.is_some() => GET_ALONE,
            _ if let Some((_, page)) = saml => page.methods(),
            _ if callback.is_some_and(|id| oidc(id).is_some()) => GET_ALONE,
            _ => return self.reject(&visit, StatusCode::NOT_FOUND, "own_path_unknown"),
        };
        if !methods.contains(&parts.method) {
            let mut response = self.reject(&visit, StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed");
            let allowed: Vec<&str> = methods.iter().map(Method::as_str).collect();
            if let Ok(allowed) = HeaderValue::from_str(&allowed.join(", ")) {
                response.headers_mut().insert(ALLOW, allowed);
            }
            return response;
        }
        match path {
            "sign-in" | "sign-in/go" if elsewhere => self.to_sign_in_host(&visit, &parts).await,
            "hand-off" => self.hand_off(&visit, &parts).await,
            "session" => self.end_hand_off(&visit, &parts).await,
            "sign-in" => self.sign_in_page(&visit, &parts).await,
            "sign-in/resend" => self.resend(&visit, &parts).await,
            "sign-in/start" => self.sign_in_start(&visit, &parts, body).await,
            "sign-in/go" => self.sign_in_go(&visit, &parts).await,
            "sign-in/renew" => self.begin_renewal(&visit, &parts).await,
            "sign-in/continue" => self.sign_in_continue(&visit, &parts, body).await,
            "sign-out" if parts.method == Method::POST => self.sign_out_post(&visit, &parts, body).await,
            "sign-out" => self.sign_out_get(&visit, &parts).await,
            "sign-out/done" => self.sign_out_done(&visit, &parts),
            "me" => self.me(&visit, &parts).await,
            "jwks.json" => self.jwks(),
            _ if let Some((provider, page)) = saml => self.saml(&visit, provider, page, &parts, body).await,
            _ => match (back, front) {
                (Some(provider), _) => self.back_channel_logout(&visit, provider, &parts, body).await,
                (_, Some(provider)) => self.front_channel_logout(&visit, provider, &parts).await,
                _ => self.callback(&visit, callback.unwrap_or_default(), &parts).await,
            },
        }
    }
}
