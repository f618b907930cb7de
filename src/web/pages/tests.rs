use super::catalogue::{Cause, words};
use super::*;

/// What a page is filled with: ordinary values, or ones that would break out of HTML if they could.
#[derive(Clone, Copy)]
struct Sample {
    email: &'static str,
    typed: &'static str,
    name: &'static str,
    link: &'static str,
    token: &'static str,
    domain: &'static str,
    cookie: &'static str,
    reference: &'static str,
}

const HONEST: Sample = Sample {
    email: "ann.lee@acme.com",
    typed: "lee@acme.com",
    name: "Microsoft",
    link: "/.anteroom/sign-in?rd=%2Freports%3Fyear%3D2026&x=1",
    token: "/reports?year=2026",
    domain: "acme.com",
    cookie: "__Host-anteroom-try-4k2m",
    reference: "7f3c9a2e41d8b605",
};

const CANARY: &str = "\"'><script>canary()</script><img src=x onerror=canary()>{{7*7}}&lt;";

const HOSTILE: Sample = Sample {
    email: CANARY,
    typed: CANARY,
    name: CANARY,
    link: "javascript:canary()",
    token: CANARY,
    domain: CANARY,
    cookie: CANARY,
    reference: CANARY,
};

const ORIGINS: [&str; 2] = ["https://login.microsoftonline.com", "https://idp.example:8443"];

fn every_page(s: Sample, insecure_http: bool) -> Vec<(&'static str, Page)> {
    let setting = Setting { prefix: "/.anteroom", reference: s.reference, insecure_http };
    let failed = |cause: Cause| SignInFailed {
        setting,
        words: words(&Cause { provider: s.name, cookie: s.cookie, ..cause }),
        retry_href: s.link,
        arrived: &[],
    };
    let unavailable = |why| Unavailable { setting, why, retry_href: s.link }.render();
    let sign_in = |error| SignIn { setting, email: s.email, rd: s.token, purpose: s.token, error }.render(&ORIGINS);
    let again = |too_old, again, sent| SignInAgain { setting, too_old, again, sent, sign_in_href: s.link }.render();
    let kept = |again| PostKept { setting, minutes: 20, again, sign_in_href: s.link }.render();
    let fields = [(s.name.to_owned(), s.token.to_owned()), (s.name.to_owned(), String::new())];
    let resend = |of_another| {
        Resend { setting, path: s.token, action: s.link, fields: &fields, email: s.email, of_another }.render()
    };
    let unbound = Cause { reason: "tx_not_bound", ..Cause::default() };
    let unassigned = Cause { provider_error: Some("access_denied"), aadsts: Some(50105), ..Cause::default() };
    let away = Cause { reason: "provider_unreachable", ..Cause::default() };
    let wrong = Cause { reason: "hd_mismatch", ..Cause::default() };
    let logout_refused = |is_answer| {
        LogoutRefused { setting, is_answer, provider: s.name, sign_out_href: s.link }.render("saml_unsigned")
    };
    vec![
        ("sign_in", sign_in(None)),
        ("sign_in_empty", sign_in(Some(EmailError::Empty))),
        ("sign_in_invalid", sign_in(Some(EmailError::Invalid))),
        (
            "connector_choice",
            ConnectorChoice { setting, email: s.email, connector: s.name, href: s.link, change_address_href: s.link }
                .render(),
        ),
        ("unknown_domain", UnknownDomain { setting, domain: s.domain, change_address_href: s.link }.render()),
        ("too_many_tries", TooManyTries { setting, retry_after_secs: 30, retry_href: s.link }.render()),
        (
            "mismatch",
            Mismatch {
                setting,
                typed: s.typed,
                verified: s.email,
                connector: s.name,
                attempt: s.token,
                other_account_href: s.link,
            }
            .render(&ORIGINS),
        ),
        ("failed_unassigned", failed(unassigned).render("provider_error")),
        ("failed_unbound", failed(unbound).render("tx_not_bound")),
        ("failed_away", failed(away).render("provider_unreachable")),
        ("failed_hd", failed(wrong).render("hd_mismatch")),
        ("redirect_loop", Loop { setting, cookie: s.cookie, retry_href: s.link }.render()),
        (
            "signed_out",
            SignedOut { setting, provider_may_be_live: false, provider: s.name, sign_in_href: s.link }.render(),
        ),
        (
            "signed_out_here",
            SignedOut { setting, provider_may_be_live: true, provider: s.name, sign_in_href: s.link }.render(),
        ),
        ("sign_out_ask", SignOutAsk { setting, stay_href: s.link }.render(&ORIGINS)),
        ("front_channel_done", FrontChannelDone { setting }.render(&ORIGINS.map(str::to_owned))),
        ("not_sent", NotSent { setting, too_large: false, sign_in_href: s.link }.render()),
        ("not_sent_too_large", NotSent { setting, too_large: true, sign_in_href: s.link }.render()),
        ("post_kept", kept(false)),
        ("post_kept_again", kept(true)),
        ("resend", resend(false)),
        ("resend_of_another", resend(true)),
        ("kept_gone", KeptGone { setting }.render("kept_post_unknown")),
        (
            "frame_notice",
            FrameNotice { setting: Setting { reference: "", ..setting }, href: s.link }.render("sign_in_required"),
        ),
        ("sign_in_again", again(true, false, false)),
        ("sign_in_again_stronger", again(false, true, false)),
        ("sign_in_again_sent", again(true, false, true)),
        ("denied", Denied { setting, email: s.email, role: "", other_account_href: s.link }.render("denied")),
        (
            "denied_role",
            Denied { setting, email: s.email, role: "Admin", other_account_href: s.link }.render("role_missing"),
        ),
        ("native_refused", NativeRefused { setting, deactivated: false, sign_in_href: s.link }.render("sso_required")),
        (
            "native_refused_deactivated",
            NativeRefused { setting, deactivated: true, sign_in_href: s.link }.render("user_deactivated"),
        ),
        ("cross_site", CrossSite { setting }.render("cross_site_post")),
        ("not_found", NotFound { setting }.render()),
        ("bad_request", BadRequest { setting }.render("path_dot_segment")),
        ("logout_refused", logout_refused(false)),
        ("logout_refused_answer", logout_refused(true)),
        ("misdirected", Misdirected { setting }.render()),
        ("unavailable_unreachable", unavailable(UpstreamTrouble::Unreachable)),
        ("unavailable_busy", unavailable(UpstreamTrouble::Busy)),
        ("unavailable_timeout", unavailable(UpstreamTrouble::Timeout)),
        ("server_error", ServerError { setting, retry_href: s.link }.render()),
    ]
}

