use super::*;
use crate::connector::saml::xml::{Policy, Tree};

const XML: &str = "<samlp:LogoutRequest xmlns:samlp=\"urn:oasis:names:tc:SAML:2.0:protocol\" ID=\"_1\" \
                   Version=\"2.0\">é</samlp:LogoutRequest>";

/// `XML` as another implementation of DEFLATE (zlib) packs it.
const BY_ZLIB: &str = "sylOzM0psPLJT88vLQlKLSxNLS5RqMjNySu2AsvYKpUW5VnlJxZnFlvlJeamFluVJFsFO/r6WBnpGVgVFOWX5Cfn5ygpe\
                       LrYKsUbKimEpRYVZ+bn2SoBpZXsDq+00cdigR0A";

fn packed(xml: &[u8]) -> String {
    STANDARD.encode(deflate(xml).unwrap())
}

fn escaped(value: &str) -> String {
    utf8_percent_encode(value, VALUE).to_string()
}

/// The link's query with this value for the message.
fn query(value: &str) -> String {
    format!("SAMLRequest={}", escaped(value))
}

fn reason<T>(result: Result<T, ProviderError>) -> &'static str {
    result.err().map_or("accepted", |e| e.reason())
}

#[test]
fn a_message_in_a_link_comes_back_as_it_was() {
    for (message, endpoint) in
        [(Message::Request, "https://idp.example/sso"), (Message::Response, "https://idp.example/slo?idpid=C0#x")]
    {
        let state = RelayState::new("a b&c=d%").unwrap();
        let url = redirect_url(endpoint, message, XML, Some(&state), None, &[("login_hint", "a+b@x.example")]).unwrap();
        let (before, query) = url.split_once("SAML").unwrap();
        let expected =
            if endpoint.contains('?') { "https://idp.example/slo?idpid=C0&" } else { "https://idp.example/sso?" };
        assert_eq!(before, expected, "what the endpoint has stays, without its fragment");
        assert!(url.ends_with("&RelayState=a%20b%26c%3Dd%25&login_hint=a%2Bb%40x.example"), "{url}");
        let read = parse_redirect(&format!("SAML{query}")).unwrap();
        assert_eq!((read.message, read.xml.as_str(), read.relay_state.as_deref()), (message, XML, Some("a b&c=d%")));
    }
}

#[test]
fn a_message_packed_by_another_implementation_is_read() {
    assert_eq!(parse_redirect(&query(BY_ZLIB)).unwrap().xml, XML);
    assert_eq!(parse_redirect(&query("AQQA+/88YS8+")).unwrap().xml, "<a/>", "stored, not compressed");
}

/// S27
#[test]
fn a_link_is_inflated_up_to_its_limit_and_no_further() {
    let of = |size: usize| format!("<a>{}</a>", " ".repeat(size - 7));
    assert_eq!(parse_redirect(&query(&packed(of(MAX_INFLATED).as_bytes()))).unwrap().xml.len(), MAX_INFLATED);
    assert_eq!(reason(parse_redirect(&query(&packed(of(MAX_INFLATED + 1).as_bytes())))), "saml_too_large");
    // DEFLATE packs at best 1032 to one: ten kilobytes become ten million, a megabyte becomes a thousand million.
    let bomb = packed(&vec![b' '; 10_000_000]);
    assert!(bomb.len() < 15_000, "{}", bomb.len());
    assert_eq!(reason(parse_redirect(&query(&bomb))), "saml_too_large");
    let deflated = STANDARD.decode(bomb).unwrap();
    assert!(inflate(&deflated).is_err());
    assert_eq!(reason(parse_redirect(&query(&"A".repeat(MAX_BASE64 + 4)))), "saml_too_large");
}

