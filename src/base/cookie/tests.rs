use http::header::HeaderName;
use proptest::prelude::*;

use super::*;

const NAME: &str = "__Host-anteroom";

fn lines(name: &HeaderName, lines: &[&[u8]]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for line in lines {
        map.append(name, HeaderValue::from_bytes(line).unwrap());
    }
    map
}

fn cookies(texts: &[&str]) -> HeaderMap {
    lines(&COOKIE, &texts.iter().map(|t| t.as_bytes()).collect::<Vec<_>>())
}

fn all<'a>(map: &'a HeaderMap, name: &HeaderName) -> Vec<&'a [u8]> {
    map.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

#[test]
fn a_cookie_is_found_wherever_it_stands() {
    for line in [
        "__Host-anteroom=v",
        "a=1; __Host-anteroom=v",
        "__Host-anteroom=v; a=1",
        "a=1; __Host-anteroom=v; b=2",
        "a=1;__Host-anteroom=v;b=2",
        "a; =b; __Host-anteroom=v; ",
        "__Host-anteroom-try-1=x; __Host-anteroom=v; __Host-anteroomy=z",
    ] {
        assert_eq!(find(&cookies(&[line]), NAME), Found::One("v"), "{line:?}");
    }
    assert_eq!(find(&cookies(&["a=1", "__Host-anteroom=v"]), NAME), Found::One("v"), "a second line");
    assert_eq!(find(&cookies(&["__Host-anteroom=a=b\"c "]), NAME), Found::One("a=b\"c "), "the value byte for byte");
    assert_eq!(find(&cookies(&["__Host-anteroom="]), NAME), Found::One(""));
    let map = lines(&COOKIE, &[b"caf\xe9=\xff; __Host-anteroom=v"]);
    assert_eq!(find(&map, NAME), Found::One("v"), "an app's odd bytes do not hide ours");
    assert_eq!(find(&HeaderMap::new(), NAME), Found::None);
}

/// E03
#[test]
fn two_cookies_of_the_name_are_none() {
    for texts in [
        ["__Host-anteroom=v; __Host-anteroom=v", "a=1"],
        ["__Host-anteroom=v; a=1; __Host-anteroom=w", ""],
        ["__Host-anteroom=v", "__Host-anteroom=w"],
    ] {
        assert_eq!(find(&cookies(&texts), NAME), Found::Many, "{texts:?}");
    }
    assert_eq!(find(&lines(&COOKIE, &[b"__Host-anteroom=v; __Host-anteroom=\xff"]), NAME), Found::Many);
}

/// E04, E05
#[test]
fn other_spellings_are_not_recognised() {
    for line in [
        "a=1;  __Host-anteroom=v",
        "a=1;\t__Host-anteroom=v",
        " __Host-anteroom=v",
        "__Host-anteroom =v",
        "__host-anteroom=v",
        "__HOST-ANTEROOM=v",
        "\"__Host-anteroom\"=v",
        "=__Host-anteroom=v",
        "a=1, __Host-anteroom=v",
        "a=1,__Host-anteroom=v",
        "$Version=1, __Host-anteroom=v",
        "__Host-anteroom",
        "__Host-anteroom-try-1=v",
        "__Host-anteroomx=v",
        "%5F_Host-anteroom=v",
        "anteroom=v",
    ] {
        assert_eq!(find(&cookies(&[line]), NAME), Found::None, "{line:?}");
    }
    assert_eq!(
        find(&cookies(&["$Version=1; x=\"; __Host-anteroom=v\""]), NAME),
        Found::One("v\""),
        "quotes mean nothing"
    );
    for odd in [b"a=1; \xa0__Host-anteroom=v".as_slice(), b"\xe2\x80\x80__Host-anteroom=v", b"__Host-anteroom=\xff\xfe"]
    {
        assert_eq!(find(&lines(&COOKIE, &[odd]), NAME), Found::None);
    }
}

