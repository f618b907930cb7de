//! A provider shaped like Google: one Workspace organisation, Globex, and people who are not in it.

use serde_json::json;

use crate::args::Ports;
use crate::profile::{Client, Paths, Person, Profile, object};

pub(crate) const CLIENT_ID: &str = "731904620015-portal.apps.google.localhost";
/// Known to everybody who reads this file: the demo listens on loopback only.
pub(crate) const CLIENT_SECRET: &str = "demo-only-google-secret";

/// The provider at `http://accounts.google.localhost:PORT`.
pub(crate) fn profile(ports: Ports) -> Profile {
    let origin = format!("http://accounts.google.localhost:{}", ports.google());
    let portal = ports.portal_url();
    Profile {
        name: "Google Workspace (demo)",
        theme: "google",
        issuer: origin.clone(),
        paths: Paths {
            discovery: "/.well-known/openid-configuration".to_owned(),
            authorize: "/o/oauth2/v2/auth".to_owned(),
            sign_in: "/v3/signin".to_owned(),
            token: "/token".to_owned(),
            keys: "/oauth2/v3/certs".to_owned(),
            userinfo: "/v1/userinfo".to_owned(),
            sign_out: "/Logout".to_owned(),
            rp_initiated_logout: false,
        },
        sends_iss: true,
        cookie: "SID",
        domain_parameter: "hd",
        discovery: object(json!({
            "subject_types_supported": ["public"],
            "authorization_response_iss_parameter_supported": true,
        })),
        userinfo_claims: &["name", "given_name", "family_name", "email", "email_verified", "hd"],
        client: Client {
            id: CLIENT_ID,
            secret: CLIENT_SECRET,
            redirect_uri: format!("{portal}/.anteroom/oidc/globex-google/callback"),
            post_logout_redirect_uri: format!("{portal}/.anteroom/sign-out/done"),
        },
        origin,
        people: vec![
            person(
                "hana@globex.com",
                "Hana Ito",
                "104512907733180042117",
                Some("globex.com"),
                "no role: the home page",
            ),
            person(
                "ivo@globex.com",
                "Ivo Jansen",
                "109934411087722650138",
                Some("globex.com"),
                "no role: the home page",
            ),
            person("kim.home@gmail.com", "Kim Home", "117720045561298830451", None, "a private account: not admitted"),
            person(
                "lou@initech.com",
                "Lou Moreau",
                "112003387745190026644",
                Some("initech.com"),
                "another organisation: not admitted",
            ),
        ],
    }
}

fn person(
    address: &'static str,
    name: &'static str,
    sub: &str,
    hosted_domain: Option<&str>,
    expect: &'static str,
) -> Person {
    let (given, family) = name.split_once(' ').unwrap_or((name, ""));
    let mut claims = object(json!({
        "sub": sub,
        "email": address,
        "email_verified": true,
        "name": name,
        "given_name": given,
        "family_name": family,
    }));
    // Google leaves `hd` out for an account that belongs to no organisation.
    if let Some(hosted_domain) = hosted_domain {
        claims.insert("hd".to_owned(), json!(hosted_domain));
    }
    Person { address, name, expect, claims, refusal: None }
}
