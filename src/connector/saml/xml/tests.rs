use super::*;

fn refused(text: &str, policy: Policy) -> Reason {
    match Tree::parse(text, policy) {
        Ok(_) => panic!("taken: {}", text.chars().take(200).collect::<String>()),
        Err(error) => error.why(),
    }
}

fn taken(text: &str, policy: Policy) {
    if let Err(error) = Tree::parse(text, policy) {
        panic!("{error:?}: {}", text.chars().take(200).collect::<String>());
    }
}

/// S10.
#[test]
fn a_document_type_is_refused_everywhere() {
    for text in [
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a SYSTEM 'http://evil.example/x.dtd'><a/>",
        "<?xml version='1.0'?>\n<!DOCTYPE a [<!ENTITY e 'x'>]><a>&e;</a>",
        "<!DOCTYPE a [<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;]><a/>",
        "<!DOCTYPE a [<!ENTITY l 'll'><!ENTITY m '&l;&l;&l;&l;&l;'>]><a>&m;</a>",
    ] {
        assert_eq!(refused(text, Policy::Message), Reason::XmlDoctype, "{text}");
        assert_eq!(refused(text, Policy::Metadata), Reason::XmlDoctype, "{text}");
    }
    assert_eq!(refused("<a>&e;</a>", Policy::Message), Reason::SamlMalformed);
    taken("<?xml version='1.0'?>\n<a>&amp;&lt;&gt;&quot;&apos;&#65;&#x42;</a>", Policy::Message);
}

/// S09.
#[test]
fn what_readers_may_skip_is_refused_in_messages_and_ignored_in_metadata() {
    for inner in ["a<!-- -->b", "a<?p?>b", "a<![CDATA[b]]>", "a<b/>"] {
        let text = format!("<r>{inner}</r>");
        assert_eq!(refused(&text, Policy::Message), Reason::SamlContent, "{text}");
        taken(&text, Policy::Metadata);
    }
    for text in ["<!-- --><r/>", "<r/><!-- -->", "<?p?><r/>", "<r/><?p?>"] {
        assert_eq!(refused(text, Policy::Message), Reason::SamlContent, "{text}");
        taken(text, Policy::Metadata);
    }
    let text = "<r>admin@a.example<!-- -->.evil<![CDATA[.test]]></r>";
    assert_eq!(Tree::parse(text, Policy::Metadata).unwrap().root().text(), "admin@a.example.evil.test");
    taken("<r>\n <b>a</b>\n</r>", Policy::Message);
}

/// S28.
#[test]
fn limits_are_found_before_the_parser_works() {
    let attributes = |n: usize| format!("<a {}/>", (0..n).map(|i| format!("a{i}=''")).collect::<Vec<_>>().join(" "));
    let namespaces =
        |n: usize| format!("<a {}/>", (0..n).map(|i| format!("xmlns:a{i}= 'x'")).collect::<Vec<_>>().join(" "));
    let deep = |n: usize| format!("{}{}", "<a>".repeat(n), "</a>".repeat(n));
    let wide = |n: usize| format!("<a>{}</a>", "<b/>".repeat(n));
    let long = |n: usize| format!("<a>{}</a>", "x".repeat(n));
    let nested = |n: usize| {
        let start =
            |i: usize| format!("<a {}>", (0..12).map(|k| format!("xmlns:p{i}x{k}='x'")).collect::<Vec<_>>().join(" "));
        format!("{}{}", (0..n).map(start).collect::<String>(), "</a>".repeat(n))
    };
    let declared = |prefix: usize, uri: usize| {
        format!("<a xmlns:{} = '{}' b='{}'/>", "p".repeat(prefix), "u".repeat(uri), "b".repeat(1_000))
    };
    let many = |n: usize| format!("<a>{}</a>", format!("<b {}/>", "xmlns='u' c='' d='' e='' f=''").repeat(n));
    for (honest, too_much) in [
        (attributes(32), attributes(33)),
        (attributes(32), attributes(50_000)),
        (namespaces(12), namespaces(13)),
        (namespaces(12), namespaces(10_000)),
        (nested(10), nested(11)),
        (deep(20), deep(21)),
        (deep(20), deep(10_000)),
        (wide(4_900), wide(5_000)),
        (wide(4_900).replace("<b/>", "<b></b>"), wide(5_000).replace("<b/>", "<b></b>")),
        (declared(8, 301), declared(8, 302)),
        (declared(308, 1), declared(309, 1)),
        (declared(8, 8), declared(8, 100_000)),
        ("<a b=\"xmlns='\" c=\"".to_owned() + &"d".repeat(200) + "\"/>", "<a xmlns='".to_owned() + &"u".repeat(1_000)),
        (many(2_000), many(2_001)),
        (long(250_000), long(MAX_MESSAGE)),
    ] {
        taken(&honest, Policy::Message);
        assert_eq!(refused(&too_much, Policy::Message), Reason::SamlTooLarge);
    }
    taken(&long(MAX_MESSAGE), Policy::Metadata);
    taken(&wide(30_000), Policy::Metadata);
    taken(&namespaces(20), Policy::Metadata);
    assert_eq!(refused(&long(MAX_METADATA), Policy::Metadata), Reason::SamlTooLarge);
    assert_eq!(refused(&wide(40_000), Policy::Metadata), Reason::SamlTooLarge);
}

