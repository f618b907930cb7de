use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;

use super::{App, SERVICE};
use crate::reply::Reply;
use crate::request::Asked;
use crate::server::Site as _;

const NOW: u64 = 1_800_000_000;

fn get(path: &str, headers: &[(&str, &str)]) -> Asked {
    let mut request = Request::get(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Bytes::new()).unwrap()
}

fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

async fn body(reply: Reply) -> String {
    String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn the_identity_header_is_trusted_and_shown() {
    let app = App::new();
    let anonymous = app.answer(&get("/", &[]), NOW);
    assert_eq!(
        (anonymous.status(), &anonymous.headers()["location"]),
        (StatusCode::SEE_OTHER, &"/login".parse().unwrap())
    );
    let headers = [("x-forwarded-user", "alice@acme.com"), ("x-anteroom-role", "Admin")];
    let page = body(app.answer(&get("/", &headers), NOW)).await;
    assert!(page.contains("<strong>alice@acme.com</strong>"));
    assert!(page.contains("<th scope=\"row\">X-Anteroom-Role</th><td><code>Admin</code></td>"));
}

#[tokio::test]
async fn what_the_headers_say_is_escaped() {
    let page = body(App::new().answer(&get("/", &[("x-forwarded-user", "<script>alert(1)</script>")]), NOW)).await;
    assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script>alert"));
}

#[tokio::test]
async fn the_assertion_is_shown_decoded_but_not_whole() {
    let token =
        format!("{}.{}.c2lnbmF0dXJl", "eyJhbGciOiJFUzI1NiJ9", URL_SAFE_NO_PAD.encode("{\"sub\":\"one-subject\"}"));
    let headers = [("x-forwarded-user", "alice@acme.com"), ("x-anteroom-assertion", token.as_str())];
    let page = body(App::new().answer(&get("/", &headers), NOW)).await;
    assert!(page.contains("one-subject"));
    assert!(!page.contains(&token));
}

#[tokio::test]
async fn cookies_are_shown_by_name_only() {
    let headers = [("x-forwarded-user", "alice@acme.com"), ("cookie", "LEGACYSESSID=the-value; theme=dark")];
    let page = body(App::new().answer(&get("/", &headers), NOW)).await;
    assert!(page.contains("<code>LEGACYSESSID</code>") && !page.contains("the-value"));
}

#[tokio::test]
async fn the_admin_page_needs_the_role() {
    let app = App::new();
    let as_role =
        |role| app.answer(&get("/admin/", &[("x-forwarded-user", "b"), ("x-anteroom-role", role)]), NOW).status();
    assert_eq!(as_role("Admin"), StatusCode::OK);
    assert_eq!(as_role("User"), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn the_api_asks_for_basic_credentials() {
    let app = App::new();
    let without = app.answer(&get("/api/invoices", &[]), NOW);
    assert_eq!(without.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(without.headers()["www-authenticate"], "Basic realm=\"portal\"");
    let wrong = app.answer(&get("/api/invoices", &[("authorization", &basic(SERVICE.0, "guess"))]), NOW);
    assert_eq!(wrong.status(), StatusCode::UNAUTHORIZED);
    let right = app.answer(&get("/api/invoices", &[("authorization", &basic(SERVICE.0, SERVICE.1))]), NOW);
    assert_eq!(right.status(), StatusCode::OK);
}

#[tokio::test]
async fn the_own_sign_in_page_makes_a_session_that_sign_out_ends() {
    let app = App::new();
    let sign_in = |password: &str| {
        let form = Bytes::from(format!("username=bbaker&password={password}"));
        app.answer(&Request::post("/login").body(form).unwrap(), NOW)
    };
    assert_eq!(sign_in("guess").status(), StatusCode::UNAUTHORIZED);
    let reply = sign_in("portal");
    let cookie = reply.headers()["set-cookie"].to_str().unwrap().split(';').next().unwrap().to_owned();
    assert!(cookie.starts_with("LEGACYSESSID="));
    let headers = [("cookie", cookie.as_str())];
    assert!(body(app.answer(&get("/", &headers), NOW)).await.contains("bbaker"));
    app.answer(&get("/logout", &headers), NOW);
    assert_eq!(app.answer(&get("/", &headers), NOW).status(), StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn events_arrive_one_by_one() {
    let reply = App::new().answer(&get("/events", &[("x-forwarded-user", "alice@acme.com")]), NOW);
    assert_eq!(reply.headers()["content-type"], "text/event-stream");
    let mut stream = reply.into_body();
    let first = stream.frame().await.unwrap().unwrap().into_data().unwrap();
    assert!(first.starts_with(b"event: posting\ndata: 2041 "));
    let rest = stream.collect().await.unwrap().to_bytes();
    assert!(rest.ends_with(b"event: close\ndata: Day closed\n\n"));
}
