//! Groups against a Graph and a Directory API on loopback, which lie where they are told to. No third party's can be
//! run here.

mod fake;
mod graph;
mod workspace;

use secrecy::SecretString;
use serde_json::json;

use super::*;
use crate::base::outgoing::Settings;
use crate::base::secret::Secret;
use crate::config::{ConnectorKind, SigningAlgorithm};
use crate::connector::error::Kind;
use crate::connector::oidc::fixture::{CLIENT, NOW, with};

use fake::{Fake, Reply, Seen};

/// Never in an error.
const ACCESS_TOKEN: &str = "canary-access-token";

fn config(groups: GroupsFrom) -> OidcConnector {
    OidcConnector {
        kind: ConnectorKind::Oidc { email_is_verified_by_operator: false },
        name: "Acme".into(),
        issuer: "https://idp.example.com".parse().unwrap(),
        client_id: CLIENT.into(),
        client_secret: Some(Secret::Value(SecretString::from("canary-secret"))),
        scopes: Vec::new(),
        email_claim: None,
        groups_claim: "groups".into(),
        groups,
        roles_claim: "roles".into(),
        algorithms: vec![SigningAlgorithm::RS256],
        prompt: None,
        client_certificate: None,
        requirement: crate::config::Requirement::default(),
        renewal: crate::config::Renewal::Off,
        callback_path: "/cb".into(),
    }
}

fn groups(from: GroupsFrom, clock: &Clock) -> Groups {
    Groups::new(&config(from), &Outgoing::new(&Settings::default()).unwrap(), clock)
}

async fn ask(groups: &Groups, claims: &Value) -> Result<Vec<String>, ProviderError> {
    let person = Person {
        claims: claims.as_object().unwrap(),
        email: &"ann@acme.com".parse().unwrap(),
        access_token: Some(ACCESS_TOKEN),
    };
    let found = groups.of(&person).await;
    if let Err(error) = &found {
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    found
}

async fn reason(groups: &Groups, claims: &Value) -> &'static str {
    ask(groups, claims).await.unwrap_err().reason()
}

/// What Entra says of somebody in more than 200 groups.
fn overage() -> Value {
    json!({
        "_claim_names": { "groups": "src1" },
        "_claim_sources": { "src1": { "endpoint": "http://127.0.0.1:1/retired/users/x/getMemberObjects" } },
    })
}

#[tokio::test]
async fn a_token_holds_its_groups_or_the_person_is_refused_i10() {
    let token = groups(GroupsFrom::Token, &Clock::manual(NOW));
    for (claims, expected) in [
        (json!({}), vec![]),
        (json!({ "groups": [] }), vec![]),
        (json!({ "groups": "one" }), vec!["one"]),
        (json!({ "groups": ["a", "b"], "hasgroups": false }), vec!["a", "b"]),
        (json!({ "groups": ["a"], "_claim_names": { "address": "src1" } }), vec!["a"]),
        (json!({ "groups": vec!["g"; 1_000] }), vec!["g"; 1_000]),
    ] {
        assert_eq!(ask(&token, &claims).await.unwrap(), expected);
    }
    for claims in [
        overage(),
        with(overage(), "groups", json!(["Admins"])),
        json!({ "hasgroups": true }),
        json!({ "hasgroups": "true" }),
        json!({ "hasgroups": true, "groups": ["Admins"] }),
    ] {
        let error = ask(&token, &claims).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("groups_elsewhere", Kind::NotAllowed), "{claims}");
    }
    for count in [1_001, 10_000] {
        let error = ask(&token, &json!({ "groups": vec!["g"; count] })).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("groups_too_many", Kind::NotAllowed));
    }
}