/// The pages as a person reads them, with where each link and form goes.
fn text_of(html: &str) -> String {
    let (_, body) = html.split_once("<body>").unwrap();
    let mut out = String::new();
    let mut rest = body;
    while let Some((text, tag_on)) = rest.split_once('<') {
        out.push_str(text);
        let (tag, after) = tag_on.split_once('>').unwrap();
        let attribute =
            |name: &str| tag.split_once(&format!("{name}=\"")).and_then(|(_, v)| v.split_once('"')).map(|(v, _)| v);
        match tag.split_ascii_whitespace().next().unwrap() {
            "a" => out.push_str(&format!("[{}] ", attribute("href").unwrap())),
            "form" => out.push_str(&format!("[{} {}]", attribute("method").unwrap(), attribute("action").unwrap())),
            "input" => out.push_str(&format!("[{}={}]", attribute("name").unwrap(), attribute("value").unwrap())),
            "dd" => out.push_str(": "),
            "li" => out.push_str("- "),
            "h1" => out.push_str("# "),
            _ => {}
        }
        rest = after;
    }
    let lines: Vec<_> = out.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
    lines.join("\n").replace("&#39;", "'")
}

#[test]
fn every_page_reads_as_it_was_written() {
    let mut all = String::new();
    for (name, page) in every_page(HONEST, false) {
        let head = format!("== {name}: {} {}\n", page.status().as_u16(), page.reason());
        all.push_str(&head);
        all.push_str(&text_of(page.html()));
        all.push_str("\n\n");
    }
    insta::assert_snapshot!("pages", all);
}

