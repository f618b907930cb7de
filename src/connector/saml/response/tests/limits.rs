//! S28, G8: what the longest, deepest and widest documents cost that no limit refuses.

use std::sync::LazyLock;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::super::binding::decode_post;
use super::super::super::dsig::TrustedKeys;
use super::super::super::encryption::DecryptionKeys;
use super::super::super::xml::MAX_MESSAGE;
use super::*;

/// The least processor time of several that `work` takes, and how many times what `unit` takes that is. They are measured
/// by turns: whatever else the machine does disturbs both.
fn times<T, U>(mut work: impl FnMut() -> T, mut unit: impl FnMut() -> U) -> (Duration, f64) {
    let turns: Vec<_> = (0..3).map(|_| (processor_time(&mut unit), processor_time(&mut work))).collect();
    let unit = turns.iter().map(|turn| turn.0).min().unwrap();
    let work = turns.iter().map(|turn| turn.1).min().unwrap();
    (work, work.as_secs_f64() / unit.as_secs_f64())
}

/// As many pieces as fit.
fn fill(bytes: usize, most: usize, piece: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for next in (0..most).map(piece) {
        if text.len() + next.len() > bytes {
            break;
        }
        text.push_str(&next);
    }
    text
}

fn some(n: usize, item: impl Fn(usize) -> String) -> String {
    (0..n).map(item).collect()
}

/// Elements that are left for the filling; some are the response's own.
const ELEMENTS: usize = 4_900;
/// And attributes, with as many to a tag as may be.
const ATTRIBUTES: usize = 9_800;
const OF_A_TAG: usize = 32;
/// Levels that are left below an Advice.
const LEVELS: usize = 16;

/// The longest, widest and deepest that may stand below any element, by name.
fn worst(bytes: usize) -> Vec<(&'static str, String)> {
    let bytes = bytes - 12_000;
    let prefixes = |n: usize, at: usize| some(n, |i| format!(" xmlns:p{at}q{i}=\"urn:p{at}q{i}\""));
    let below = |levels: usize, inner: &str| {
        let starts = some(levels, |at| format!("<a{}>", prefixes(12, at)));
        format!("{starts}{inner}{}", "</a>".repeat(levels))
    };
    let tags = ATTRIBUTES / OF_A_TAG;
    let filled = |n: usize| fill(bytes - 4_000, n, |_| format!("<a{}/>", some(32, |i| format!(" p0q0:a{i}=\"\""))));
    let spread = |namespace: &str, of: &str| {
        format!("<a xmlns:p=\"{namespace}\">{}</a>", fill(bytes, ELEMENTS, |_| of.to_owned()))
    };
    vec![
        ("one long text", format!("<a>{}</a>", "x".repeat(bytes))),
        ("references", format!("<a>{}</a>", "&amp;".repeat(bytes / 5))),
        ("line ends", format!("<a>{}</a>", "\r\n".repeat(bytes / 2))),
        ("two bytes a letter", format!("<a>{}</a>", "ä".repeat(bytes / 2))),
        ("brackets", format!("<a>{}</a>", "]".repeat(bytes))),
        ("small elements", fill(bytes, ELEMENTS, |_| "<a/>".into())),
        ("elements with text", fill(bytes, ELEMENTS, |_| format!("<a>{}</a>", "x".repeat(40)))),
        ("long names", fill(bytes, ELEMENTS, |_| format!("<{0}></{0}>", "n".repeat(1_000)))),
        ("attributes", fill(bytes, tags, |_| format!("<a{}/>", some(32, |i| format!(" a{i}=\"\""))))),
        ("attributes of one namespace far above", below(8, &filled(tags))),
        (
            "attributes of many namespaces",
            below(
                8,
                &fill(bytes - 4_000, tags, |_| {
                    format!("<a{}/>", some(32, |i| format!(" p{}q{}:a=\"\"", i / 4, i % 12)))
                }),
            ),
        ),
        (
            "long attributes",
            fill(bytes, tags, |_| format!("<a{}/>", some(32, |i| format!(" a{i}=\"{}\"", "&#10;".repeat(20))))),
        ),
        ("namespaces", fill(bytes, ATTRIBUTES / 12, |n| format!("<a{}/>", prefixes(12, n)))),
        (
            "namespaces far below",
            below(8, &fill(bytes - 4_000, ATTRIBUTES / 12, |n| format!("<p0q0:a{}/>", prefixes(12, n)))),
        ),
        (
            "namespaces anew",
            fill(bytes, ATTRIBUTES / 24, |_| {
                format!("<a{}/>", some(12, |i| format!(" xmlns:p{i}=\"u\" p{i}:a{i}=\"\"")))
            }),
        ),
        (
            "deep and wide",
            fill(bytes, ELEMENTS / LEVELS, |_| format!("{}{}", "<a>".repeat(LEVELS), "</a>".repeat(LEVELS))),
        ),
        (
            "deep and wide, with namespaces",
            fill(bytes, ATTRIBUTES / 96, |_| {
                let starts = some(8, |at| format!("<p{at}q0:a{}>", prefixes(12, at)));
                format!("{starts}{}", some(8, |at| format!("</p{}q0:a>", 7 - at)))
            }),
        ),
        ("a long namespace", spread(&"u".repeat(290), "<p:a/>")),
        ("a long namespace that the parser copies", spread(&format!("{}&amp;", "u".repeat(285)), "<p:a/>")),
    ]
}

/// The honest response with `what` in the assertion and beside it, signed as a whole and within; then changed, so that
/// nobody's signature is over it: whatever a stranger makes of it.
fn filled(what: &str) -> String {
    static SIGNED: LazyLock<String> = LazyLock::new(|| sign(&honest(), How::Both));
    replace(&SIGNED, ">advice<", &format!(">{what}<"))
}