/// The depth that is counted over the bytes may be deceived; the parser's cannot.
#[test]
fn the_parser_holds_the_depth_where_the_scan_is_deceived() {
    let text = |n: usize| format!("{}{}", "<a b='/>'>".repeat(n), "</a>".repeat(n));
    taken(&text(20), Policy::Message);
    assert_eq!(refused(&text(21), Policy::Message), Reason::SamlMalformed);
}

/// S31.
#[test]
fn what_is_no_xml_in_utf_8_is_malformed() {
    for text in [
        "",
        "no XML",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
        "<a>\0</a>",
        "<a>&#0;</a>",
        "<a>\u{1}</a>",
        "<?xml version='1.1'?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='UTF-7'?><a/>",
        "<a xmlns:p='u'><p:b:c/></a>",
        "<:a/>",
        "<a xmlns:p=''/>",
        "<p:a xmlns:p='u'><p:b xmlns:p=''/></p:a>",
        "<p:a xmlns:p='u'><b xmlns:p=\"\" p:c=''/></p:a>",
        "<a><!doctype b></a>",
    ] {
        assert_eq!(refused(text, Policy::Message), Reason::SamlMalformed, "{text:?}");
        assert_eq!(refused(text, Policy::Metadata), Reason::SamlMalformed, "{text:?}");
    }
    taken(
        "<?xml version='1.0' encoding='utf-8' standalone='yes'?><a xmlns:p='u'><p:b c='' p:c=''/><c xmlns=''/></a>",
        Policy::Message,
    );
    taken("<a xmlns='u'><b xmlns=''><c xmlns='u'/></b></a>", Policy::Message);
}

#[test]
fn elements_are_found_by_namespace_and_name() {
    let text =
        r#"<p:r xmlns:p="u" xmlns="v" x="1" p:x="2"><a/><p:a>one</p:a><b><p:a>two</p:a></b><p:a>three</p:a></p:r>"#;
    let tree = Tree::parse(text, Policy::Message).unwrap();
    let root = tree.root();
    assert!(root.is("u", "r") && !root.is("v", "r") && !root.is("", "r"));
    assert_eq!(root.attribute("x"), Some("1"));
    assert_eq!(root.attribute("y"), None);
    assert_eq!(root.children().count(), 4);
    assert_eq!(root.child("v", "a").unwrap().text(), "");
    assert_eq!(root.children_named("u", "a").map(Element::text).collect::<Vec<_>>(), ["one", "three"]);
    assert_eq!(root.descendants().filter(|e| e.is("u", "a")).count(), 3);
    assert_eq!(root.only_child("u", "a").unwrap_err().why(), Reason::SamlStructure);
    assert_eq!(root.only_child("v", "b").unwrap().unwrap().text(), "two");
    assert_eq!(root.only_child("u", "b").unwrap(), None);
    assert_eq!(root.only_child("v", "b").unwrap().unwrap().parent(), Some(root));
    assert_eq!(root.parent(), None);
}

