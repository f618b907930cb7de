//! A provider shaped like Microsoft Entra ID, with one tenant: Acme.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use crate::args::Ports;
use crate::profile::{Client, Paths, Person, Profile, Refusal, object};

pub(crate) const TENANT: &str = "7c1f2a9e-4b53-4d0e-9a86-2f5c0d7be311";
pub(crate) const CLIENT_ID: &str = "3f0d6c52-98ab-4e6b-8a0e-5d1b7c9e2f44";
/// Known to everybody who reads this file: the demo listens on loopback only.
pub(crate) const CLIENT_SECRET: &str = "demo-only-entra-secret";

const FINANCE: &str = "b5a1d6de-0b1c-4c4f-9c2a-6e0f6f3a1d01";
const EVERYBODY: &str = "0e8c7f34-51d2-4f86-bb1e-9d0a7c5e2b02";

/// The provider at `http://login.entra.localhost:PORT`.
pub(crate) fn profile(ports: Ports) -> Profile {
    let origin = format!("http://login.entra.localhost:{}", ports.entra());
    let portal = ports.portal_url();
    Profile {
        name: "Microsoft Entra ID (demo)",
        theme: "entra",
        issuer: format!("{origin}/{TENANT}/v2.0"),
        paths: Paths {
            discovery: format!("/{TENANT}/v2.0/.well-known/openid-configuration"),
            authorize: format!("/{TENANT}/oauth2/v2.0/authorize"),
            sign_in: format!("/{TENANT}/login"),
            token: format!("/{TENANT}/oauth2/v2.0/token"),
            keys: format!("/{TENANT}/discovery/v2.0/keys"),
            userinfo: "/oidc/userinfo".to_owned(),
            sign_out: format!("/{TENANT}/oauth2/v2.0/logout"),
            rp_initiated_logout: true,
        },
        sends_iss: false,
        cookie: "ESTSAUTH",
        domain_parameter: "domain_hint",
        discovery: object(json!({
            "subject_types_supported": ["pairwise"],
            "tenant_region_scope": "EU",
            "cloud_instance_name": origin.as_str(),
        })),
        userinfo_claims: &["name", "given_name", "family_name", "email"],
        client: Client {
            id: CLIENT_ID,
            secret: CLIENT_SECRET,
            redirect_uri: format!("{portal}/.anteroom/oidc/acme-entra/callback"),
            post_logout_redirect_uri: format!("{portal}/.anteroom/sign-out/done"),
        },
        origin,
        people: people(),
    }
}

fn people() -> Vec<Person> {
    vec![
        member("alice@acme.com", "Alice Archer", &["Admin"], "role Admin: sees everything, /admin/ too", None),
        member("bob@acme.com", "Bob Baker", &["User"], "role User: the home page, not /admin/", None),
        member("carol@acme.com", "Carol Čapková", &["ReadOnly"], "role ReadOnly; a name beyond ASCII", None),
        guest(),
        member(
            "erin@acme.com",
            "Erin Evans",
            &[],
            "not assigned to the application: refused in words",
            Some(unassigned()),
        ),
        member(
            "frank@acme.com",
            "Frank Fischer",
            &["User"],
            "consent is missing: refused in words",
            Some(no_consent()),
        ),
        member("gus@acme.com", "Gus Grant", &["User"], "second factor refused: refused in words", Some(no_factor())),
    ]
}

fn member(
    address: &'static str,
    name: &'static str,
    roles: &[&str],
    expect: &'static str,
    refusal: Option<Refusal>,
) -> Person {
    let oid = object_id(address);
    let (given, family) = name.split_once(' ').unwrap_or((name, ""));
    let mut groups = vec![EVERYBODY];
    if roles.contains(&"Admin") {
        groups.push(FINANCE);
    }
    let mut claims = object(json!({
        "sub": pairwise(&oid),
        "tid": TENANT,
        "oid": oid,
        "ver": "2.0",
        "acct": 0,
        "preferred_username": address,
        "upn": address,
        "email": address,
        "name": name,
        "given_name": given,
        "family_name": family,
        "groups": groups,
    }));
    // Entra leaves `roles` out for somebody who has none.
    if !roles.is_empty() {
        claims.insert("roles".to_owned(), json!(roles));
    }
    Person { address, name, expect, claims, refusal }
}

/// A guest lives in another directory: Entra vouches for the person, not for the address.
fn guest() -> Person {
    let address = "dana@partner.example";
    let oid = object_id(address);
    Person {
        address,
        name: "Dana Diaz (guest)",
        expect: "a guest of the tenant: signed in there, not admitted here",
        claims: object(json!({
            "sub": pairwise(&oid),
            "tid": TENANT,
            "oid": oid,
            "idp": "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/",
            "ver": "2.0",
            "acct": 1,
            "preferred_username": address,
            "upn": "dana_partner.example#EXT#@acme.onmicrosoft.com",
            "email": address,
            "name": "Dana Diaz",
            "given_name": "Dana",
            "family_name": "Diaz",
            "roles": ["User"],
            "groups": [EVERYBODY],
        })),
        refusal: None,
    }
}

fn unassigned() -> Refusal {
    access_denied(
        "AADSTS50105: Your administrator has configured the application Portal to block users unless they are \
         specifically granted ('assigned') access to the application. The signed in user 'erin@acme.com' is blocked \
         because they are not a direct member of a group with access, nor had access directly assigned by an \
         administrator.",
    )
}

fn no_consent() -> Refusal {
    access_denied("AADSTS90094: The grant requires admin permission. An administrator must consent to Portal.")
}

fn no_factor() -> Refusal {
    access_denied("AADSTS500121: Authentication failed during strong authentication request.")
}

fn access_denied(what: &str) -> Refusal {
    let trace = "Trace ID: 5d2c1b1a-7f6e-4f53-9a2b-1c0d9e8f7a00 \
                 Correlation ID: 0b9f3c1e-6d1a-4c1b-8c57-2f4b6a9d8e11";
    Refusal { error: "access_denied", description: format!("{what} {trace}") }
}

/// The same person always has the same object id.
fn object_id(address: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, format!("mailto:{address}").as_bytes()).to_string()
}

/// Entra's `sub` differs from application to application.
fn pairwise(oid: &str) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, format!("{TENANT} {oid} {CLIENT_ID}").as_bytes()))
}
