use proptest::prelude::*;

use super::*;

fn refused(path: &str, why: PathError) {
    assert_eq!(normalize(path), Err(why), "{path:?}");
}

#[test]
fn a_normal_path_comes_back_as_it_is_without_a_copy() {
    for path in [
        "/",
        "/a/b.css",
        "/a/",
        "/x;v=1/y",
        "/a(b)!$&'*+,=:@~_-",
        "/.well-known/openid",
        "/a...b/.../x",
        "/100%25",
        "/100%25/x",
        "/a%20b",
        "/%C3%A4",
        "/%7B%7D",
        "/%2B",
    ] {
        assert!(matches!(normalize(path), Ok(Cow::Borrowed(p)) if p == path), "{path:?}");
    }
}

#[test]
fn equal_spellings_become_one() {
    for (path, normal) in [
        ("/%61dmin", "/admin"),
        ("/%41%2D%2e%5F%7ex", "/A-._~x"),
        ("//admin", "/admin"),
        ("/a///b//", "/a/b/"),
        ("/%c3%a4", "/%C3%A4"),
        ("/ä/日本", "/%C3%A4/%E6%97%A5%E6%9C%AC"),
        ("/{id}|[x]^`\"<>", "/%7Bid%7D%7C%5Bx%5D%5E%60%22%3C%3E"),
        ("/%2b%3d%40", "/%2B%3D%40"),
        ("/a/%2ex", "/a/.x"),
        ("/a%25", "/a%25"),
        ("/1\u{2026}2\u{3002}", "/1%E2%80%A62%E3%80%82"),
        ("/\u{bd}", "/%C2%BD"),
    ] {
        assert_eq!(normalize(path).as_deref(), Ok(normal), "{path:?}");
    }
}

/// P01
#[test]
fn dot_segments_are_refused_in_every_spelling() {
    for path in [
        "/public/../admin",
        "/public/./admin",
        "/.",
        "/..",
        "/../",
        "/./admin",
        "/public/%2e%2e/admin",
        "/public/.%2E/admin",
        "/public/%2e/admin",
        "/public/..;/admin",
        "/public/..;x=y/admin",
        "/public/.;/admin",
        "/public/%2e%2e;a/admin",
        "/public;/../admin",
        "/public/;/../admin",
        "/public//../admin",
        "/public/..%20/admin",
        "/public/.%20%20",
    ] {
        refused(path, PathError::DotSegment);
    }
    for honest in ["/public/...", "/a..b", "/..a", "/.a;..", "/a;/..b"] {
        assert!(normalize(honest).is_ok(), "{honest:?}");
    }
}

/// P01, P02, P03
#[test]
fn escaped_delimiters_and_backslashes_are_refused() {
    for path in [
        "/public/..%2fadmin",
        "/public/..%5cadmin",
        "/admin%2F",
        "/admin%3f/public",
        "/admin%3Fx",
        "/admin%23/public",
        "/admin%3bx",
        "/public/..%3B/admin",
        "/a\\b",
        "/\\admin",
        "/%5C",
    ] {
        refused(path, PathError::Delimiter);
    }
    assert_eq!(normalize("/admin;x").as_deref(), Ok("/admin;x"), "a raw ';' is judged twice, not refused");
}

/// P02, R02
#[test]
fn controls_and_spaces_are_refused() {
    for path in [
        "/admin%00",
        "/a%0d%0ab",
        "/a%0A",
        "/a%09b",
        "/a%7f",
        "/a b",
        "/a\tb",
        "/a\r\n",
        "/a\0",
        "/a\x7f",
        "/a?b",
        "/a#b",
        "/a\u{85}b",
        "/a%C2%85b",
    ] {
        refused(path, PathError::Character);
    }
    assert_eq!(normalize("/admin%20").as_deref(), Ok("/admin%20"), "an escaped space is a name of its own");
}