#[test]
fn what_is_escaped_reads_as_it_was() {
    let all = "a&b<c>d\"e'f\tg\nh\ri ä €";
    for text in [format!("<r x=\"{}\"/>", escape(all)), format!("<r x='{}'/>", escape(all))] {
        assert_eq!(Tree::parse(&text, Policy::Message).unwrap().root().attribute("x"), Some(all));
    }
    let text = format!("<r>{}</r>", escape(all));
    assert_eq!(Tree::parse(&text, Policy::Message).unwrap().root().text(), all);
    assert_eq!(escape("\0\u{1b}\u{ffff}"), "\u{fffd}\u{fffd}\u{fffd}");
    assert!(matches!(escape("plain ä"), Cow::Borrowed(_)));
}

#[test]
fn times_are_utc() {
    let at = Timestamp::from_secs(1_700_000_000);
    for text in
        ["2023-11-14T22:13:20Z", "2023-11-14T22:13:20.0Z", "2023-11-14T22:13:20+00:00", "\n2023-11-14T22:13:20Z "]
    {
        assert_eq!(time(text), Some(at), "{text}");
    }
    assert_eq!(time("2023-11-14T22:13:20.1Z"), Some(Timestamp::from_millis(1_700_000_000_100)));
    assert_eq!(time("2023-11-14T22:13:20.1239999999999Z"), Some(Timestamp::from_millis(1_700_000_000_123)));
    let long = format!("2023-11-14T22:13:20.{}Z", "9".repeat(100_000));
    assert_eq!(time(&long), Some(Timestamp::from_millis(1_700_000_000_999)));
    let last = Timestamp::from_millis(jiff::Timestamp::MAX.as_millisecond());
    for text in [
        "9999-12-31T23:59:59Z",
        "9999-12-31T23:59:59.9999999Z",
        "9999-12-31T00:00:00+00:00",
        "9999-12-30T23:00:00Z",
        "9999-12-30T22:00:00.9999Z",
    ] {
        assert_eq!(time(text), Some(last), "{text}");
        assert!(write_time(time(text).unwrap()).starts_with("9999-12-30T22:00:00"));
    }
    assert!(time("9999-12-30T22:00:00.998Z").unwrap() < last);
    for text in [
        "",
        "Z",
        "9999-12-32T00:00:00Z",
        "9999-13-01T00:00:00Z",
        "9999-12-31T25:00:00Z",
        "10000-01-01T00:00:00Z",
        "99999-12-31T23:59:59Z",
        "2023-11-14T22:13:20",
        "2023-11-14T22:13:20+01:00",
        "2023-11-14t22:13:20Z",
        "2023-11-14T22:13:20z",
        "2023-11-14 22:13:20Z",
        "2023-11-14T22:13Z",
        "2023-11-14T22:13:20.Z",
        "2023-11-14T22:13:20.+1Z",
        "2023-02-30T22:13:20Z",
        "2023-11-14T25:13:20Z",
        "-023-11-14T22:13:20Z",
        "+002023-11-14T22:13:20Z",
    ] {
        assert_eq!(time(text), None, "{text}");
    }
    assert_eq!(write_time(Timestamp::from_millis(1_700_000_000_999)), "2023-11-14T22:13:20Z");
    assert_eq!(time(&write_time(at)), Some(at));
}

/// What stands in the text is no tag's: a ciphertext in Base64 may have any letters.
#[test]
fn the_limits_of_a_tag_end_with_it() {
    let long = "x".repeat(MAX_DECLARATION);
    let many = "xmlns a='b' ".repeat(MAX_ATTRIBUTES + 1);
    for text in [format!("xmlns{long}"), many.clone()] {
        taken(&format!("<a b='>'>{text}</a>"), Policy::Message);
        taken(&format!("<a><b/>{text}</a>"), Policy::Metadata);
    }
    // A `>` in a value, or a quote of the other kind, hides nothing.
    for before in ["b='>'", "b=\">'\"", "b='\">'"] {
        for tag in [format!("xmlns:p='{long}'"), many.replace("a=", "c=")] {
            assert_eq!(refused(&format!("<a {before} {tag}/>"), Policy::Message), Reason::SamlTooLarge, "{before}");
        }
    }
}