/// G5, W06, O24
#[test]
fn nothing_inserted_becomes_markup() {
    for insecure in [false, true] {
        for (name, page) in every_page(HOSTILE, insecure) {
            let html = page.html();
            for never in ["<script", "javascript:", "<img", "canary()<", "onerror=canary()>", "'><"] {
                assert!(!html.replace(STYLE, "").contains(never), "{name} contains {never}");
            }
            // Whatever attributes there are, they are ours: outside quotes no tag handles events or holds style.
            let tags = html.split('<').skip(1).filter_map(|t| t.split_once('>')).map(|(t, _)| t);
            for tag in tags {
                let names: String = tag.split('"').step_by(2).collect::<Vec<_>>().join(" ").to_ascii_lowercase();
                assert!(
                    !names.contains(" on") && !names.contains(" style=") && !names.contains("canary"),
                    "{name}: <{tag}>"
                );
            }
        }
    }
    let (_, page) = every_page(HOSTILE, false).remove(0);
    assert!(page.html().contains("&#60;script&#62;canary()"), "the canary was there, escaped");
}

/// G5, W01
#[test]
fn every_answer_carries_the_headers_that_keep_it_safe() {
    for (name, page) in every_page(HONEST, false) {
        let has_form = page.html().contains("<form");
        let html = page.html().to_owned();
        let response = page.into_response();
        let get = |h: &str| response.headers().get(h).map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        assert_eq!(get("content-type"), "text/html; charset=utf-8", "{name}");
        assert_eq!(get("cache-control"), "no-store", "{name}");
        assert_eq!(get("x-content-type-options"), "nosniff", "{name}");
        assert_eq!(get("referrer-policy"), if has_form { "same-origin" } else { "no-referrer" }, "{name}");
        assert!(!get("x-anteroom").is_empty(), "{name}");
        let policy = get("content-security-policy");
        let form = if name.starts_with("resend") {
            "; form-action 'self' https:"
        } else if has_form {
            "; form-action 'self' https://login.microsoftonline.com https://idp.example:8443"
        } else {
            "; form-action 'none'"
        };
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-") && policy.contains("; base-uri 'none'"),
            "{policy}"
        );
        assert!(policy.contains(form), "{name}: {policy}");
        let (frames, old) = match name {
            "frame_notice" => ("", ""),
            "front_channel_done" => {
                ("; frame-ancestors https://login.microsoftonline.com https://idp.example:8443", "")
            }
            _ => ("; frame-ancestors 'none'", "DENY"),
        };
        assert!(policy.ends_with(&format!("{form}{frames}")), "{name}: {policy}");
        assert_eq!(get("x-frame-options"), old, "{name}");
        let waits = matches!(response.status().as_u16(), 429 | 503);
        assert_eq!(!get("retry-after").is_empty(), waits, "{name}");
        assert_eq!(response.body(), html.as_bytes());
    }
}

#[test]
fn the_policys_hash_is_that_of_the_style_in_the_page() {
    let (_, page) = every_page(HONEST, false).remove(0);
    let inline = page.html().split_once("<style>").and_then(|(_, r)| r.split_once("</style>")).unwrap().0.to_owned();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, inline.as_bytes());
    assert!(page.policy().contains(&format!("'sha256-{}'", STANDARD.encode(digest))));
    assert_eq!(page.html().matches("<style").count(), 1);
}

#[test]
fn an_origin_cannot_add_to_the_policy() {
    let setting = Setting { prefix: "/.anteroom", reference: "", insecure_http: false };
    let page = SignOutAsk { setting, stay_href: "/" }.render(&[
        "https://good.example",
        "https://a.example; script-src *",
        "https://a.example https://b.example",
        "https://a.example,",
        "*",
        "'unsafe-inline'",
        "javascript:",
        "https://",
        "https://a.example/path",
    ]);
    assert!(page.policy().contains("form-action 'self' https://good.example;"), "{}", page.policy());
}

/// W01
#[test]
fn only_origins_may_frame_a_page_and_without_any_nobody_may() {
    let setting = Setting { prefix: "/.anteroom", reference: "", insecure_http: false };
    for origins in [vec![], vec!["https://a.example; script-src *".to_owned()], vec!["*".to_owned()]] {
        let response = FrontChannelDone { setting }.render(&origins).into_response();
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.ends_with("; frame-ancestors 'none'"), "{policy}");
        assert_eq!(response.headers()["x-frame-options"], "DENY");
    }
}