/// P01, P07
#[test]
fn double_encoding_and_bad_percent_are_refused() {
    for path in [
        "/%252e%252e/admin",
        "/%252fadmin",
        "/%25%32%65",
        "/%25%32e",
        "/%252%65",
        "/a%2541",
        "/a%25u002e",
        "/a%25U002E",
        "/%25%75002e",
    ] {
        refused(path, PathError::EncodedTwice);
    }
    for path in ["/%", "/%2", "/a%/b", "/%u002e%u002e/", "/%zz", "/%2g", "/% 20", "/%+1", "/%ä1", "/a%2"] {
        refused(path, PathError::Escape);
    }
    for honest in ["/100%25", "/100%25-x", "/50%25used", "/a%252"] {
        assert!(normalize(honest).is_ok(), "{honest:?}");
    }
}

/// P07
#[test]
fn what_is_not_utf8_is_refused() {
    for path in [
        "/%c0%ae%c0%ae/admin", // overlong dots
        "/%c0%af",
        "/%e0%80%af",
        "/%f0%80%80%af",
        "/%ed%a0%80", // lone surrogate
        "/%f4%90%80%80",
        "/%ff",
        "/%e4",     // Latin-1
        "/%C3x%A4", // interrupted
        "/%C3ä",    // half an escaped character before a raw one
        "/%C3/%A4",
        "/a%C3",
    ] {
        refused(path, PathError::NotUtf8);
    }
}

/// P07
#[test]
fn characters_that_turn_into_path_syntax_are_refused() {
    for c in "\u{2024}\u{2025}\u{fe30}\u{fe52}\u{ff0e}\u{2044}\u{2215}\u{29f8}\u{ff0f}\u{2100}\u{2105}\u{2216}\u{29f5}\u{29f9}\u{fe68}\u{ff3c}\
        \u{a5}\u{20a9}\u{37e}\u{fe54}\u{ff1b}\u{2047}\u{fe56}\u{ff1f}\u{fe5f}\u{ff03}\u{fe6a}\u{ff05}"
        .chars()
    {
        refused(&format!("/a/{c}x"), PathError::LookAlike);
        let escaped: String = c.to_string().bytes().map(|b| format!("%{b:02x}")).collect();
        refused(&format!("/a/{escaped}"), PathError::LookAlike);
        refused(&format!("/ä{c}/"), PathError::LookAlike);
    }
}

/// P06
#[test]
fn other_target_forms_are_refused() {
    for path in ["", "*", "admin", "http://app.example.com/", "%2fadmin", "?", "\\"] {
        refused(path, PathError::NotAbsolute);
    }
    assert_eq!(normalize("//host/path").as_deref(), Ok("/host/path"));
}

/// P02
#[test]
fn a_servlet_container_sees_segments_without_parameters() {
    for (path, seen) in [
        ("/admin;x", "/admin"),
        ("/admin;x/", "/admin/"),
        ("/admin;a=1;b=2/users;c", "/admin/users"),
        ("/;x/admin", "/admin"),
        ("/a/;x/b", "/a/b"),
        ("/a/;x", "/a/"),
        ("/a;x/;y", "/a/"),
        ("/;", "/"),
        ("/;/", "/"),
        ("/;jsessionid=1", "/"),
    ] {
        assert_eq!(without_parameters(path).as_deref(), Some(seen), "{path:?}");
        assert_eq!(normalize(seen).as_deref(), Ok(seen));
    }
    assert_eq!(without_parameters("/admin/x"), None);
}

fn own_of<'a>(path: &'a str, prefix: &str) -> Own<'a> {
    assert_eq!(normalize(path).as_deref(), Ok(path));
    own(path, path, prefix)
}

