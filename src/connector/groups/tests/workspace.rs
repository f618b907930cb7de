use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::*;
use crate::base::service_account::tests::key_file;
use crate::config::GoogleDirectory;

const TOKEN: &str = "canary-directory-token";

struct Set {
    fake: Fake,
    groups: Groups,
    clock: Clock,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

fn token_answer() -> Value {
    json!({ "access_token": TOKEN, "token_type": "Bearer", "expires_in": 3599 })
}

fn page(groups: &[&str], next: Option<&str>) -> Value {
    let groups: Vec<Value> = groups.iter().map(|email| json!({ "email": email })).collect();
    let page = json!({ "groups": groups });
    next.map_or_else(|| page.clone(), |next| with(page.clone(), "nextPageToken", json!(next)))
}

/// A token, then two pages.
fn honest(seen: &Seen) -> Reply {
    Reply::json(&match (seen.path.as_str(), seen.query.get("pageToken").map(String::as_str)) {
        ("/token", _) => token_answer(),
        (_, None) => page(&["staff@acme.com", "all@acme.com"], Some("canary&two")),
        (_, Some("canary&two")) => page(&["ops@acme.com"], None),
        (_, Some(other)) => panic!("{other}"),
    })
}

/// The token endpoint is honest, the API answers this.
fn api(mut answer: impl FnMut(&Seen) -> Reply + Send + 'static) -> impl FnMut(&Seen) -> Reply + Send + 'static {
    move |seen| if seen.path == "/token" { honest(seen) } else { answer(seen) }
}

async fn setup() -> Set {
    let fake = Fake::start(honest).await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key.json");
    std::fs::write(&file, key_file(0).to_string()).unwrap();
    let clock = Clock::manual(NOW);
    let directory = GoogleDirectory {
        service_account: Secret::File(file.clone()),
        subject: "admin@acme.com".parse().unwrap(),
        url: fake.url.clone(),
        token_url: fake.url.join("/token").unwrap(),
    };
    let groups = groups(GroupsFrom::Directory(directory), &clock);
    Set { fake, groups, clock, file, _dir: dir }
}

fn asked(fake: &Fake) -> (usize, usize) {
    let seen = fake.taken();
    let tokens = seen.iter().filter(|seen| seen.path == "/token").count();
    (tokens, seen.len() - tokens)
}

#[tokio::test]
async fn a_persons_groups_are_asked_for_in_the_administrators_name() {
    let set = setup().await;
    let found = ask(&set.groups, &json!({ "groups": ["ignored"] })).await.unwrap();
    assert_eq!(found, ["staff@acme.com", "all@acme.com", "ops@acme.com"]);
    let [token, first, second] = set.fake.taken().try_into().unwrap();
    assert_eq!(token.form["grant_type"], "urn:ietf:params:oauth:grant-type:jwt-bearer");
    let parts: Vec<&str> = token.form["assertion"].split('.').collect();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!(read(parts[0]), json!({ "alg": "RS256", "typ": "JWT", "kid": "key-0" }));
    assert_eq!(
        read(parts[1]),
        json!({
            "iss": "anteroom@acme.iam.gserviceaccount.com", "sub": "admin@acme.com",
            "scope": "https://www.googleapis.com/auth/admin.directory.group.readonly",
            "aud": format!("{}token", set.fake.url), "iat": NOW.secs(), "exp": NOW.secs() + 600,
        })
    );
    for seen in [&first, &second] {
        assert_eq!(seen.path, "/admin/directory/v1/groups");
        assert_eq!((seen.query["userKey"].as_str(), seen.query["maxResults"].as_str()), ("ann@acme.com", "200"));
        assert_eq!(seen.authorization, Some(format!("Bearer {TOKEN}")));
    }
    // Whoever left a group is not in it at the next question; somebody in none has no list at all.
    set.fake.answers(api(|_| Reply::json(&page(&["ops@acme.com"], None))));
    assert_eq!(ask(&set.groups, &json!({})).await.unwrap(), ["ops@acme.com"]);
    set.fake.answers(api(|_| Reply::json(&json!({}))));
    assert_eq!(ask(&set.groups, &json!({})).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn the_assertion_is_signed_with_the_files_key() {
    let set = setup().await;
    ask(&set.groups, &json!({})).await.unwrap();
    let assertion = set.fake.taken().remove(0).form["assertion"].clone();
    let pem = key_file(0)["private_key"].as_str().unwrap().to_owned();
    let key = jsonwebtoken::EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    // RS256 is deterministic: a library's signature is the same.
    let theirs = jsonwebtoken::crypto::sign(signed.as_bytes(), &key, jsonwebtoken::Algorithm::RS256).unwrap();
    assert_eq!(signature, theirs);
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_its_end() {
    let set = setup().await;
    let claims = json!({});
    let all = futures_util::future::join_all((0..10).map(|_| ask(&set.groups, &claims))).await;
    assert!(all.iter().all(Result::is_ok), "{all:?}");
    assert_eq!(asked(&set.fake), (1, 20), "one token for all");
    set.clock.advance(Duration::from_secs(3_538));
    ask(&set.groups, &json!({})).await.unwrap();
    assert_eq!(asked(&set.fake), (0, 2));
    set.clock.advance(Duration::from_secs(1));
    ask(&set.groups, &json!({})).await.unwrap();
    assert_eq!(asked(&set.fake), (1, 2));
}

#[tokio::test]
async fn a_changed_key_file_takes_effect_at_once() {
    let set = setup().await;
    ask(&set.groups, &json!({})).await.unwrap();
    set.fake.taken();
    std::fs::write(&set.file, key_file(1).to_string()).unwrap();
    ask(&set.groups, &json!({})).await.unwrap();
    let assertion = set.fake.taken().remove(0).form["assertion"].clone();
    let header = URL_SAFE_NO_PAD.decode(assertion.split('.').next().unwrap()).unwrap();
    assert!(String::from_utf8(header).unwrap().contains("key-1"));
    for text in ["", "{}", "canary"] {
        std::fs::write(&set.file, text).unwrap();
        let error = ask(&set.groups, &json!({})).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("service_account_unreadable", Kind::Misconfigured), "{text}");
    }
    std::fs::remove_file(&set.file).unwrap();
    assert_eq!(reason(&set.groups, &json!({})).await, "service_account_unreadable");
    assert_eq!(asked(&set.fake), (0, 0), "nobody was asked");
}

#[tokio::test]
async fn a_token_that_is_not_accepted_any_more_is_forgotten() {
    let set = setup().await;
    let refused = || Reply::new(401, "application/json", r#"{"error":{"code":401,"errors":[{"reason":"authError"}]}}"#);
    set.fake.answers(api(move |_| refused()));
    let error = ask(&set.groups, &json!({})).await.unwrap_err();
    assert_eq!((error.reason(), error.detail()), ("groups_denied", Some(("200 OK", "401 Unauthorized authError"))));
    set.fake.answers(honest);
    assert_eq!(ask(&set.groups, &json!({})).await.unwrap().len(), 3);
    assert_eq!(asked(&set.fake), (2, 3));
}

#[tokio::test]
async fn a_bad_answer_of_either_endpoint_is_refused() {
    let set = setup().await;
    let denied = |status, body: &str| Reply::new(status, "application/json", body);
    type Case = (&'static str, &'static str, Reply);
    let tokens: Vec<Case> = vec![
        ("no delegation", "groups_denied", denied(401, r#"{"error":"unauthorized_client"}"#)),
        (
            "a key that is gone",
            "groups_denied",
            denied(400, r#"{"error":"invalid_grant","error_description":"canary"}"#),
        ),
        ("another error", "groups_invalid", denied(400, r#"{"error":"invalid_request"}"#)),
        ("away", "groups_unavailable", Reply::new(503, "text/html", "away")),
        ("a redirect", "groups_invalid", Reply::json(&token_answer()).status(307).with("location", "/token")),
        ("another kind of token", "groups_invalid", Reply::json(&with(token_answer(), "token_type", json!("mac")))),
        ("no lifetime", "groups_invalid", Reply::json(&with(token_answer(), "expires_in", Value::Null))),
        ("no token", "groups_invalid", Reply::json(&with(token_answer(), "access_token", json!("")))),
        (
            "a token with a line break",
            "groups_invalid",
            Reply::json(&with(token_answer(), "access_token", json!("a\nb"))),
        ),
        ("5 MB", "groups_invalid", denied(200, &" ".repeat(5 * 1024 * 1024))),
    ];
    for (what, expected, reply) in tokens {
        let mut reply = Some(reply);
        set.fake.answers(move |seen| {
            assert_eq!(seen.path, "/token", "nothing is asked without a token");
            reply.take().expect("asked once")
        });
        assert_eq!(reason(&set.groups, &json!({})).await, expected, "{what}");
    }
    let quota = r#"{"error":{"code":403,"errors":[{"reason":"userRateLimitExceeded"}]}}"#;
    let pages: Vec<Case> = vec![
        ("no role", "groups_denied", denied(403, r#"{"error":{"code":403,"errors":[{"reason":"forbidden"}]}}"#)),
        ("quota", "groups_unavailable", denied(403, quota)),
        ("busy", "groups_unavailable", denied(429, "{}")),
        ("nobody by that name", "groups_invalid", denied(404, "{}")),
        ("groups that are no list", "groups_invalid", Reply::json(&json!({ "groups": {} }))),
        ("a group without an address", "groups_invalid", Reply::json(&json!({ "groups": [{ "id": "x" }] }))),
        ("a page token that is no text", "groups_invalid", Reply::json(&json!({ "nextPageToken": 1 }))),
        ("HTML", "groups_invalid", Reply::new(200, "text/html", "{}")),
        ("a list", "groups_invalid", Reply::json(&json!([]))),
    ];
    for (what, expected, reply) in pages {
        let mut reply = Some(reply);
        set.fake.answers(api(move |_| reply.take().expect("asked once")));
        assert_eq!(reason(&set.groups, &json!({})).await, expected, "{what}");
    }
    set.fake.answers(honest);
    assert_eq!(ask(&set.groups, &json!({})).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_list_without_an_end_ends_i10() {
    let set = setup().await;
    set.fake.answers(api(|_| Reply::json(&page(&["all@acme.com"], Some("again")))));
    assert_eq!(reason(&set.groups, &json!({})).await, "groups_invalid");
    assert_eq!(asked(&set.fake), (1, 100));
    let mut n = 0;
    set.fake.answers(api(move |_| {
        let names: Vec<String> = (n..n + 200).map(|n| format!("g{n}@acme.com")).collect();
        n += 200;
        Reply::json(&page(&names.iter().map(String::as_str).collect::<Vec<_>>(), Some("more")))
    }));
    assert_eq!(reason(&set.groups, &json!({})).await, "groups_too_many");
    assert_eq!(asked(&set.fake), (0, 51));
}

#[tokio::test(start_paused = true)]
async fn a_token_answer_that_never_ends_costs_ten_seconds() {
    let set = setup().await;
    set.fake.answers(|_| Reply::json(&token_answer()).open());
    assert_eq!(reason(&set.groups, &json!({})).await, "groups_unavailable");
}
