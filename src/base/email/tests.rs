use proptest::prelude::*;

use super::*;

fn domain(text: &str) -> Result<String, InvalidDomain> {
    text.parse::<EmailDomain>().map(|d| d.as_str().to_owned())
}

/// D02
#[test]
fn case_and_one_trailing_dot_make_no_other_domain() {
    for text in ["acme.com", "ACME.com", "Acme.COM", "acme.com.", "ACME.COM."] {
        assert_eq!(domain(text).as_deref(), Ok("acme.com"), "{text:?}");
    }
    for text in ["größe.example", "GRÖSSE.example", "grÖße.Example.", "xn--gre-6ka8i.example", "XN--GRE-6KA8I.example"]
    {
        let expected = if text == "GRÖSSE.example" { "xn--grsse-kua.example" } else { "xn--gre-6ka8i.example" };
        assert_eq!(domain(text).as_deref(), Ok(expected), "{text:?}");
    }
    assert_eq!(domain("ΟΔΟΣ.example"), domain("οδοσ.example"), "a capital at the end is no final sigma");
    assert_eq!(domain("例え.テスト"), domain("xn--r8jz45g.xn--zckzah"));
    assert_eq!(domain("a-b.c1.example").as_deref(), Ok("a-b.c1.example"));
}

/// D02
#[test]
fn look_alikes_are_no_domain_or_another_one() {
    for text in [
        "\u{ff41}cme.com", // full-width a
        "ａｃｍｅ．ｃｏｍ",
        "acme\u{3002}com", // ideographic full stop
        "acme\u{ff0e}com",
        "acme\u{ff61}com",
        "\u{212a}elvin.com", // Kelvin sign
        "xn--elvin-\u{212a}.com",
        "\u{130}cme.com", // capital I with dot
        "a\u{ad}cme.com", // soft hyphen
        "ac\u{200b}me.com",
        "ac\u{200d}me.com",
        "\u{feff}acme.com",
        "acme.com\u{200e}",
        "\u{2133}.com",     // script M
        "a\u{1d41c}me.com", // bold c
        "acm\u{24d4}.com",  // circled e
        "\u{fb01}rm.com",   // ligature fi
        "acme.co\u{217f}",  // small roman numeral 1000
        "a\u{0308}cme.com", // decomposed
        "ﬀ.com",
        "℡.com",
    ] {
        assert_eq!(domain(text), Err(InvalidDomain), "{text:?}");
    }
    // Letters of their own: valid domains, and not acme's.
    for text in ["acme\u{131}.com", "\u{430}cme.com", "acm\u{e9}.com", "acme.\u{441}om", "acme.com\u{338}"] {
        let own = domain(text);
        assert_ne!(own.as_deref(), Ok("acme.com"));
        assert!(own.is_err() || own.is_ok_and(|d| d.contains("xn--")), "{text:?}");
    }
}

/// D02
#[test]
fn a_labels_are_taken_only_if_they_are_what_encoding_gives() {
    for text in [
        "xn--acme-.com", // decodes to plain ASCII
        "xn--acme.com",
        "xn--a.com",
        "xn--.com",
        "xn--\u{e4}.com",
        "xn--a-ecp.ru", // an unassigned or disallowed character
        "xn--0.pt",
        "xn--55qw42g.xn--xn--",
        "xn--zn7c.com", // decodes to a full-width dot
        "ab--cd.com",   // a reserved hyphen pair
    ] {
        assert_eq!(domain(text), Err(InvalidDomain), "{text:?}");
    }
}

/// D02, I08
#[test]
fn what_is_no_domain_is_refused() {
    for text in [
        "",
        ".",
        "..",
        "com",
        "localhost",
        ".acme.com",
        "acme..com",
        "acme.com..",
        "acme.com. ",
        " acme.com",
        "acme.com ",
        "acme. com",
        "\tacme.com",
        "acme.com\n",
        "acme\0.com",
        "acme.com\0",
        "-acme.com",
        "acme-.com",
        "ac_me.com",
        "acme.com:25",
        "acme.com/x",
        "a@acme.com",
        "acme.com,evil.com",
        "acme.com;evil.com",
        "*.acme.com",
        "%61cme.com",
        "acme%2ecom",
        "<acme.com>",
        "(x)acme.com",
        "127.0.0.1",
        "[127.0.0.1]",
        "[IPv6:::1]",
        "::1",
        "[::1]",
        "0x7f.1",
        "acme.0x7f",
        "1.2.3.4.",
        "acme.1",
        "2130706433",
        "acme.c0m",
    ] {
        assert_eq!(domain(text), Err(InvalidDomain), "{text:?}");
    }
    let label = "a".repeat(63);
    assert!(domain(&format!("{label}.com")).is_ok());
    assert!(domain(&format!("{label}a.com")).is_err());
    let long = format!("{label}.{label}.{label}.{}.com", "a".repeat(57));
    assert_eq!(long.len(), 253);
    assert!(domain(&long).is_ok());
    assert!(domain(&format!("a{long}")).is_err());
}

