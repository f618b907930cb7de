//! The pages of the legacy application.

use std::fmt::Write as _;

use http::HeaderMap;

use crate::app::{KnownBy, Viewer, claims_unverified};
use crate::pages::escape;
use crate::request;

/// `title` and `body` are HTML already.
fn page(title: &str, viewer: Option<&Viewer>, script: &str, body: &str) -> String {
    let corner = viewer.map_or_else(String::new, |viewer| {
        format!(
            "<p class=\"who\"><strong>{}</strong> <a href=\"/logout\">Sign out</a></p>\n\
             <nav aria-label=\"Portal\"><a href=\"/\">Home</a> <a href=\"/admin/\">Administration</a></nav>",
            escape(&viewer.name)
        )
    });
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} – Portal</title>
<link rel="stylesheet" href="/assets/portal.css">{script}
</head>
<body>
<header>
<p class="brand">Portal</p>
{corner}
</header>
<main>
<h1>{title}</h1>
{body}
</main>
<footer>Portal 4.2, Accounting. In service since 2006.</footer>
</body>
</html>
"#
    )
}

pub(crate) fn sign_in(problem: Option<&str>) -> String {
    let problem = problem.map_or_else(String::new, |text| format!("<p role=\"alert\">{}</p>\n", escape(text)));
    let body = format!(
        r#"{problem}<form method="post" action="/login">
<p><label for="username">User name</label>
<input id="username" name="username" autocomplete="username" autocapitalize="none" required></p>
<p><label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required></p>
<p><button>Sign in</button></p>
</form>
<p class="faint">This is the application's own sign-in page. Behind Anteroom nobody gets to see it.</p>"#
    );
    page("Sign in", None, "", &body)
}

pub(crate) fn home(viewer: &Viewer, headers: &HeaderMap) -> String {
    let how = match viewer.known_by {
        KnownBy::Headers => "through identity headers: Anteroom signed you in",
        KnownBy::OwnSession => "through its own session cookie: nothing stands in front",
    };
    let body = format!(
        r#"<p>Portal knows you as <strong>{name}</strong>, {how}.</p>
<section aria-labelledby="received">
<h2 id="received">Identity headers of this request</h2>
{identity}
</section>
{assertion}
<section aria-labelledby="way">
<h2 id="way">How it came here</h2>
{way}
</section>
<section aria-labelledby="cookies">
<h2 id="cookies">Cookies that reached the application</h2>
<p>{cookies}</p>
</section>
<section aria-labelledby="postings">
<h2 id="postings">Today's postings</h2>
<p class="faint">Streamed from <a href="/events">/events</a>, one a second.</p>
<ol data-stream="/events" aria-live="polite"></ol>
</section>
<section aria-labelledby="elsewhere">
<h2 id="elsewhere">Elsewhere</h2>
<ul>
<li><a href="/admin/">Administration</a>: role Admin only</li>
<li><a href="/assets/portal.css">A public file</a>: no sign-in, no identity headers</li>
<li><a href="/api/invoices">The JSON API</a>: scripts use their own user name and password</li>
</ul>
</section>"#,
        name = escape(&viewer.name),
        identity = header_table(headers, |name| !WAY.contains(&name)),
        assertion = assertion_section(headers),
        way = header_table(headers, |name| WAY.contains(&name)),
        cookies = cookie_names(headers),
    );
    page("Accounting", Some(viewer), "\n<script src=\"/assets/portal.js\" defer></script>", &body)
}

pub(crate) fn admin(viewer: &Viewer) -> String {
    let body = "<p>You may see this page because your role is Admin or higher.</p>\n\
                <table><caption>Fiscal periods</caption>\n\
                <thead><tr><th scope=\"col\">Period</th><th scope=\"col\">State</th></tr></thead>\n\
                <tbody><tr><td>Last quarter</td><td>closed</td></tr><tr><td>This quarter</td><td>open</td></tr></tbody>\
                </table>";
    page("Administration", Some(viewer), "", body)
}

pub(crate) fn problem(text: &str) -> String {
    page("Sorry", None, "", &format!("<p>{}</p>\n<p><a href=\"/\">Home</a></p>", escape(text)))
}

/// Where Anteroom puts the signed assertion.
const ASSERTION: &str = "x-anteroom-assertion";

/// Forwarding headers that say where a request came from, not who sent it.
const WAY: [&str; 4] = ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"];

/// The forwarding headers that `wanted` picks: who it is first, then what Anteroom adds.
fn header_table(headers: &HeaderMap, wanted: fn(&str) -> bool) -> String {
    let is_ours = |name: &str| name.starts_with("x-anteroom-");
    let mut found: Vec<(bool, String, String)> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())))
        .filter(|(name, _)| (name.starts_with("x-forwarded-") || is_ours(name)) && wanted(name))
        .map(|(name, value)| {
            let shown = if name == ASSERTION { shortened(&value) } else { value.into_owned() };
            (is_ours(name), display_name(name), shown)
        })
        .collect();
    found.sort();
    if found.is_empty() {
        return "<p>None: this request did not come through Anteroom.</p>".to_owned();
    }
    let rows: Vec<(String, String)> = found.into_iter().map(|(_, name, value)| (name, value)).collect();
    table("As received", "Header", &rows)
}

/// The assertion is a credential while it lives: enough of it to recognise, not enough to use.
fn shortened(assertion: &str) -> String {
    let start: String = assertion.chars().take(24).collect();
    format!("{start}… ({} characters; decoded below)", assertion.len())
}

fn assertion_section(headers: &HeaderMap) -> String {
    let Some(claims) = request::header(headers, ASSERTION).and_then(claims_unverified) else {
        return String::new();
    };
    let rows: Vec<(String, String)> = claims
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned)))
        .collect();
    format!(
        "<section aria-labelledby=\"assertion\">\n<h2 id=\"assertion\">The signed assertion, decoded</h2>\n{}\n\
         <p class=\"faint\">Portal only displays it. An application that relies on it verifies it with the keys at \
         <a href=\"/.anteroom/jwks.json\">/.anteroom/jwks.json</a>.</p>\n</section>",
        table("Claims", "Claim", &rows)
    )
}

/// `x-forwarded-user` as documentation writes it; HTTP/1.1 names have no case.
fn display_name(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters
                .next()
                .map_or_else(String::new, |first| format!("{}{}", first.to_ascii_uppercase(), letters.as_str()))
        })
        .collect::<Vec<_>>()
        .join("-")
}

/// Names only: a value on a page would be a credential on a page.
fn cookie_names(headers: &HeaderMap) -> String {
    let names: Vec<String> =
        request::cookies(headers).map(|(name, _)| format!("<code>{}</code>", escape(name))).collect();
    if names.is_empty() { "None. Anteroom keeps its own to itself.".to_owned() } else { names.join(", ") }
}

fn table(caption: &str, first: &str, rows: &[(String, String)]) -> String {
    let mut html = format!(
        "<table>\n<caption>{caption}</caption>\n<thead><tr><th scope=\"col\">{first}</th><th scope=\"col\">Value</th></tr>\
         </thead>\n<tbody>\n"
    );
    for (name, value) in rows {
        let _ =
            writeln!(html, "<tr><th scope=\"row\">{}</th><td><code>{}</code></td></tr>", escape(name), escape(value));
    }
    html.push_str("</tbody>\n</table>");
    html
}
