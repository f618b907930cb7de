//! What a message is made of, before anybody asks who signed it (security cases S09, S10, S27, S28, S31).

use anteroom::directory::Directory;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{App, Ask, SamlProvider, SamlTrial, Setup, Signing};

const ACS: &str = "/.anteroom/saml/initech/acs";

async fn start() -> (App, SamlProvider) {
    let idp = SamlProvider::new("initech", "carol");
    (App::start_with(Setup::new().with(&idp.connector("")).directory(Directory::in_memory())).await, idp)
}

/// A comment is not part of what is signed: the signature stays good, and a reader of the first text node reads a part.
#[tokio::test(flavor = "multi_thread")]
async fn a_comment_within_a_name_is_refused_s09() {
    let (app, idp) = start().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for (row, spoiled) in [
            ("a comment", "carol@initech.com<!---->.evil.example"),
            ("an instruction", "carol@initech.com<?x y?>.evil.example"),
            ("character data", "carol@initech.com<![CDATA[.evil.example]]>"),
            ("a comment at the end", "carol@initech.com<!-- x -->"),
        ] {
            trial
                .refuses(&format!("{row} in a value, signed"), 400, "saml_content", |words| {
                    words.before(move |xml| xml.replace("carol@initech.com", spoiled));
                })
                .await;
            trial
                .refuses(&format!("{row} in the name, signed"), 400, "saml_content", |words| {
                    words.name_id.1 = spoiled.to_owned();
                })
                .await;
            trial
                .refuses(&format!("{row}, unsigned"), 400, "saml_content", |words| {
                    words.after(move |xml| xml.replace("carol@initech.com", spoiled));
                })
                .await;
        }
        let elsewhere = |at: &'static str| {
            trial.refuses(at, 400, "saml_content", move |words| {
                words.after(move |xml| xml.replacen(at, &format!("<!-- x -->{at}"), 1));
            })
        };
        for at in ["<samlp:Response", "<saml:Issuer", "<ds:SignatureValue", "</samlp:Response"] {
            elsewhere(at).await;
        }
        trial
            .refuses("text beside an element", 400, "saml_content", |words| {
                words.before(|xml| {
                    xml.replacen(
                        "carol@initech.com<",
                        "carol@initech.com<x:y xmlns:x=\"urn:x\">.evil example</x:y><",
                        1,
                    )
                });
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_type_is_refused_and_nothing_is_fetched_s10() {
    let (app, idp) = start().await;
    let address = format!("http://{}/dtd", app.acme.address);
    let bomb: String = (1..30).map(|n| format!("<!ENTITY l{n} \"&l{0};&l{0};\">", n - 1)).collect();
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for (row, doctype) in [
            ("internal", "<!DOCTYPE r [<!ENTITY x \"carol\">]>".to_owned()),
            ("external", format!("<!DOCTYPE r SYSTEM \"{address}\">")),
            ("public", format!("<!DOCTYPE r PUBLIC \"x\" \"{address}\">")),
            ("parameter entity", format!("<!DOCTYPE r [<!ENTITY % x SYSTEM \"{address}\"> %x;]>")),
            ("laughs", format!("<!DOCTYPE r [<!ENTITY l0 \"lol\">{bomb}]>")),
            ("file", "<!DOCTYPE r [<!ENTITY x SYSTEM \"file:///etc/passwd\">]>".to_owned()),
            ("empty", "<!DOCTYPE r>".to_owned()),
        ] {
            trial
                .refuses(row, 400, "xml_doctype", |words| {
                    words.after(move |xml| format!("<?xml version=\"1.0\"?>{doctype}{xml}"));
                })
                .await;
        }
        trial
            .refuses("an entity of nobody", 400, "saml_malformed", |words| {
                words.before(|xml| xml.replace("persistent-carol", "&carol;"));
                words.signing = Signing::Nothing;
            })
            .await;
        trial
            .accepts("a declaration", |words| {
                words.after(|xml| format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{xml}"));
            })
            .await;
    }
}

/// Too large, too wide or too deep is told before anything is built of it.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_larger_than_any_response_is_not_read_s28() {
    let (app, idp) = start().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let many = |count: usize, one: fn(usize) -> String| (0..count).map(one).collect::<String>();
        let attributes = many(20_000, |n| format!(" a{n}=\"\""));
        let namespaces = many(9_000, |n| format!(" xmlns:n{n}=\"urn:x\""));
        let (depth, ends) = (many(10_000, |_| "<x>".to_owned()), many(10_000, |_| "</x>".to_owned()));
        let siblings = many(60_000, |_| "<x/>".to_owned());
        for (row, from, to) in [
            ("attributes", "<saml:Subject", format!("<saml:Subject{attributes}")),
            ("namespaces", "<saml:Subject", format!("<saml:Subject{namespaces}")),
            ("depth", "<saml:Subject>", format!("{depth}{ends}<saml:Subject>")),
            ("siblings", "<saml:Subject>", format!("{siblings}<saml:Subject>")),
            ("bytes", "persistent-carol", "a".repeat(270_000)),
        ] {
            trial.refuses(row, 400, "saml_too_large", |words| words.after(move |xml| xml.replacen(from, &to, 1))).await;
        }
        trial
            .accepts("two hundred groups", |words| {
                words.attributes.push(("groups".to_owned(), (0..200).map(|n| format!("group {n}")).collect()));
            })
            .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_of_twenty_megabytes_is_not_taken_s28() {
    let (app, idp) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.browser();
    let asked = trial.begin(&mut browser).await;
    let body = format!("SAMLResponse={}", "A".repeat(20 * 1024 * 1024));
    let watch = trial.watch(&browser, &asked, "");
    let answer = browser.send_from_elsewhere(trial.ask("", None).body(body)).await;
    watch.refused("20 MB", &browser, &answer, 413, "form_too_large");
    // It used nothing up.
    let done = trial.answer(&mut browser, &asked, &trial.words(&asked)).await;
    assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
}

/// What is no form with a message of text in it. Nothing of the browser's attempt is used up where none was named.
#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_is_no_message_is_refused_s31() {
    let (app, idp) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    let mut browser = app.browser();
    let asked = trial.begin(&mut browser).await;
    let words = trial.words(&asked);
    let (xml, state) = (words.response(), asked.relay_state.clone().unwrap());
    let ask = || trial.ask(&xml, Some(&state));
    let base64 = STANDARD.encode(&xml);
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let field = encoded(&base64);
    let kind = |kind: &str| ask().without("Content-Type").with("Content-Type", kind);
    for (row, status, reason, ask) in [
        ("JSON", 415, "form_expected", kind("application/json").body(format!("{{\"SAMLResponse\":\"{base64}\"}}"))),
        ("XML", 415, "form_expected", kind("application/samlassertion+xml").body(xml.clone())),
        ("multipart", 415, "form_expected", kind("multipart/form-data; boundary=x")),
        ("no type", 415, "form_expected", ask().without("Content-Type")),
        ("compressed", 415, "form_expected", ask().with("Content-Encoding", "gzip")),
        ("no field", 400, "saml_response_missing", ask().body(format!("RelayState={state}"))),
        ("a request", 400, "saml_response_missing", ask().body(format!("SAMLRequest={field}"))),
        ("two responses", 400, "duplicate_parameter", ask().body(format!("SAMLResponse={field}&SAMLResponse={field}"))),
        (
            "two states",
            400,
            "duplicate_parameter",
            ask().body(format!("SAMLResponse={field}&RelayState={state}&RelayState={state}")),
        ),
        ("a field in another case", 400, "saml_response_missing", ask().body(format!("samlresponse={field}"))),
        ("nothing", 400, "saml_response_missing", ask().body("")),
        (
            "many fields",
            400,
            "form_too_many_fields",
            ask().body((0..60_000).map(|n| format!("{n:x}&")).collect::<String>()),
        ),
    ] {
        let watch = trial.watch(&browser, &asked, &xml);
        let answer = browser.send_from_elsewhere(ask).await;
        watch.refused(row, &browser, &answer, status, reason);
    }
    for method in ["GET", "PUT", "HEAD", "DELETE", "OPTIONS"] {
        let mut ask = ask().method(method);
        if method == "GET" {
            ask = ask.to(&format!("{ACS}?SAMLResponse={field}&RelayState={state}")).body("");
        }
        let upstream = app.upstream.count();
        let answer = browser.send_from_elsewhere(ask).await;
        assert_eq!((answer.status, app.upstream.count()), (405, upstream), "{method}: {answer:?}");
        assert_eq!(browser.session(), None, "{method}");
    }
    // A script of the provider's page may not redeem anything.
    let script = ask()
        .without("Sec-Fetch-Mode")
        .with("Sec-Fetch-Mode", "cors")
        .without("Sec-Fetch-Dest")
        .with("Sec-Fetch-Dest", "empty");
    assert_eq!(browser.send_from_elsewhere(script).await.reason(), "not_a_page");
    let done = trial.answer(&mut browser, &asked, &words).await;
    assert_eq!((done.status, done.reason()), (303, "signed_in"), "{done:?}");
}

/// Text in other encodings, which another reader may read otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_utf_8_and_says_nothing_else_s31() {
    let (app, idp) = start().await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        type Bytes = fn(&str) -> Vec<u8>;
        let rows: [(&str, Bytes); 9] = [
            ("UTF-16", |xml| xml.encode_utf16().flat_map(u16::to_le_bytes).collect()),
            ("UTF-16 with a mark", |xml| {
                [0xfeff].into_iter().chain(xml.encode_utf16()).flat_map(u16::to_be_bytes).collect()
            }),
            ("it says UTF-16", |xml| format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{xml}").into_bytes()),
            ("it says UTF-7", |xml| format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{xml}").into_bytes()),
            ("it says Latin 1", |xml| format!("<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>{xml}").into_bytes()),
            ("no UTF-8", |xml| [xml.as_bytes(), &[0xff, 0xfe]].concat()),
            ("too long a form", |xml| [xml.as_bytes(), &[0xc0, 0xaf]].concat()),
            ("NUL", |xml| format!("{xml}\0").into_bytes()),
            ("XML 1.1", |xml| format!("<?xml version=\"1.1\"?>{xml}").into_bytes()),
        ];
        for (row, bytes) in rows {
            let mut browser = app.browser();
            let asked = trial.begin(&mut browser).await;
            let xml = trial.words(&asked).response();
            let response = STANDARD.encode(bytes(&xml));
            let fields = [("SAMLResponse", response.as_str()), ("RelayState", asked.relay_state.as_deref().unwrap())];
            let watch = trial.watch(&browser, &asked, &xml);
            let answer = browser.send_from_elsewhere(Ask::posted_from(&idp.origin(), ACS, &fields)).await;
            watch.refused(row, &browser, &answer, 400, "saml_malformed");
        }
        for (row, response) in [
            ("no Base64", "<samlp:Response/>"),
            ("nothing", ""),
            ("half a group", "PHNhbWxwOg"),
            ("of URLs", "PHN_-A=="),
        ] {
            let mut browser = app.browser();
            let asked = trial.begin(&mut browser).await;
            let fields = [("SAMLResponse", response), ("RelayState", asked.relay_state.as_deref().unwrap())];
            let watch = trial.watch(&browser, &asked, "");
            let answer = browser.send_from_elsewhere(Ask::posted_from(&idp.origin(), ACS, &fields)).await;
            watch.refused(row, &browser, &answer, 400, "saml_malformed");
        }
        trial.accepts("with a mark of UTF-8", |words| words.after(|xml| format!("\u{feff}{xml}"))).await;
    }
}
