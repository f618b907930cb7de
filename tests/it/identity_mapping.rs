//! From claims to a person (security cases I01–I04, I08, I09): who answers for an address, and whose domain it is in.

use anteroom::signin::UserChange;
use serde_json::{Value, json};

use crate::support::{App, Ask, Script, Setup, TENANT, Trial, Watch};

const OTHER: &str = "99999999-8888-7777-6666-555555555555";
const CONSUMERS: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

fn claim(name: &'static str, value: Value) -> impl Fn(&mut Script) {
    move |script| script.claims[name] = value.clone()
}

/// Acme at the authority of all tenants, of which these may sign in.
async fn many_tenants(allowed: &[&str]) -> App {
    let setup =
        Setup::new().replacing(&format!("{TENANT}/v2.0\""), &format!("common/v2.0\"\nallowed_tenants = {allowed:?}"));
    let app = App::start_with(setup).await;
    app.acme.always(|script| {
        script.discovery["issuer"] = json!(script.issuer.replace(TENANT, "{tenantid}"));
        script.claims["xms_edov"] = json!(true);
    });
    app
}

/// A token of another tenant's user, genuine in every other way.
fn of_tenant(tid: &'static str) -> impl Fn(&mut Script) {
    move |script| {
        script.claims["iss"] = json!(script.issuer.replace(TENANT, tid));
        script.claims["tid"] = json!(tid);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_tenant_may_not_sign_in_whatever_address_it_claims_i01() {
    let app = many_tenants(&[TENANT]).await;
    let acme = Trial::acme(&app);
    let event = acme.refuses("a foreign tenant", 403, "tenant_not_allowed", of_tenant(OTHER)).await;
    assert_eq!(event["found"], OTHER);
    // The victim's own identifiers do not help either.
    let victim = |script: &mut Script| {
        of_tenant(OTHER)(script);
        script.claims["email_verified"] = json!(true);
    };
    acme.refuses("all claims of the victim", 403, "tenant_not_allowed", victim).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_person_is_not_another_tenants_i01() {
    let app = many_tenants(&[TENANT, OTHER]).await;
    let acme = Trial::acme(&app);
    // The same object id and address, asserted by two tenants that both may sign in: who that is an administrator says.
    acme.accepts("the first", |_| {}).await;
    acme.refuses("the second", 403, "account_conflict", of_tenant(OTHER)).await;
    // With more than one tenant a user name is nobody's proof: only an address whose domain's owner is verified.
    acme.refuses("no xms_edov", 403, "email_unverified", claim("xms_edov", Value::Null)).await;
    acme.refuses("xms_edov false", 403, "email_unverified", claim("xms_edov", json!(false))).await;
    acme.refuses("xms_edov \"0\"", 403, "email_unverified", claim("xms_edov", json!("0"))).await;
    acme.refuses("a user name alone", 403, "email_missing", |script| {
        script.claims["email"] = Value::Null;
        script.userinfo.2 = json!({ "sub": script.claims["sub"] }).to_string();
    })
    .await;
    // With the address released, they are two people to the application.
    let mut seen = vec![];
    for tid in [TENANT, OTHER] {
        of_tenant(tid)(&mut app.acme.script());
        let mut browser = app.browser();
        assert_eq!(acme.sign_in(&mut browser).await.status, 303);
        browser.visit("/").await;
        let assertion = app.upstream.last().header("x-anteroom-assertion").unwrap().to_owned();
        let engine = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let claims = base64::Engine::decode(&engine, assertion.split('.').nth(1).unwrap()).unwrap();
        seen.push(serde_json::from_slice::<Value>(&claims).unwrap()["sub"].clone());
        app.acme.honest();
        let release = UserChange::Deactivate { release_address: true };
        app.site.sign_in().change_user(seen.last().unwrap().as_str().unwrap(), &release).await.unwrap();
    }
    assert_ne!(seen[0], seen[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn issuer_and_tenant_belong_together_i02() {
    let app = many_tenants(&[TENANT, CONSUMERS]).await;
    let acme = Trial::acme(&app);
    let issuer = app.acme.script().issuer.clone();
    acme.refuses("tid of another", 400, "tenant_mismatch", claim("tid", json!(OTHER))).await;
    let iss = |iss: String| claim("iss", json!(iss));
    acme.refuses("iss of another", 400, "tenant_mismatch", iss(issuer.replace(TENANT, OTHER))).await;
    acme.refuses("the template itself", 400, "tenant_mismatch", iss(issuer.replace(TENANT, "{tenantid}"))).await;
    acme.refuses("template and tid", 400, "tenant_mismatch", |script| {
        script.claims["iss"] = json!(issuer.replace(TENANT, "{tenantid}"));
        script.claims["tid"] = json!("{tenantid}");
    })
    .await;
    acme.refuses("version 1", 400, "tenant_mismatch", iss(format!("https://sts.windows.net/{TENANT}/"))).await;
    // Even where an operator lists it: personal accounts are nobody's organisation.
    acme.refuses("personal accounts", 400, "tenant_mismatch", of_tenant(CONSUMERS)).await;
    acme.refuses("no tid", 400, "claim_missing", claim("tid", Value::Null)).await;
    acme.refuses("a path for a tid", 400, "tenant_mismatch", claim("tid", json!(format!("{TENANT}/../x")))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_tenants_authority_takes_no_other_tenant_i02() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    acme.refuses("another tenant", 400, "tenant_mismatch", of_tenant(OTHER)).await;
    acme.refuses("its iss alone", 400, "tenant_mismatch", |script| {
        script.claims["iss"] = json!(script.issuer.replace(TENANT, OTHER));
    })
    .await;
    acme.refuses("its tid alone", 400, "tenant_mismatch", claim("tid", json!(OTHER))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_counts_only_when_somebody_vouches_for_it_i03() {
    let app = App::start().await;
    let google = Trial::globex(&app);
    for value in [json!(false), json!("false"), Value::Null, json!(1), json!("yes"), json!([true])] {
        let row = value.to_string();
        google.refuses(&row, 403, "email_unverified", claim("email_verified", value)).await;
    }
    google.accepts("\"true\"", claim("email_verified", json!("true"))).await;

    let acme = Trial::acme(&app);
    type Guest = (&'static str, fn(&mut Script));
    let guests: [Guest; 4] = [
        ("a guest", |script| script.claims["acct"] = json!(1)),
        ("a guest, as text", |script| script.claims["acct"] = json!("1")),
        ("of another provider", |script| script.claims["idp"] = json!("https://sts.windows.net/other/")),
        ("an external user name", |script| {
            script.claims["upn"] = json!("alice_acme.com#EXT#@other.onmicrosoft.com");
        }),
    ];
    for (row, guest) in guests {
        acme.refuses(row, 403, "email_unverified", guest).await;
        acme.accepts(row, move |script| {
            guest(script);
            script.claims["xms_edov"] = json!(true);
        })
        .await;
    }
    // A member's address is the user name; what stands in `email` anybody may have written.
    acme.accepts("an e-mail of somebody else", claim("email", json!("boss@acme.com"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_may_vouch_for_a_provider_i03() {
    let kind = "[connectors.globex]\nkind = \"google\"";
    let vouched = "[connectors.globex]\nkind = \"oidc\"\nemail_is_verified = \"by-operator\"";
    let unverified = claim("email_verified", json!(false));
    let app = App::start_with(Setup::new().replacing(kind, vouched)).await;
    Trial::globex(&app).accepts("vouched for", &unverified).await;
    let app = App::start_with(Setup::new().replacing(kind, "[connectors.globex]\nkind = \"oidc\"")).await;
    Trial::globex(&app).refuses("not vouched for", 403, "email_unverified", &unverified).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_account_belongs_to_the_organisation_i04() {
    let app = App::start().await;
    let google = Trial::globex(&app);
    for value in [
        Value::Null,
        json!("other.com"),
        json!(""),
        json!("notglobex.com"),
        json!("sub.globex.com"),
        json!("globex.com.evil.com"),
        json!(["globex.com"]),
        json!("ｇlobex.com"),
    ] {
        let row = value.to_string();
        google.refuses(&row, 403, "hd_mismatch", claim("hd", value)).await;
    }
    google.accepts("another case", claim("hd", json!("GLOBEX.com"))).await;
    // What userinfo says of the organisation does not count, and it is not even asked.
    google
        .refuses("hd at userinfo", 403, "hd_mismatch", |script| {
            script.claims["hd"] = Value::Null;
            script.userinfo.2 = json!({ "sub": "1234567890", "hd": "globex.com" }).to_string();
        })
        .await;
    assert_eq!(app.globex.count("/userinfo"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_single_plain_address_is_refused_i08() {
    let app = App::start().await;
    let (google, acme) = (Trial::globex(&app), Trial::acme(&app));
    for text in [
        "a@evil@globex.com",
        "\"a@globex.com\"@evil.com",
        "a＠globex.com",
        "a\0@globex.com",
        "bob@globex.com\0.evil.com",
        "bob(comment)@globex.com",
        "bob@globex.com (comment)",
        "bob@[127.0.0.1]",
        "bob@127.0.0.1",
        "<bob@globex.com>",
        "Bob <bob@globex.com>",
        "bob@globex.com,eve@evil.com",
        "bob@globex.com\r\nX-Forwarded-Email: eve@globex.com",
        " bob@globex.com",
        "bob @globex.com",
        "bob@globex。com",
        "bob@ｇlobex.com",
        "@globex.com",
        "bob@",
        "globex.com",
        "",
        ".bob@globex.com",
        "b..b@globex.com",
        "bøb@globex.com",
    ] {
        google.refuses(text, 400, "email_invalid", claim("email", json!(text))).await;
    }
    for value in [json!(["bob@globex.com"]), json!({ "email": "bob@globex.com" }), json!(7), json!(true)] {
        let row = value.to_string();
        google.refuses(&row, 400, "email_invalid", claim("email", value)).await;
    }
    google
        .refuses("none", 403, "email_missing", |script| {
            script.claims["email"] = Value::Null;
            script.userinfo.2 = json!({ "sub": script.claims["sub"] }).to_string();
        })
        .await;
    acme.refuses("a user name that is no address", 400, "email_invalid", claim("upn", json!("alice"))).await;
    acme.refuses("two in a user name", 400, "email_invalid", claim("upn", json!("alice@evil.com@acme.com"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_is_matched_whole_i09() {
    let app = App::start().await;
    let (google, acme) = (Trial::globex(&app), Trial::acme(&app));
    for domain in ["notacme.com", "acme.com.evil.com", "sub.acme.com", "acme.co", "acmexcom.com", "com.acme"] {
        let address = format!("alice@{domain}");
        let event = acme.refuses(domain, 403, "domain_not_allowed", claim("upn", json!(address))).await;
        assert_eq!(event["user"], json!(address), "the log names who was refused");
    }
    // The other connector's domain is not this one's to assert.
    acme.refuses("globex.com at acme", 403, "domain_not_allowed", claim("upn", json!("bob@globex.com"))).await;
    google.refuses("acme.com at globex", 403, "domain_not_allowed", claim("email", json!("alice@acme.com"))).await;
    for address in ["alice@ACME.com", "alice@acme.com."] {
        acme.accepts(address, claim("upn", json!(address))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_typed_domain_is_matched_whole_i09() {
    let app = App::start().await;
    for (address, known) in [
        ("alice@acme.com", true),
        ("alice@notacme.com", false),
        ("alice@acme.com.evil.com", false),
        ("alice@sub.acme.com", false),
    ] {
        let page = app.send(&Ask::form("/.anteroom/sign-in/start", &[("email", address)])).await;
        assert_eq!(page.text().contains("Log in with Microsoft"), known, "{address}");
        assert_eq!(page.reason() == "domain_unknown", !known, "{address}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn more_groups_than_a_header_holds_are_refused_not_cut_x09() {
    let app = App::start().await;
    let groups = |count: usize| json!((0..count).map(|n| format!("{n:0100}")).collect::<Vec<_>>());
    let acme = Trial::acme(&app);
    acme.refuses("90 KB of groups", 403, "header_too_long", claim("groups", groups(400))).await;
    acme.accepts("some groups", claim("groups", groups(10))).await;
    // The person who was asked before it came to that is told too, and the attempt is over.
    let typed = Trial { hint: "carol@acme.com", ..Trial::acme(&app) };
    app.acme.script().claims["groups"] = groups(400);
    let mut browser = app.browser();
    let page = typed.sign_in(&mut browser).await;
    let word = Ask::form("/.anteroom/sign-in/continue", &[("attempt", &page.field("attempt").unwrap())]);
    let watch = Watch::begin(&app, &browser, &std::collections::BTreeMap::new());
    let answer = browser.send(word).await;
    watch.refused("after the word", &browser, &answer, 403, "header_too_long");
    assert!(browser.attempts().is_empty());
}
