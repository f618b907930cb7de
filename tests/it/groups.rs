//! Groups that are not in the token (security case I10): nobody is signed in with fewer than they have.

use serde_json::{Value, json};

use crate::support::{App, Script, Setup, Trial};

const QUESTION: &str = "/transitiveMemberOf/microsoft.graph.group";

fn id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn page(ids: std::ops::Range<usize>) -> Value {
    json!({ "value": ids.map(|n| json!({ "id": id(n) })).collect::<Vec<_>>() })
}

/// What Entra says of somebody in more than 200 groups. Its address is nobody's to ask.
fn overage(script: &mut Script) {
    script.claims["groups"] = Value::Null;
    script.claims["_claim_names"] = json!({ "groups": "src1" });
    script.claims["_claim_sources"] = json!({ "src1": { "endpoint": format!("{}/retired", script.issuer) } });
}

async fn with_graph() -> App {
    let settings = "client_secret = \"canary-client-secret\"\ngroups_overage = \"graph\"\ngraph_url = \"$acme\"\n\n[connectors.globex]";
    let from = "client_secret = \"canary-client-secret\"\n\n[connectors.globex]";
    App::start_with(Setup::new().replacing(from, settings)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_elsewhere_are_refused_unless_they_may_be_fetched_i10() {
    let app = App::start().await;
    let acme = Trial::acme(&app);
    acme.refuses("an overage", 403, "groups_elsewhere", overage).await;
    acme.refuses("hasgroups", 403, "groups_elsewhere", |script| script.claims["hasgroups"] = json!(true)).await;
    let many = |count: usize| move |script: &mut Script| script.claims["groups"] = json!(vec!["g"; count]);
    acme.refuses("more than any token holds", 403, "groups_too_many", many(10_000)).await;
    assert_eq!(app.acme.count("/retired") + app.acme.count(QUESTION), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_from_graph_reach_the_application() {
    let app = with_graph().await;
    let acme = Trial::acme(&app);
    let to_provider = app.start_sign_in(&mut app.browser(), "acme", "/", "alice@acme.com").await;
    let url = url::Url::parse(to_provider.location()).unwrap();
    let (_, scope) = url.query_pairs().find(|(name, _)| name == "scope").unwrap();
    assert_eq!(scope, format!("openid profile email offline_access http://{}/User.Read", app.acme.address));
    for groups in [1..4, 1..3] {
        overage(&mut app.acme.script());
        app.acme.script().graph.2 = page(groups.clone()).to_string();
        let mut browser = app.browser();
        assert_eq!(acme.sign_in(&mut browser).await.status, 303);
        browser.visit("/").await;
        let expected = groups.map(id).collect::<Vec<_>>().join(",");
        assert_eq!(app.upstream.last().header("x-forwarded-groups"), Some(expected.as_str()));
    }
    assert_eq!(app.acme.count("/retired"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_that_cannot_be_had_are_no_sign_in_i10() {
    let app = with_graph().await;
    let acme = Trial::acme(&app);
    let graph = |status: u16, kind: &'static str, body: String| {
        move |script: &mut Script| {
            overage(script);
            script.graph = (status, kind, body);
        }
    };
    let json = "application/json";
    let next = |link: &str| {
        let mut page = page(0..3);
        page["@odata.nextLink"] = json!(link);
        page.to_string()
    };
    let again = next(&format!("http://{}/v1.0/again", app.acme.address));
    let elsewhere = next(&format!("http://{}/v1.0/next", app.globex.address));
    let denied = json!({ "error": { "code": "Authorization_RequestDenied", "message": "canary" } }).to_string();
    for (row, status, reason, spoil) in [
        ("busy", 503, "groups_unavailable", graph(429, json, "{}".into())),
        ("away", 503, "groups_unavailable", graph(503, "text/html", "away".into())),
        ("no JSON", 503, "groups_invalid", graph(200, json, "{".into())),
        ("a redirect", 503, "groups_invalid", graph(302, json, page(0..3).to_string())),
        ("another origin", 503, "groups_invalid", graph(200, json, elsewhere)),
        ("no end", 503, "groups_invalid", graph(200, json, again)),
        ("5 MB", 503, "groups_invalid", graph(200, json, " ".repeat(5 * 1024 * 1024))),
        ("no consent", 400, "groups_denied", graph(403, json, denied)),
        ("too many", 403, "groups_too_many", graph(200, json, page(0..10_001).to_string())),
        ("more than a header holds", 403, "header_too_long", graph(200, json, page(0..1_000).to_string())),
    ] {
        acme.refuses(row, status, reason, spoil).await;
    }
    assert_eq!(app.globex.count(""), 0, "the token went nowhere else");
}