#[test]
fn attempt_cookies_are_found_by_prefix() {
    let map = cookies(&[
        "__Host-anteroom-try-a=1; x=y; __Host-anteroom-try-b=2=3",
        "__Host-anteroom-try-c",
        "__host-anteroom-try-d=4",
    ]);
    let found: Vec<_> = with_prefix(&map, "__Host-anteroom-try-").collect();
    assert_eq!(found, [("__Host-anteroom-try-a", "1"), ("__Host-anteroom-try-b", "2=3")]);
}

/// E14
#[test]
fn own_cookies_are_removed_and_all_other_bytes_stay() {
    for (before, after) in [
        ("__Host-anteroom=v", None),
        ("__Host-anteroom=v; __Host-anteroom-try-1=x", None),
        ("__Host-anteroom=v; a=1", Some("a=1")),
        ("a=1; __Host-anteroom=v", Some("a=1")),
        ("a=1; __Host-anteroom=v; b=2", Some("a=1; b=2")),
        ("a=1;  b=\"x y\" ;__Host-anteroom=v;;c", Some("a=1;  b=\"x y\" ;;c")),
        ("a=1; __host-ANTEROOM=v; b=2", Some("a=1; b=2")),
        ("a=1;\t __Host-anteroom=v", Some("a=1")),
        ("a=1; =__Host-anteroom=v", Some("a=1")),
        ("a=1; \"__Host-anteroom\"=v", Some("a=1")),
        ("a=1; __Host-anteroom =v", Some("a=1")),
        ("a=1; __Host-anteroom", Some("a=1")),
        ("a=1; %5F%5fHost-anteroom=v; __%48ost-anteroom%2Dtry=v", Some("a=1")),
        ("a=1; $__Host-anteroom=v", Some("a=1")),
    ] {
        let mut map = cookies(&[before]);
        assert!(strip_own(&mut map, &[NAME]) > 0, "{before:?}");
        assert_eq!(map.get(COOKIE).map(|v| v.to_str().unwrap()), after, "{before:?}");
    }
    for untouched in [
        "a=1; b=2",
        "__Host-anteroomy=1",
        "anteroom=1",
        "x=__Host-anteroom=v",
        " a=1;",
        "__Host-anteroom_x=1",
        "100%=a",
    ] {
        let mut map = cookies(&[untouched]);
        assert_eq!(strip_own(&mut map, &[NAME]), 0, "{untouched:?}");
        assert_eq!(all(&map, &COOKIE), [untouched.as_bytes()]);
    }
    let mut map = lines(
        &COOKIE,
        &[b"caf\xe9=\xff; __Host-anteroom=v; b=\x80", b"__Host-anteroom-try-1=x", b"c=3", b"\xa0__Host-anteroom=w; d"],
    );
    assert_eq!(strip_own(&mut map, &[NAME]), 3);
    assert_eq!(all(&map, &COOKIE), [b"caf\xe9=\xff; b=\x80".as_slice(), b"c=3", b"d"]);
    let mut map = cookies(&["anteroom=v; anteroom-try-1=x; __Host-anteroom=app"]);
    assert_eq!(strip_own(&mut map, &["anteroom"]), 2, "the plain name of server.insecure_http");
    assert_eq!(all(&map, &COOKIE), [b"__Host-anteroom=app".as_slice()]);
    let mut map = cookies(&["a=1; __Secure-anteroom=v; __Host-anteroom=w; __secure-anteroom-x=1"]);
    assert_eq!(strip_own(&mut map, &[NAME, "__Secure-anteroom"]), 3, "shared or not");
    assert_eq!(all(&map, &COOKIE), [b"a=1".as_slice()]);
}

/// E14
#[test]
fn an_upstream_sets_no_cookie_of_ours() {
    let own: [&[u8]; 7] = [
        b"__Host-anteroom=forged; Path=/",
        b" __Host-anteroom=x",
        b"__host-anteroom=x",
        b"=__Host-anteroom=x",
        b"__Host-anteroom",
        b"__Host-anteroom-try-1=x",
        b"\xa0__Host-anteroom=x",
    ];
    for line in own {
        let mut map = lines(&SET_COOKIE, &[b"a=1; Path=/", line, b"b=__Host-anteroom"]);
        assert_eq!(drop_own_set_cookies(&mut map, &[NAME]), 1);
        assert_eq!(all(&map, &SET_COOKIE), [b"a=1; Path=/".as_slice(), b"b=__Host-anteroom"]);
    }
    let mut map = lines(&SET_COOKIE, &[b"SESSION=1", b"__Host-app=2; Secure"]);
    assert_eq!(drop_own_set_cookies(&mut map, &[NAME]), 0);
    assert_eq!(map.get_all(SET_COOKIE).iter().count(), 2);
}

