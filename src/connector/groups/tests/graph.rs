use super::*;

fn id(n: usize) -> String {
    format!("00000000-0000-4000-8000-{n:012}")
}

fn page(ids: impl IntoIterator<Item = usize>, next: Option<&str>) -> Value {
    let value: Vec<Value> = ids.into_iter().map(|n| json!({ "id": id(n) })).collect();
    let page = json!({ "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#groups(id)", "value": value });
    next.map_or_else(|| page.clone(), |next| with(page.clone(), "@odata.nextLink", json!(next)))
}

/// Two honest pages.
fn honest(fake: &str) -> impl FnMut(&Seen) -> Reply + Send + 'static {
    let next = format!("{fake}v1.0/me/transitiveMemberOf/microsoft.graph.group?$select=id&$skiptoken=canary");
    move |seen| {
        Reply::json(&if seen.query.contains_key("$skiptoken") { page([3], None) } else { page([1, 2, 1], Some(&next)) })
    }
}

async fn setup(always: bool) -> (Fake, Groups) {
    let fake = Fake::start(|_| Reply::new(500, "text/plain", "")).await;
    fake.answers(honest(fake.url.as_str()));
    let groups = groups(GroupsFrom::Graph { url: fake.url.clone(), always }, &Clock::manual(NOW));
    (fake, groups)
}

#[tokio::test]
async fn an_overage_is_read_from_graph_page_by_page() {
    let (fake, groups) = setup(false).await;
    assert_eq!(ask(&groups, &overage()).await.unwrap(), [id(1), id(2), id(3)], "each once");
    let [first, second] = fake.taken().try_into().unwrap();
    assert_eq!(first.path, "/v1.0/me/transitiveMemberOf/microsoft.graph.group");
    assert_eq!((first.query["$select"].as_str(), first.query["$top"].as_str()), ("id", "999"));
    for seen in [first, second] {
        assert_eq!(seen.authorization, Some(format!("Bearer {ACCESS_TOKEN}")));
    }
    // Whoever left a group is not in it at the next question.
    fake.answers(|_| Reply::json(&page([2], None)));
    assert_eq!(ask(&groups, &overage()).await.unwrap(), [id(2)]);
    fake.answers(|_| Reply::json(&page([], None)));
    assert_eq!(ask(&groups, &json!({ "hasgroups": true })).await.unwrap(), [""; 0]);
}

#[tokio::test]
async fn graph_is_asked_only_when_it_has_to_be() {
    let (fake, groups) = setup(false).await;
    assert_eq!(ask(&groups, &json!({ "groups": ["a"] })).await.unwrap(), ["a"]);
    assert_eq!(ask(&groups, &json!({})).await.unwrap(), [""; 0]);
    assert_eq!(fake.taken().len(), 0);
    let (fake, groups) = setup(true).await;
    assert_eq!(ask(&groups, &json!({})).await.unwrap(), [id(1), id(2), id(3)]);
    assert_eq!(fake.taken().len(), 2);
    let nobody = Person { claims: &Map::new(), email: &"a@acme.com".parse().unwrap(), access_token: None };
    assert_eq!(groups.of(&nobody).await.unwrap_err().reason(), "groups_unavailable");
}