#[test]
fn a_stream_that_is_cut_or_goes_on_is_refused() {
    let whole = deflate(XML.as_bytes()).unwrap();
    assert_eq!(reason(parse_redirect(&query(&STANDARD.encode(&whole)))), "accepted");
    for cut in 1..whole.len() {
        assert_eq!(reason(parse_redirect(&query(&STANDARD.encode(&whole[..cut])))), "saml_malformed", "{cut}");
    }
    let more = [whole.as_slice(), b"x"].concat();
    assert_eq!(reason(parse_redirect(&query(&STANDARD.encode(more)))), "saml_malformed");
    // With zlib's header and checksum (RFC 1950), which the binding does not have.
    let framed = [&[0x78, 0x9c], whole.as_slice(), &[0, 0, 0, 0]].concat();
    assert_eq!(reason(parse_redirect(&query(&STANDARD.encode(framed)))), "saml_malformed");
}

/// S31
#[test]
fn each_parameter_comes_once_and_under_its_own_name() {
    let message = escaped(BY_ZLIB);
    let request = format!("SAMLRequest={message}");
    let honest =
        format!("x=1&{request}&RelayState=r&SigAlg=a&Signature=AA%3D%3D&SAMLEncoding={}&x=2", escaped(DEFLATE));
    assert_eq!(reason(parse_redirect(&honest)), "accepted");
    for again in ["SAMLRequest", "RelayState", "SigAlg", "Signature", "SAMLEncoding"] {
        let (_, value) = honest.split_once(&format!("{again}=")).unwrap();
        let value = value.split('&').next().unwrap();
        for twice in [format!("{honest}&{again}={value}"), format!("{again}={value}&{honest}")] {
            assert_eq!(reason(parse_redirect(&twice)), "saml_malformed", "{again} twice");
        }
        let other_name = honest.replace(again, &again.replace('S', "%53").replace('R', "%52"));
        assert_eq!(reason(parse_redirect(&other_name)), "saml_malformed", "{other_name}");
    }
    for (bad, why) in [
        (format!("{request}&SAMLResponse={message}"), "both"),
        (format!("SAMLResponse={message}&SAMLResponse={message}"), "two responses"),
        (String::from("RelayState=r"), "neither"),
        (String::new(), "nothing"),
        (String::from("SAMLRequest"), "no value"),
        (String::from("SAMLRequest="), "empty"),
        (format!("{request}&SAMLEncoding=urn:other"), "another encoding"),
        (format!("{request}&RelayState=%FF"), "no UTF-8"),
        (format!("samlrequest={message}"), "another name"),
    ] {
        assert_eq!(reason(parse_redirect(&bad)), "saml_malformed", "{why}");
    }
}

#[test]
fn base64_is_strict_but_for_line_breaks() {
    let honest = STANDARD.encode(XML);
    assert_eq!(decode_post(&honest).unwrap(), XML);
    let broken = |end: &str| {
        let lines: Vec<_> = honest.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line)).collect();
        lines.join(end) + end
    };
    assert_eq!(decode_post(&broken("\r\n")).unwrap(), XML);
    assert_eq!(decode_post(&broken("\n")).unwrap(), XML);
    let unpadded = honest.trim_end_matches('=');
    assert_ne!(unpadded, honest);
    for bad in [
        broken(" "),
        broken("\t"),
        broken("\u{b}"),
        unpadded.to_owned(),
        format!("{honest}="),
        format!("{honest}{honest}"),
        format!("-_{honest}"),
        XML.to_owned(),
        String::new(),
        String::from("\r\n"),
    ] {
        assert_eq!(reason(decode_post(&bad)), "saml_malformed", "{bad:?}");
    }
}

#[test]
fn a_form_has_one_message() {
    let field = STANDARD.encode(XML);
    assert_eq!(parse_post(Some(&field), None).unwrap(), (Message::Request, XML.to_owned()));
    assert_eq!(parse_post(None, Some(&field)).unwrap(), (Message::Response, XML.to_owned()));
    assert_eq!(reason(parse_post(Some(&field), Some(&field))), "saml_malformed");
    assert_eq!(reason(parse_post(None, None)), "saml_malformed");
}

