use serde_json::json;

use super::*;
use crate::connector::oidc::fixture::{self, with};

fn connector(kind: ConnectorKind) -> OidcConnector {
    OidcConnector {
        kind,
        name: "Acme".into(),
        issuer: fixture::ISSUER.parse().unwrap(),
        client_id: fixture::CLIENT.into(),
        client_secret: None,
        scopes: Vec::new(),
        email_claim: None,
        groups_claim: "groups".into(),
        groups: crate::config::GroupsFrom::Token,
        roles_claim: "roles".into(),
        algorithms: Vec::new(),
        prompt: None,
        client_certificate: None,
        requirement: crate::config::Requirement::default(),
        renewal: crate::config::Renewal::Off,
        callback_path: "/cb".into(),
    }
}

fn oidc() -> OidcConnector {
    connector(ConnectorKind::Oidc { email_is_verified_by_operator: false })
}

fn google() -> OidcConnector {
    connector(ConnectorKind::Google { hosted_domains: vec!["acme.com".parse().unwrap()] })
}

fn read(connector: &OidcConnector, claims: &Value) -> Result<Attributes, ProviderError> {
    let reader = Reader { connector, single_tenant: true };
    reader.read("ann".into(), claims.as_object().unwrap(), &["acme.com".parse().unwrap()])
}

fn email(connector: &OidcConnector, claims: &Value) -> Result<String, &'static str> {
    read(connector, claims).map(|a| a.email.to_string()).map_err(|e| e.reason())
}

fn claims() -> Value {
    json!({ "sub": "ann", "email": "ann@acme.com", "email_verified": true, "name": "Ann", "preferred_username": "ann" })
}

#[test]
fn an_honest_identity_is_read_whole() {
    let full = with(claims(), "roles", json!(["User", "Admin", "root", "ReadOnly"]));
    let attributes = read(&oidc(), &full).unwrap();
    assert_eq!(attributes.subject, "ann");
    assert_eq!(attributes.email.as_str(), "ann@acme.com");
    assert_eq!((attributes.name.as_deref(), attributes.preferred_username.as_deref()), (Some("Ann"), Some("ann")));
    assert_eq!(attributes.role, Some(Role::Admin), "the highest of those named");
    assert_eq!(read(&oidc(), &claims()).unwrap().role, None);
}

#[test]
fn an_address_nobody_verified_is_refused_i03() {
    for connector in [oidc(), google()] {
        for value in [json!(false), json!("false"), Value::Null, json!(1), json!("TRUE"), json!([true])] {
            let spoilt = with(claims(), "email_verified", value.clone());
            assert_eq!(email(&connector, &spoilt), Err("email_unverified"), "{value}");
        }
        assert_eq!(email(&connector, &with(claims(), "email_verified", json!("true"))), Ok("ann@acme.com".into()));
    }
    let vouched = connector(ConnectorKind::Oidc { email_is_verified_by_operator: true });
    assert_eq!(email(&vouched, &with(claims(), "email_verified", Value::Null)), Ok("ann@acme.com".into()));
}

#[test]
fn what_is_no_address_is_refused_i08() {
    for value in [
        json!("a@evil@acme.com"),
        json!("\"a@acme.com\"@evil"),
        json!("a\u{ff20}acme.com"),
        json!("a\0@acme.com"),
        json!("a(comment)@acme.com"),
        json!("a@[127.0.0.1]"),
        json!(["ann@acme.com"]),
        json!({ "email": "ann@acme.com" }),
        json!(""),
    ] {
        assert_eq!(email(&oidc(), &with(claims(), "email", value.clone())), Err("email_invalid"), "{value}");
    }
    assert_eq!(email(&oidc(), &with(claims(), "email", Value::Null)), Err("email_missing"));
}

#[test]
fn the_domain_matches_whole_or_not_at_all_i09() {
    for address in ["a@notacme.com", "a@acme.com.evil.com", "a@sub.acme.com", "a@acme.co", "a@evil.com"] {
        let error = read(&oidc(), &with(claims(), "email", json!(address))).map(|_| ()).unwrap_err();
        assert_eq!(error.reason(), "domain_not_allowed");
        assert_eq!(error.address().unwrap().as_str(), address, "the page names the verified address");
    }
    assert_eq!(email(&oidc(), &with(claims(), "email", json!("Ann@ACME.com"))), Ok("Ann@acme.com".into()));
}