#[tokio::test]
async fn an_answer_that_is_not_exactly_that_is_refused() {
    let (fake, groups) = setup(false).await;
    let text = |kind: &'static str, body: &str| Reply::new(200, kind, body);
    let honest_page = page([1], None);
    let twice = honest_page.to_string().replacen('{', r#"{"value":[],"#, 1);
    for (what, reply) in [
        ("a list", Reply::json(&json!([]))),
        ("no value", Reply::json(&json!({}))),
        ("a value that is no list", Reply::json(&json!({ "value": { "id": id(1) } }))),
        ("an entry that is no object", Reply::json(&json!({ "value": [id(1)] }))),
        ("an id that is no id", Reply::json(&json!({ "value": [{ "id": "Admins" }] }))),
        ("one entry without an id", Reply::json(&json!({ "value": [{ "id": id(1) }, { "id": null }] }))),
        ("a next link that is no text", Reply::json(&with(honest_page.clone(), "@odata.nextLink", json!(7)))),
        ("a next link that is no URL", Reply::json(&page([1], Some("/v1.0/me")))),
        ("a member twice", text("application/json", &twice)),
        ("bytes after the value", text("application/json", &format!("{honest_page} x"))),
        ("HTML", text("text/html", &honest_page.to_string())),
        ("nothing", text("application/json", "")),
        ("another status", Reply::new(206, "application/json", honest_page.to_string())),
        ("not found", Reply::new(404, "application/json", r#"{"error":{"code":"Request_ResourceNotFound"}}"#)),
        ("5 MB", text("application/json", &format!("{honest_page}{}", " ".repeat(5 * 1024 * 1024)))),
        ("a content encoding", Reply::json(&honest_page).with("content-encoding", "gzip")),
    ] {
        let mut reply = Some(reply);
        fake.answers(move |_| reply.take().expect("asked once"));
        let error = ask(&groups, &overage()).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("groups_invalid", Kind::Unavailable), "{what}: {error:?}");
    }
    fake.answers(move |_| Reply::json(&honest_page));
    assert_eq!(ask(&groups, &overage()).await.unwrap(), [id(1)]);
}

#[tokio::test]
async fn the_token_goes_nowhere_else() {
    let (fake, groups) = setup(false).await;
    let elsewhere = Fake::start(|_| Reply::json(&page([9], None))).await;
    let redirect = Reply::new(302, "application/json", "{}").with("location", elsewhere.url.as_str());
    let mut redirect = Some(redirect);
    fake.answers(move |_| redirect.take().expect("asked once"));
    assert_eq!(reason(&groups, &overage()).await, "groups_invalid");
    let (host, port) = (fake.url.host_str().unwrap(), fake.url.port().unwrap());
    for link in [
        elsewhere.url.to_string(),
        format!("https://{host}:{port}/v1.0/next"),
        format!("http://localhost:{port}/v1.0/next"),
        format!("http://canary:canary@{host}:{port}/v1.0/next"),
        format!("http://{host}:{port}@evil.example.com/next"),
        format!("//{host}:{port}/next"),
        "file:///etc/passwd".to_owned(),
    ] {
        fake.taken();
        let first = page([1], Some(&link));
        fake.answers(move |_| Reply::json(&first));
        assert_eq!(reason(&groups, &overage()).await, "groups_invalid", "{link}");
        assert_eq!(fake.taken().len(), 1, "{link}");
    }
    assert_eq!(elsewhere.taken().len(), 0);
    fake.answers(honest(fake.url.as_str()));
    assert_eq!(ask(&groups, &overage()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_list_without_an_end_ends_i10() {
    let (fake, groups) = setup(false).await;
    let next = format!("{}v1.0/next", fake.url);
    // New groups on each page, then the same page again and again, then pages of nothing but white space.
    let (mut n, link) = (0, next.clone());
    fake.answers(move |_| {
        n += 900;
        Reply::json(&page(n..n + 900, Some(&link)))
    });
    let error = ask(&groups, &overage()).await.unwrap_err();
    assert_eq!((error.reason(), error.kind()), ("groups_too_many", Kind::NotAllowed));
    assert_eq!(fake.taken().len(), 12, "10,000 of 900 each");
    let link = next.clone();
    fake.answers(move |_| Reply::json(&page([1], Some(&link))));
    assert_eq!(reason(&groups, &overage()).await, "groups_invalid");
    assert_eq!(fake.taken().len(), 100);
    fake.answers(move |_| {
        let body = format!("{}{}", page([1], Some(&next)), " ".repeat(1_000_000));
        Reply::new(200, "application/json", body)
    });
    assert_eq!(reason(&groups, &overage()).await, "groups_invalid");
    assert_eq!(fake.taken().len(), 9, "8 MB in all");
    fake.answers(|_| Reply::json(&page(0..10_000, None)));
    assert_eq!(ask(&groups, &overage()).await.unwrap().len(), 10_000, "the most that is taken");
}

#[tokio::test]
async fn a_graph_that_is_busy_away_or_slow_is_unavailable() {
    let (fake, groups) = setup(false).await;
    for status in [429, 500, 503] {
        fake.answers(move |_| Reply::new(status, "application/json", "{}").with("retry-after", "30"));
        let error = ask(&groups, &overage()).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("groups_unavailable", Kind::Unavailable), "{status}");
        assert_eq!(fake.taken().len(), 1, "it is not asked again at once");
    }
    let nobody = GroupsFrom::Graph { url: "http://127.0.0.1:1".parse().unwrap(), always: false };
    assert_eq!(reason(&super::groups(nobody, &Clock::manual(NOW)), &overage()).await, "groups_unavailable");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_ends_costs_ten_seconds() {
    let (fake, groups) = setup(false).await;
    fake.answers(|_| Reply::json(&page([1], None)).open());
    let before = tokio::time::Instant::from_std(std_now());
    let error = ask(&groups, &overage()).await.unwrap_err();
    assert_eq!((error.reason(), error.kind()), ("groups_unavailable", Kind::Unavailable));
    assert_eq!(tokio::time::Instant::from_std(std_now()) - before, TIME_LIMIT);
}

#[expect(clippy::disallowed_methods, reason = "the runtime's own time, which the test has stopped")]
fn std_now() -> std::time::Instant {
    tokio::time::Instant::now().into_std()
}

#[tokio::test]
async fn a_missing_consent_is_the_administrators_to_find() {
    let (fake, groups) = setup(false).await;
    for status in [401, 403] {
        fake.answers(move |_| {
            let error = json!({ "error": { "code": "Authorization_RequestDenied", "message": "canary" } });
            Reply::new(status, "application/json", error.to_string())
        });
        let error = ask(&groups, &overage()).await.unwrap_err();
        assert_eq!((error.reason(), error.kind()), ("groups_denied", Kind::Misconfigured));
        assert!(error.detail().unwrap().1.ends_with(" Authorization_RequestDenied"), "{error:?}");
    }
    fake.answers(|_| Reply::new(403, "application/json", r#"{"error":{"code":"canary <script>"}}"#));
    assert_eq!(ask(&groups, &overage()).await.unwrap_err().detail(), Some(("200 OK", "403 Forbidden ")));
}