/// I09
#[test]
fn a_domain_is_equal_to_itself_alone() {
    let acme: EmailDomain = "acme.com".parse().unwrap();
    for other in ["notacme.com", "acme.com.evil.com", "sub.acme.com", "acme.co", "acme.comm", "acme-com.com", "me.com"]
    {
        assert_ne!(other.parse::<EmailDomain>().unwrap(), acme, "{other:?}");
    }
    assert_eq!("ACME.com.".parse::<EmailDomain>().unwrap(), acme);
}

/// D03
#[test]
fn the_local_part_is_kept_as_written() {
    let parse = |text: &str| text.parse::<EmailAddress>().unwrap();
    let plain = parse("ann.lee@acme.com");
    for other in
        ["annlee@acme.com", "ann.lee+x@acme.com", "Ann.Lee@acme.com", "ann..lee@acme.com", "ann.lee@sub.acme.com"]
    {
        assert!(other.parse::<EmailAddress>().ok().is_none_or(|o| o != plain), "{other:?}");
    }
    assert_eq!(parse("ann.lee@ACME.com."), plain);
    assert_eq!(parse("Ann.Lee+x@ACME.com").as_str(), "Ann.Lee+x@acme.com");
    assert_eq!((plain.local(), plain.domain().as_str()), ("ann.lee", "acme.com"));
    assert!(plain.looks_like(&parse("Ann.LEE@acme.com")));
    assert!(!plain.looks_like(&parse("annlee@acme.com")));
    assert_eq!(parse("a@größe.example").as_str(), "a@xn--gre-6ka8i.example");
    assert_eq!(parse("o'neil/x{1}#!$%&*=?^_`|~-@acme.com").local(), "o'neil/x{1}#!$%&*=?^_`|~-");
}

/// I08, D04
#[test]
fn what_is_no_address_is_refused() {
    for text in [
        "",
        "@",
        "a",
        "a@",
        "@acme.com",
        "a@evil@acme.com",
        "\"a@acme.com\"@evil.com",
        "\"a b\"@acme.com",
        "a\u{ff20}acme.com",
        "a@b\u{ff20}acme.com",
        "a\0@acme.com",
        "a@acme.com\0",
        "a(x)@acme.com",
        "a@(x)acme.com",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@[IPv6:::1]",
        "<a@acme.com>",
        "Ann <a@acme.com>",
        "a@acme.com, b@acme.com",
        "a@acme.com;b@acme.com",
        " a@acme.com",
        "a@acme.com ",
        "a @acme.com",
        "a@ acme.com",
        "a\r\nBcc: b@acme.com",
        "a@acme.com\r\n",
        ".a@acme.com",
        "a.@acme.com",
        "a..b@acme.com",
        "\u{e4}@acme.com",
        "\u{212a}@acme.com",
        "a@acme.com..",
        "a@acme",
        "a@localhost",
        "a\\@b@acme.com",
        "a@acme.com@",
        "mailto:a@acme.com",
        "a%40evil.com@",
        "<script>@acme.com",
        "[\"a@acme.com\"]",
        "{\"a\":1}",
    ] {
        assert_eq!(text.parse::<EmailAddress>(), Err(InvalidAddress), "{text:?}");
    }
    assert!(format!("{}@acme.com", "a".repeat(64)).parse::<EmailAddress>().is_ok());
    assert!(format!("{}@acme.com", "a".repeat(65)).parse::<EmailAddress>().is_err());
    assert!(format!("{}@acme.com", "a".repeat(10_240)).parse::<EmailAddress>().is_err());
    let long = format!("a@{}.com", "größe.".repeat(35));
    assert!(long.replace("..", ".").parse::<EmailAddress>().is_err(), "longer than an address in its normal form");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn a_normal_domain_is_ascii_and_its_own_normal_form(text in prop_oneof![any::<String>(), "[a-zA-ZäßK０-９.。-]{1,8}\\.(com|COM|рф)\\.?"]) {
        if let Ok(normal) = domain(&text) {
            prop_assert_eq!(domain(&normal), Ok(normal.clone()));
            prop_assert_eq!(domain(&text.to_ascii_uppercase()), Ok(normal.clone()));
            prop_assert!(normal.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'.' || b == b'-'));
            if normal.split('.').all(|l| !l.starts_with("xn--")) {
                prop_assert!(text.is_ascii(), "nothing but ASCII leads to an ASCII domain");
            }
        }
    }

    #[test]
    fn an_address_is_its_own_normal_form(text in "\\PC{0,12}@[a-zA-Z.]{0,8}\\.com") {
        if let Ok(address) = text.parse::<EmailAddress>() {
            prop_assert_eq!(address.as_str().parse::<EmailAddress>(), Ok(address.clone()));
        }
    }
}