#[test]
fn a_renamed_claim_is_the_address_when_the_operator_vouches_for_it_i03() {
    let vouched = connector(ConnectorKind::Oidc { email_is_verified_by_operator: true });
    let renamed = OidcConnector { email_claim: Some("mail".into()), ..vouched };
    assert_eq!(email(&renamed, &claims()), Err("email_missing"));
    let mail = with(claims(), "mail", json!("bob@acme.com"));
    assert_eq!(email(&renamed, &mail), Ok("bob@acme.com".into()));
    // `email_verified` speaks of `email`: it vouches for no claim that people may edit themselves.
    let unvouched = OidcConnector { email_claim: Some("mail".into()), ..oidc() };
    assert_eq!(email(&unvouched, &mail), Err("email_unverified"));
}

#[test]
fn a_user_name_of_somebody_elses_domain_is_dropped() {
    let name =
        |name: &str| read(&oidc(), &with(claims(), "preferred_username", json!(name))).unwrap().preferred_username;
    for own in ["ann", "ann.lee", "ann@acme.com", "other@ACME.com"] {
        assert_eq!(name(own).as_deref(), Some(own));
    }
    for foreign in ["alice@globex.com", "alice@globex.com ", "a@evil@acme.com", "@acme.com", "ann@sub.acme.com"] {
        assert_eq!(name(foreign), None, "{foreign}");
    }
}

#[test]
fn roles_in_other_claims_give_no_role_i11() {
    assert_eq!(read(&oidc(), &with(claims(), "role", json!("Admin"))).unwrap().role, None);
    assert_eq!(read(&oidc(), &with(claims(), "roles", json!("admin"))).unwrap().role, None, "case counts");
    assert_eq!(read(&oidc(), &with(claims(), "roles", json!("Admin"))).unwrap().role, Some(Role::Admin));
    assert_eq!(read(&oidc(), &with(claims(), "roles", json!(vec!["Admin"; 1_001]))).unwrap().role, None);
    let elsewhere = with(with(claims(), "roles", json!("Admin")), "_claim_names", json!({ "roles": "x" }));
    assert_eq!(read(&oidc(), &elsewhere).unwrap().role, None, "two answers are none");
}

#[test]
fn userinfo_is_asked_only_for_what_is_missing() {
    let asks = |connector: &OidcConnector, claims: &Value| {
        Reader { connector, single_tenant: true }.needs_userinfo(claims.as_object().unwrap())
    };
    assert!(!asks(&oidc(), &claims()));
    assert!(asks(&oidc(), &with(claims(), "email", Value::Null)));
    assert!(!asks(&oidc(), &with(claims(), "email_verified", Value::Null)), "the address is there");
    let named = OidcConnector { groups_claim: "teams".into(), ..oidc() };
    assert!(asks(&named, &claims()));
    assert!(!asks(&named, &with(claims(), "teams", json!([]))));
    assert!(!asks(&named, &with(claims(), "_claim_names", json!({ "teams": "x" }))), "it would not be there either");
    assert!(asks(&OidcConnector { roles_claim: "app_roles".into(), ..oidc() }, &claims()));
    let entra = connector(ConnectorKind::Entra { tenant: "common".into(), allowed_tenants: Vec::new() });
    assert!(!asks(&entra, &claims()));
}

#[test]
fn userinfo_fills_gaps_and_replaces_nothing_o29() {
    let connector = oidc();
    let reader = Reader { connector: &connector, single_tenant: true };
    let object = |v: Value| v.as_object().unwrap().clone();
    let id_token = json!({ "sub": "ann", "email_verified": true, "groups": ["mine"] });
    let userinfo = json!({
        "sub": "ann", "email": "eve@acme.com", "email_verified": false, "groups": ["theirs"], "name": "Ann",
        "tid": "t", "oid": "o", "hd": "acme.com", "acct": 0, "iss": "x",
    });
    let merged = Value::from(reader.complete(object(id_token), object(userinfo)));
    assert_eq!(
        merged,
        json!({ "sub": "ann", "email": "eve@acme.com", "email_verified": false, "groups": ["mine"], "name": "Ann" })
    );
    let kept = reader.complete(object(claims()), object(json!({ "email": "x@acme.com", "email_verified": false })));
    assert_eq!(Value::from(kept), claims());
}

#[test]
fn google_takes_hd_from_the_id_token_alone_i04() {
    let connector = google();
    let check = |claims: &Value| {
        let token = IdToken { subject: "ann".into(), claims: claims.as_object().unwrap().clone() };
        Reader { connector: &connector, single_tenant: false }.check(&token).map_err(|e| e.reason())
    };
    assert_eq!(check(&claims()), Err("hd_mismatch"));
    assert_eq!(check(&with(claims(), "hd", json!("acme.com"))), Ok(()));
}
