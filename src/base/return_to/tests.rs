use proptest::prelude::*;
use url::Url;

use super::*;

const HERE: &str = "https://app.example.com/x/y";
const ORIGIN: &str = "https://app.example.com";
const PREFIX: &str = "/.anteroom";
const EVIL: &str = "evil.example";

const PLACES: Places<'static> = Places { here: ORIGIN, elsewhere: &[], prefix: PREFIX, hand_off: false };

fn parse(text: &str) -> Result<String, Rejected> {
    ReturnTo::parse(text, &PLACES).map(|t| t.as_str().to_owned())
}

/// The claim behind all R cases: what we accept, a browser resolves to our own origin, from any page of it.
fn stays_here(accepted: &str) -> Result<(), String> {
    for base in [HERE, "https://app.example.com/", "https://app.example.com/.anteroom/sign-in?rd=x"] {
        let url = Url::parse(base).unwrap().join(accepted).map_err(|e| format!("{accepted:?}: {e}"))?;
        if url.origin().ascii_serialization() != ORIGIN || !url.username().is_empty() || url.password().is_some() {
            return Err(format!("{accepted:?} leads to {url}"));
        }
        let (path, _) = accepted.split_once(['?', '#']).unwrap_or((accepted, ""));
        if url.path() != path {
            return Err(format!("{accepted:?}: the browser sees the path {:?}", url.path()));
        }
    }
    if !accepted.starts_with('/') || accepted.starts_with("//") || !accepted.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("{accepted:?} is not one plain relative reference"));
    }
    Ok(())
}

#[test]
fn honest_targets_are_taken() {
    for (text, target) in [
        ("/", "/"),
        ("/x/y?a=b&c=%2F", "/x/y?a=b&c=%2F"),
        ("/x?next=https://elsewhere.example/", "/x?next=https://elsewhere.example/"),
        ("/app#/route/1", "/app#/route/1"),
        ("/%7euser/%c3%a4", "/~user/%C3%A4"),
        ("/a//b", "/a/b"),
        ("/v1:batch", "/v1:batch"),
        ("/?", "/?"),
        ("https://app.example.com", "/"),
        ("https://app.example.com/", "/"),
        ("https://app.example.com?a", "/?a"),
        ("https://app.example.com/x?y#z", "/x?y#z"),
        ("HTTPS://APP.example.com/X", "/X"),
        ("/.anteroomy/x", "/.anteroomy/x"),
        ("/.anteroom/sign-in/resend?id=0123", "/.anteroom/sign-in/resend?id=0123"),
    ] {
        assert_eq!(parse(text).as_deref(), Ok(target), "{text:?}");
        stays_here(target).unwrap();
    }
    assert_eq!(ReturnTo::root().as_str(), "/");
    let ported = Places { here: "http://app.localhost:4180", ..PLACES };
    assert_eq!(ReturnTo::parse("http://app.localhost:4180/x", &ported).unwrap().as_str(), "/x");
}

#[test]
fn each_rejection_names_its_reason() {
    for (text, why) in [
        ("", Rejected::Length),
        ("/ä", Rejected::Character),
        ("/a b", Rejected::Character),
        ("/\\evil.example", Rejected::Character),
        ("//evil.example", Rejected::Origin),
        ("https://evil.example/", Rejected::Origin),
        ("https://app.example.com//evil.example", Rejected::Origin),
        ("https://app.example.com:444/", Rejected::Origin),
        ("http://app.example.com/", Rejected::Origin),
        ("x", Rejected::Origin),
        ("/..//evil.example", Rejected::Path),
        ("/%2f/evil.example", Rejected::Path),
        ("/javascript:alert(1)", Rejected::Path),
        ("/.anteroom/sign-out", Rejected::OwnPath),
        ("/.anteroom", Rejected::OwnPath),
        ("/.anteroom/sign-in/resend/", Rejected::OwnPath),
        ("/.anteroom/sign-in/Resend", Rejected::OwnPath),
        ("/.anteroom/sign-in/resend;x", Rejected::OwnPath),
        ("/.anteroom/sign-in", Rejected::OwnPath),
        ("/.Anteroom/sign-out", Rejected::OwnPath),
        ("/%2eanteroom/sign-out", Rejected::OwnPath),
        ("/.anteroom;x/sign-out", Rejected::OwnPath),
        ("https://app.example.com/.anteroom/sign-in", Rejected::OwnPath),
    ] {
        assert_eq!(parse(text), Err(why), "{text:?}");
    }
    assert!(parse(&format!("/{}", "x".repeat(MAX_LEN - 1))).is_ok());
    assert_eq!(parse(&format!("/{}", "x".repeat(MAX_LEN))), Err(Rejected::Length));
    assert_eq!(parse(&"/x".repeat(4096)), Err(Rejected::Length), "R08: 8 KB");
    assert_eq!(parse(&format!("/{}", "|".repeat(MAX_LEN - 1))), Err(Rejected::Length), "escaping makes it longer");
    assert!(ReturnTo::path("https://app.example.com/", PREFIX).is_err(), "no origin, no URL");
    assert_eq!(ReturnTo::path("/x", PREFIX).unwrap().as_str(), "/x");
}