/// WCAG 2.2: language, title, one heading, landmark, labels, names of controls, errors tied to their field.
#[test]
fn every_page_can_be_used_without_seeing_it() {
    for (name, page) in every_page(HONEST, true) {
        let html = page.html();
        assert!(html.starts_with("<!doctype html>\n<html lang=\"en\">"), "{name}");
        for once in ["<title>", "<h1>", "<main>", "</main>", "name=\"viewport\"", "name=\"color-scheme\""] {
            assert_eq!(html.matches(once).count(), 1, "{name}: {once}");
        }
        let title = html.split_once("<title>").and_then(|(_, r)| r.split_once("</title>")).unwrap().0;
        assert!(title.len() > 4, "{name}");
        assert_eq!(html.matches("aria-hidden=\"true\"").count(), 1, "{name}: the mark says nothing");
        assert!(html.contains("Test mode."), "{name}: insecure_http is announced");
        assert!(html.contains("prefers-color-scheme: dark") && html.contains(":focus-visible"), "{name}");
        for input in html.split("<input ").skip(1).filter(|i| !i.starts_with("type=\"hidden\"")) {
            let id = input.split_once("id=\"").and_then(|(_, r)| r.split_once('"')).unwrap().0;
            assert!(html.contains(&format!("<label for=\"{id}\">")), "{name}");
            let described = input.split_once("aria-describedby=\"").and_then(|(_, r)| r.split_once('"')).unwrap().0;
            for id in described.split(' ') {
                assert_eq!(html.matches(&format!("id=\"{id}\"")).count(), 1, "{name}: {id}");
            }
            assert_eq!(input.contains("aria-invalid=\"true\""), html.contains("class=\"error\""), "{name}");
        }
    }
    for (name, page) in every_page(HONEST, false) {
        assert!(!page.html().contains("Test mode."), "{name}");
    }
}

/// W01: the one page that a stranger may frame gives nothing away and takes nothing.
#[test]
fn the_frame_notice_is_fixed_but_for_its_link() {
    let setting = Setting { prefix: "/.anteroom", reference: "", insecure_http: false };
    let one = FrameNotice { setting, href: "/a" }.render("sign_in_required");
    let two = FrameNotice { setting, href: "/b" }.render("sign_in_required");
    assert_eq!(one.html().replace("\"/a\"", "\"/b\""), two.html());
    assert!(!one.html().contains("<form") && !one.html().contains("<input"));
    assert_eq!(one.html().matches("<a ").count(), 1);
    assert!(one.html().contains("target=\"_top\""));
}

#[test]
fn links_lead_to_paths_and_web_addresses_only() {
    for good in
        ["/", "/x?y=1#z", "/.anteroom/sign-in", "https://idp.example/authorize?a=b", "http://idp.localhost:8080/"]
    {
        assert_eq!(href(good), good);
    }
    for bad in [
        "",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "javascript:x",
        "JavaScript:x",
        "data:text/html,x",
        "x",
        "/a b",
        "/a\tb",
    ] {
        assert_eq!(href(bad), "/", "{bad:?}");
    }
}

#[test]
fn waits_are_told_in_words() {
    let setting = Setting { prefix: "/.anteroom", reference: "", insecure_http: false };
    for (secs, text) in [(1, "a second"), (30, "30 seconds"), (91, "2 minutes"), (600, "10 minutes")] {
        let page = TooManyTries { setting, retry_after_secs: secs, retry_href: "/" }.render();
        assert!(page.html().contains(&format!("Wait {text}, then")), "{secs}");
    }
}

/// Writes every page to `target/pages`, to be opened in a browser.
#[test]
fn every_page_can_be_looked_at() {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
    std::fs::create_dir_all(&dir).unwrap();
    let pages = every_page(HONEST, false);
    for (name, page) in &pages {
        std::fs::write(dir.join(format!("{name}.html")), page.html()).unwrap();
    }
    std::fs::write(dir.join("insecure.html"), every_page(HONEST, true)[0].1.html()).unwrap();
    assert!(pages.iter().all(|(name, _)| dir.join(format!("{name}.html")).exists()));
}