/// P09
#[test]
fn own_paths_are_exact_and_everything_like_them_is_confusable() {
    for prefix in ["/.anteroom", "/.anteroom/"] {
        assert_eq!(own_of("/.anteroom/sign-in", prefix), Own::Exact("sign-in"));
        assert_eq!(own_of("/.anteroom/", prefix), Own::Exact(""));
        assert_eq!(own_of("/.anteroom/a/b;c", prefix), Own::Exact("a/b;c"));
        for path in [
            "/.anteroom",
            "/.Anteroom/",
            "/.ANTEROOM/sign-in",
            "/.anteroom;x/sign-in",
            "/.anteroom;",
            "/;/.anteroom/me",
            "/;x/.Anteroom/me",
            "/.anteroom./",
            "/.anteroom%20/sign-in",
            "/.%EF%BD%81nteroom/",
            "/.anteroom.",
            "/%2eanteroom/me",
            "//.anteroom/me",
            "/.anteroom//me",
            "/.anteroom/%6de",
            "/.%61nteroom",
        ] {
            let normal = normalize(path).unwrap();
            assert_eq!(own(path, &normal, prefix), Own::Confusable, "{path:?}");
        }
        for path in
            ["/", "/x", "/anteroom/", "/.anteroomx/", "/.anteroom-x", "/x/.anteroom/", "/.ante/room", "/.well-known/x"]
        {
            assert_eq!(own_of(path, prefix), Own::No, "{path:?}");
        }
    }
    assert_eq!(own_of("/auth/room/x", "/auth/room"), Own::Exact("x"));
    assert_eq!(own_of("/Auth/room/x", "/auth/room"), Own::Confusable);
    assert_eq!(own_of("/auth/rooms", "/auth/room"), Own::No);
    assert_eq!(own_of("/desK/x", "/desk"), Own::Confusable);
    let raw = "/de\u{17f}\u{212a}/x";
    assert_eq!(own(raw, &normalize(raw).unwrap(), "/desk"), Own::Confusable, "long s and Kelvin sign");
}

/// Pieces that matter, so that generated paths meet the rules often.
fn hostile_path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("/".to_owned()),
        Just("//".to_owned()),
        Just(".".to_owned()),
        Just("..".to_owned()),
        Just(";".to_owned()),
        Just("%25".to_owned()),
        Just("%".to_owned()),
        Just("\\".to_owned()),
        Just("%2e".to_owned()),
        Just("%2F".to_owned()),
        Just("%c3%a4".to_owned()),
        Just("%C3".to_owned()),
        Just("ä".to_owned()),
        Just("{".to_owned()),
        Just("admin".to_owned()),
        any::<u8>().prop_map(|b| format!("%{b:02x}")),
        "[ -~]{1,3}",
        any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|parts| format!("/{}", parts.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 10_000, ..ProptestConfig::default() })]

    /// P08
    #[test]
    fn the_normal_form_is_stable_and_has_one_reading(path in hostile_path()) {
        if let Ok(normal) = normalize(&path) {
            prop_assert!(matches!(normalize(&normal), Ok(Cow::Borrowed(_))), "{path:?} → {normal:?}");
            let clean = normal.bytes().all(|b| b.is_ascii_graphic() && !b"\\?#\"<>[]^`{|}".contains(&b));
            prop_assert!(clean, "{path:?} → {normal:?}");
            prop_assert!(!normal.contains("//"));
            // A second decoder downstream finds no new structure.
            let decoded: Vec<u8> = percent_decode_str(&normal).collect();
            let decoded = String::from_utf8(decoded).unwrap();
            prop_assert_eq!(decoded.matches('/').count(), normal.matches('/').count());
            prop_assert!(decoded.split('/').all(|s| s != "." && s != ".."));
            if let Some(cut) = without_parameters(&normal) {
                prop_assert!(matches!(normalize(&cut), Ok(Cow::Borrowed(_))), "{normal:?} → {cut:?}");
            }
            let _ = own(&path, &normal, "/.anteroom");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(path in any::<String>()) {
        let _ = normalize(&path);
        let _ = normalize(&format!("/{path}"));
        let _ = without_parameters(&path);
        let _ = own(&path, &path, "/.anteroom");
    }
}