const SUITE: &str = "https://suite.example.org";
const WIDE: Places<'static> =
    Places { here: ORIGIN, elsewhere: &[SUITE, "http://wiki.localhost:4180"], prefix: PREFIX, hand_off: true };

#[test]
fn another_origin_of_ours_stays_in_the_target() {
    for (text, target, elsewhere, path) in [
        ("https://suite.example.org", "https://suite.example.org/", Some(SUITE), "/"),
        ("HTTPS://Suite.example.org?x", "https://suite.example.org/?x", Some(SUITE), "/?x"),
        ("https://suite.example.org/a//b?c#d", "https://suite.example.org/a/b?c#d", Some(SUITE), "/a/b?c#d"),
        ("http://wiki.localhost:4180/x", "http://wiki.localhost:4180/x", Some("http://wiki.localhost:4180"), "/x"),
        ("https://app.example.com/x", "/x", None, "/x"),
        ("/x", "/x", None, "/x"),
    ] {
        let read = ReturnTo::parse(text, &WIDE).unwrap();
        assert_eq!((read.as_str(), read.elsewhere(), read.on_its_origin()), (target, elsewhere, path), "{text:?}");
        assert_eq!(ReturnTo::parse(target, &WIDE), Ok(read), "{text:?}: taking it again changes nothing");
    }
    for (text, why) in [
        ("https://suite.example.org:444/", Rejected::Origin),
        ("http://suite.example.org/", Rejected::Origin),
        ("https://suite.example.org.evil.example/", Rejected::Origin),
        ("https://suite.example.org@evil.example/", Rejected::Origin),
        ("https://suite.example.org//evil.example", Rejected::Origin),
        ("https://suite.example.org/..//evil.example", Rejected::Path),
        ("https://suite.example.org/javascript:alert(1)", Rejected::Path),
        ("https://suite.example.org\\@evil.example", Rejected::Character),
        ("https://suite.example.org/.anteroom/sign-out", Rejected::OwnPath),
        ("https://suite.example.org/.anteroom/hand-off?host=x", Rejected::OwnPath),
        ("http://wiki.localhost/x", Rejected::Origin),
    ] {
        assert_eq!(ReturnTo::parse(text, &WIDE), Err(why), "{text:?}");
    }
}

#[test]
fn of_the_own_paths_the_hand_off_alone_is_a_target() {
    for text in ["/.anteroom/hand-off?host=x&id=1", "https://app.example.com/.anteroom/hand-off?host=x&id=1"] {
        let read = ReturnTo::parse(text, &WIDE).unwrap();
        assert_eq!((read.as_str(), read.hand_off()), ("/.anteroom/hand-off?host=x&id=1", Some("host=x&id=1")));
        assert_eq!(ReturnTo::parse(text, &PLACES), Err(Rejected::OwnPath), "not where there is one host");
    }
    assert_eq!(ReturnTo::parse("/hand-off?host=x", &WIDE).unwrap().hand_off(), None, "an application's page");
    for text in [
        "/.anteroom/hand-off/x",
        "/.anteroom/hand-off/",
        "/.anteroom/hand-off#x",
        "/.anteroom//hand-off",
        "/.anteroom/./hand-off",
        "/.anteroom/hand%2doff",
        "/%2eanteroom/hand-off",
        "/.Anteroom/hand-off",
        "/.anteroom/Hand-Off",
        "/.anteroom/hand-off;x",
        "/.anteroom/session?code=x",
        "/.anteroom/sign-in?rd=/",
        "/.anteroom/",
    ] {
        let read = ReturnTo::parse(text, &WIDE);
        assert!(matches!(read, Err(Rejected::OwnPath | Rejected::Path)), "{text:?}: {read:?}");
    }
}