/// S28
#[test]
fn a_form_is_measured_before_it_is_decoded() {
    let of = |size: usize| STANDARD.encode(format!("<a>{}</a>", " ".repeat(size - 7)));
    assert_eq!(decode_post(&of(MAX_MESSAGE)).unwrap().len(), MAX_MESSAGE);
    let lines: Vec<_> =
        of(MAX_MESSAGE).as_bytes().chunks(64).map(|l| String::from_utf8_lossy(l).into_owned()).collect();
    assert_eq!(reason(decode_post(&lines.join("\r\n"))), "accepted", "with a line break for each 64 characters");
    assert_eq!(reason(decode_post(&of(MAX_MESSAGE + 1))), "saml_too_large");
    assert_eq!(reason(decode_post(&"\u{0}".repeat(20_000_000))), "saml_too_large", "before its content matters");
}

/// S31
#[test]
fn text_is_utf_8_and_nothing_else() {
    let read = |bytes: &[u8]| {
        let text = decode_post(&STANDARD.encode(bytes))?;
        Tree::parse(&text, Policy::Message).map(|_| ())
    };
    let utf_16 =
        |mark: &[u8], unit: fn(u16) -> [u8; 2]| [mark, &XML.encode_utf16().flat_map(unit).collect::<Vec<_>>()].concat();
    assert_eq!(reason(read(XML.as_bytes())), "accepted");
    assert_eq!(reason(read(format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>{XML}").as_bytes())), "accepted");
    assert_eq!(reason(read(format!("\u{feff}{XML}").as_bytes())), "accepted", "with the mark of UTF-8");
    for (bytes, why) in [
        (utf_16(&[0xff, 0xfe], u16::to_le_bytes), "UTF-16, little end first, marked"),
        (utf_16(&[0xfe, 0xff], u16::to_be_bytes), "UTF-16, big end first, marked"),
        (utf_16(&[], u16::to_le_bytes), "UTF-16, little end first"),
        (utf_16(&[], u16::to_be_bytes), "UTF-16, big end first"),
        (XML.replace('<', "+ADw-").replace('>', "+AD4-").into_bytes(), "UTF-7"),
        (format!("<?xml version=\"1.0\" encoding=\"UTF-7\"?>{XML}").into_bytes(), "UTF-7 by its name"),
        (format!("<?xml version=\"1.0\" encoding=\"UTF-16\"?>{XML}").into_bytes(), "UTF-16 by its name"),
        (XML.replace('é', "\0").into_bytes(), "NUL"),
        (format!("{XML}\0").into_bytes(), "NUL at the end"),
        (XML.chars().map(|c| c as u8).collect(), "Latin-1"),
        ([XML.as_bytes(), &[0xc0, 0x80]].concat(), "an overlong NUL"),
    ] {
        assert_eq!(reason(read(&bytes)), "saml_malformed", "{why}");
    }
    let latin: Vec<u8> = XML.chars().map(|c| c as u8).collect();
    assert_eq!(reason(parse_redirect(&query(&packed(&latin)))), "saml_malformed");
}

#[test]
fn our_relay_state_fits_and_the_providers_goes_back_as_it_came() {
    assert!(RelayState::new(&"r".repeat(MAX_RELAY_STATE)).is_some());
    assert_eq!(RelayState::new(&"r".repeat(MAX_RELAY_STATE + 1)), None);
    assert_eq!(RelayState::new(&"é".repeat(MAX_RELAY_STATE / 2 + 1)), None, "bytes count, not characters");
    assert_eq!(RelayState::new(""), None);
    let long = "https://other.example/?x=<y>&é".repeat(10);
    let form = post_form(Message::Response, XML, RelayState::echoed(&long).as_ref());
    assert_eq!(form, [("SAMLResponse", STANDARD.encode(XML)), ("RelayState", long)]);
    assert_eq!(RelayState::echoed(&"r".repeat(MAX_ECHOED + 1)), None);
    assert_eq!(post_form(Message::Request, XML, None), [("SAMLRequest", STANDARD.encode(XML))]);
}