/// S28: work grows with the length of a message alone, and a stranger cannot make it grow faster.
#[test]
fn the_worst_messages_that_no_limit_refuses_cost_little_more_than_their_length() {
    let keys = TrustedKeys::new([RSA.certificate.clone(), STRANGER.certificate.clone()]);
    let decryption = DecryptionKeys::from_pems([&OURS.key_pem]).unwrap();
    let judge = |xml: &str| judged_by(&keys, &decryption, xml);
    let group = |_| "<saml:AttributeValue xmlns:saml=\"urn:x\">group</saml:AttributeValue>".to_owned();
    let honest = sign(&replace(&honest(), ">advice<", &format!(">{}<", fill(1_500, 1_000, group))), How::Both);
    assert!((7_500..=9_500).contains(&honest.len()), "{}", honest.len());
    let dear = |name: &str, xml: &str| {
        let (cost, times) = times(|| judge(xml), || judge(&honest).unwrap());
        println!("{name}: {cost:?}, {times:.1} of an honest one");
        assert!(times < MOST, "{name}: {cost:?}, {times:.1} times an honest one of 8 KB");
    };
    for (name, what) in worst(MAX_MESSAGE) {
        let xml = filled(&what);
        assert!(xml.len() <= MAX_MESSAGE, "{name}");
        let refusal = judge(&xml).unwrap_err();
        // After all limits and the whole of the shape.
        assert_eq!(refusal.why(), Reason::SamlSig, "{name}: {refusal:?}");
        dear(name, &xml);
    }
    // Signed by the provider, in clear and encrypted: nothing is left out.
    for (name, what) in worst(MAX_MESSAGE * 2 / 3).into_iter().filter(|(name, _)| name.contains("many namespaces")) {
        let xml = replace(&super::super::super::fixture::honest(), ">advice<", &format!(">{what}<"));
        let signed = sign(&xml, How::Assertion);
        let encrypted = sign(&Encryption::new(Cipher::Cbc).encrypt(&signed), How::Response);
        for xml in [sign(&signed, How::Response), encrypted] {
            assert_eq!(judge(&xml).unwrap().name_id.value, NAME);
            dear(name, &xml);
        }
    }
}

/// An honest response of 8 KB is a thirtieth of the longest one.
const MOST: f64 = 100.0;

/// S28: what grew faster than its length, and is refused before that.
#[test]
fn namespaces_and_prefixes_that_are_copied_for_each_element_are_refused_at_once() {
    let keys = RSA.trusted();
    let decryption = DecryptionKeys::default();
    let judge = |xml: &str| judged_by(&keys, &decryption, xml);
    let honest = sign(&honest(), How::Both);
    let long = "u".repeat(150_000);
    let refused = |xml: &str, reason: Reason| {
        assert_eq!(judge(xml).unwrap_err().why(), reason);
        let (cost, times) = times(|| judge(xml), || judge(&honest).unwrap());
        assert!(times < MOST, "{cost:?}, {times:.1} times an honest one");
    };
    for uri in [long.clone(), format!("&amp;{long}")] {
        refused(&filled(&format!("<a xmlns=\"{uri}\">{}</a>", "<a/>".repeat(4_000))), Reason::SamlTooLarge);
        refused(&filled(&format!("<a xmlns:p=\"{uri}\">{}</a>", "<p:a/>".repeat(4_000))), Reason::SamlTooLarge);
        refused(&filled(&format!("<a xmlns:{long}=\"u\">{}</a>", "<a/>".repeat(4_000))), Reason::SamlTooLarge);
    }
    let listed = |list: &str| {
        let c14n = "<ds:Transform Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\"";
        let with = format!(
            "{c14n}><c:InclusiveNamespaces xmlns:c=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"{list}\"/>\
             </ds:Transform>"
        );
        filled(&"<a/>".repeat(4_800)).replace(&format!("{c14n}/>"), &with)
    };
    let prefixes = |len: usize| (10..18).map(|i| format!("{}{i}", "p".repeat(len - 2))).collect::<Vec<_>>().join(" ");
    refused(&listed(&prefixes(15)), Reason::SamlSig);
    refused(&listed(&prefixes(16)), Reason::SamlTransform);
    refused(&listed(&prefixes(5_000)), Reason::SamlTransform);
}

/// S28: line ends are the only white space that Base64 may have, and bounded; none costs more than what is as long.
#[test]
fn white_space_in_a_posted_message_costs_nothing() {
    let base64 = STANDARD.encode(honest());
    let broken = |end: &str| base64.chars().flat_map(|c| [c.to_string(), end.to_owned()]).collect::<String>();
    assert_eq!(decode_post(&broken("\n")).unwrap(), honest());
    let longest = STANDARD.encode("x".repeat(MAX_MESSAGE));
    let unit = || decode_post(&longest).unwrap();
    for (text, reason) in [
        (broken(" "), Reason::SamlMalformed),
        ("\n".repeat(300_000), Reason::SamlMalformed),
        ("\n".repeat(500_000), Reason::SamlTooLarge),
        ("A\n".repeat(150_000), Reason::SamlMalformed),
    ] {
        assert_eq!(decode_post(&text).unwrap_err().why(), reason);
        let (cost, times) = times(|| decode_post(&text), unit);
        println!("{reason:?}: {cost:?}, {times:.1} of the longest message");
        assert!(times < 5.0, "{cost:?}, {times:.1} times the longest honest message");
    }
}