/// R01 to R08 with several origins: what is taken leads to one of ours, and nowhere else.
#[test]
fn no_listed_target_leaves_our_origins() {
    let suite = |text: &String| text.replace("app.example.com", "suite.example.org");
    for text in listed().iter().flat_map(|text| [text.clone(), suite(text)]) {
        let Ok(read) = ReturnTo::parse(&text, &WIDE) else { continue };
        match read.elsewhere() {
            None => stays_here(read.as_str()).unwrap(),
            Some(origin) => {
                let url = Url::parse(read.as_str()).unwrap();
                assert_eq!((url.origin().ascii_serialization().as_str(), url.username()), (origin, ""), "{text:?}");
                assert_eq!(origin, SUITE, "{text:?}");
                stays_here(read.on_its_origin()).unwrap();
            }
        }
    }
}

/// The escapes that tests/data/redirects.txt uses.
fn unescape(line: &str) -> String {
    let mut out = String::new();
    let mut rest = line.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        match rest.next().expect("an escape has a letter") {
            't' => out.push('\t'),
            'n' => out.push('\n'),
            'r' => out.push('\r'),
            '\\' => out.push('\\'),
            'u' => {
                let digits: String = rest.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.push(char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap());
            }
            other => panic!("unknown escape \\{other} in {line:?}"),
        }
    }
    out
}

fn listed() -> Vec<String> {
    let hosts = |line: &str| line.replace('A', "app.example.com").replace('E', EVIL);
    include_str!("../../../tests/data/redirects.txt")
        .lines()
        .filter(|l| !l.is_empty() && !l.starts_with("# ") && *l != "#")
        .map(|line| unescape(&hosts(line)))
        .chain(["#".to_owned()])
        .collect()
}

/// R01 to R08, the list
#[test]
fn no_listed_target_leaves_the_origin() {
    let all = listed();
    assert!(all.len() > 200, "the list is there: {}", all.len());
    let mut taken = Vec::new();
    for text in &all {
        if let Ok(target) = parse(text) {
            stays_here(&target).unwrap();
            taken.push(text.clone());
        }
    }
    // Taken, because they are plain paths of ours whatever they look like. Anything new here is worth a thought.
    let plain = |t: &String| t.starts_with('/') || t.starts_with("https://app.example.com");
    assert!(taken.iter().all(plain), "{taken:#?}");
    assert!(taken.len() < 30, "{taken:#?}");
}

/// R01 to R08, by combination: a beginning, what hides it, a host, an end.
#[test]
fn no_combined_target_leaves_the_origin() {
    let starts = [
        "",
        "/",
        "//",
        "///",
        "\\",
        "/\\",
        "\\/",
        "https:",
        "https:/",
        "https://",
        "http://",
        "HTTPS://",
        "javascript:",
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com@",
        "https://app.example.com:443@",
        "https://app.example.com.",
        "https://user@",
        "/x/..",
        "/.",
        "/x?",
        "/x#",
        "/;",
        "/%2e",
    ];
    let hides = [
        "",
        "/",
        "//",
        "\\",
        "\t",
        "\n",
        "\r",
        "\u{b}",
        " ",
        "\0",
        "%09",
        "%0a",
        "%20",
        "%2f",
        "%5c",
        "%252f",
        "/.",
        "/..",
        ";",
        "@",
        ":",
        "?",
        "#",
        "\u{2044}",
        "\u{ff0f}",
        "\u{3002}",
        "\u{200d}",
        "&",
        "%00",
        "%c0%af",
        "%E2%81%84",
    ];
    let ends = ["", "/", "/x", "?app.example.com", "#app.example.com", "@app.example.com", ":443"];
    let mut tried = 0;
    let mut taken = 0;
    for start in starts {
        for hide in hides {
            for again in ["", "/", "\\", "@"] {
                for end in ends {
                    let text = format!("{start}{hide}{again}{EVIL}{end}");
                    tried += 1;
                    if let Ok(target) = parse(&text) {
                        taken += 1;
                        stays_here(&target).unwrap_or_else(|e| panic!("{text:?}: {e}"));
                    }
                }
            }
        }
    }
    assert!(tried > 20_000 && taken * 3 < tried, "{taken} of {tried} were taken");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 4_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_leads_away_and_none_panics(
        text in prop_oneof![
            any::<String>(),
            "[/\\\\:@?#;.%a-f0-9 \t]{0,12}",
            "https://app\\.example\\.com[/\\\\:@?#;.%a-f0-9]{0,12}",
        ],
    ) {
        if let Ok(target) = parse(&text) {
            prop_assert_eq!(stays_here(&target), Ok(()));
            prop_assert_eq!(parse(&target), Ok(target), "taking it again changes nothing");
        }
    }
}