/// E02
#[test]
fn set_cookies_carry_every_attribute() {
    let cookie =
        SetCookie { name: NAME, value: "abc", domain: None, max_age: None, same_site: SameSite::Lax, secure: true };
    let text = |c: SetCookie| c.header().map(|h| h.to_str().unwrap().to_owned());
    assert_eq!(text(cookie).unwrap(), "__Host-anteroom=abc; Path=/; HttpOnly; Secure; SameSite=Lax");
    assert!(cookie.header().unwrap().is_sensitive());
    let attempt = SetCookie { max_age: Some(Duration::from_secs(600)), same_site: SameSite::None, ..cookie };
    assert_eq!(text(attempt).unwrap(), "__Host-anteroom=abc; Path=/; HttpOnly; Secure; SameSite=None; Max-Age=600");
    let plain = SetCookie { name: "anteroom", secure: false, same_site: SameSite::None, ..cookie };
    assert_eq!(
        text(plain).unwrap(),
        "anteroom=abc; Path=/; HttpOnly; SameSite=Lax",
        "None without Secure is dropped by browsers"
    );
    assert_eq!(expire(NAME, true).unwrap(), "__Host-anteroom=; Path=/; HttpOnly; Secure; SameSite=Lax; Max-Age=0");

    for (name, value) in [
        ("", "v"),
        ("a b", "v"),
        ("a=b", "v"),
        ("a;b", "v"),
        ("ä", "v"),
        ("a", "v;w"),
        ("a", "v w"),
        ("a", "\"v\""),
        ("a", "v,w"),
        ("a", "v\r\n"),
        ("a", "ä"),
        ("a", "\\"),
    ] {
        assert_eq!(SetCookie { name, value, ..cookie }.header().unwrap_err(), InvalidCookie, "{name:?} {value:?}");
    }
    assert!(SetCookie { secure: false, ..cookie }.header().is_err(), "__Host- without Secure");
    let shared = SetCookie { name: "__Secure-anteroom", domain: Some("example.com"), ..cookie };
    let expected = "__Secure-anteroom=abc; Path=/; HttpOnly; Domain=example.com; Secure; SameSite=Lax";
    assert_eq!(text(shared).unwrap(), expected);
    for bad in [
        SetCookie { name: NAME, ..shared },
        SetCookie { secure: false, ..shared },
        SetCookie { domain: Some("a; b"), ..shared },
        SetCookie { domain: Some("a\r\nb"), ..shared },
    ] {
        assert_eq!(bad.header().unwrap_err(), InvalidCookie, "{bad:?}");
    }
    let fits = "v".repeat(MAX_LEN - NAME.len());
    assert!(SetCookie { value: &fits, ..cookie }.header().is_ok());
    assert!(SetCookie { value: &format!("{fits}v"), ..cookie }.header().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn after_stripping_nothing_of_ours_is_left(
        parts in proptest::collection::vec(
            prop_oneof![
                Just("__Host-anteroom=v".to_owned()), Just(";".to_owned()), Just("; ".to_owned()), Just("a=1".to_owned()),
                Just("__host-anteroom".to_owned()), Just("-try-1=".to_owned()), "[ -~]{0,4}",
            ],
            0..10,
        ),
    ) {
        let mut map = cookies(&[&parts.concat()]);
        let had = find(&map, NAME) != Found::None;
        let went = strip_own(&mut map, &[NAME]);
        prop_assert!(!had || went > 0);
        prop_assert_eq!(find(&map, NAME), Found::None);
        prop_assert_eq!(strip_own(&mut map, &[NAME]), 0, "once is enough");
    }
}
