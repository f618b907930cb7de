use std::sync::LazyLock;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OaepPublicEncryptingKey, PublicEncryptingKey};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, PublicKeyData as _, RsaKeySize};
use rustls_pki_types::CertificateDer;

use super::super::binding::{RelayState, parse_redirect, redirect_url};
use super::*;

mod names;

const SLO: &str = "https://app.example/.anteroom/saml/x/slo";
const IDP: &str = "https://idp.example/metadata";
const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// The provider's key.
static KEY: LazyLock<Pair> = LazyLock::new(Pair::new);
/// A stranger's.
static OTHER: LazyLock<Pair> = LazyLock::new(Pair::new);

struct Pair {
    certificate: CertificateDer<'static>,
    signing: SigningKey,
}

impl Pair {
    fn new() -> Self {
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        let signing = SigningKey::from_pem(certificate.pem().as_bytes(), key.serialize_pem().as_bytes()).unwrap();
        Self { certificate: certificate.der().clone(), signing }
    }
}

/// Our own key, to which names are encrypted.
static OURS: LazyLock<(OaepPublicEncryptingKey, DecryptionKeys)> = LazyLock::new(|| {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let public = PublicEncryptingKey::from_der(&key.subject_public_key_info()).unwrap();
    (OaepPublicEncryptingKey::new(public).unwrap(), DecryptionKeys::from_pems([key.serialize_pem()]).unwrap())
});

/// The provider's second key, of the other kind: signs links.
static EC: LazyLock<(CertificateDer<'static>, EcdsaKeyPair)> = LazyLock::new(|| {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key.serialize_der()).unwrap();
    (certificate.der().clone(), pair)
});

static NAME: LazyLock<NameId> = LazyLock::new(|| NameId {
    value: " a&<b>\"@x.example".into(),
    format: Some("urn:oasis:names:tc:SAML:2.0:nameid-format:persistent".into()),
    name_qualifier: Some("https://idp.example/?a=1&b=2".into()),
    sp_name_qualifier: Some("sp".into()),
});

static INDEXES: LazyLock<Vec<String>> = LazyLock::new(|| vec!["_one".into(), "t&wo".into()]);

fn secs(secs: i64) -> Timestamp {
    Timestamp::from_secs(1_700_000_000 + secs)
}

/// As an honest provider writes it to us.
fn honest() -> LogoutRequest<'static> {
    LogoutRequest {
        id: "_request",
        issue_instant: NOW,
        destination: SLO,
        issuer: IDP,
        name_id: &NAME,
        session_indexes: &INDEXES,
        not_on_or_after: Some(secs(120)),
    }
}

fn answer(outcome: Outcome) -> LogoutResponse<'static> {
    LogoutResponse {
        id: "_answer",
        issue_instant: NOW,
        destination: SLO,
        issuer: IDP,
        in_response_to: "_ours",
        outcome,
    }
}

/// Judges under honest circumstances.
fn with<T>(
    judge: impl Fn(Received<'_>, &Expected<'_>) -> Result<T, ProviderError>,
    received: Received<'_>,
    now: Timestamp,
) -> Result<T, ProviderError> {
    let keys = TrustedKeys::new([KEY.certificate.clone(), EC.0.clone()]);
    let expected =
        Expected { slo_url: SLO, idp_entity_id: IDP, now, keys: &keys, decryption: &OURS.1, allow_cbc: false };
    judge(received, &expected)
}

fn signed_query(message: Message, xml: &str, key: &SigningKey) -> String {
    let url = redirect_url(SLO, message, xml, RelayState::new("r/s").as_ref(), Some(key), &[]).unwrap();
    url.split_once('?').unwrap().1.to_owned()
}

fn by_query(query: &str) -> Result<ProviderLogout, ProviderError> {
    with(judge_request, Received::Redirect(&parse_redirect(query)?), NOW)
}

fn by_form(xml: &str) -> Result<ProviderLogout, ProviderError> {
    with(judge_request, Received::Post(xml), NOW)
}

/// The ID of a message that these tests change.
fn id_of(xml: &str) -> &str {
    xml.split_once(" ID=\"").and_then(|(_, rest)| rest.split_once('"')).unwrap().0
}

/// The same message by each binding, signed by `key` and judged at `now`.
fn both_at(xml: &str, key: &SigningKey, now: Timestamp) -> [Result<ProviderLogout, ProviderError>; 2] {
    let redirected = parse_redirect(&signed_query(Message::Request, xml, key)).unwrap();
    let posted = dsig::sign(xml, id_of(xml), key).unwrap();
    [Received::Redirect(&redirected), Received::Post(&posted)].map(|received| with(judge_request, received, now))
}

/// To the request that [`answer`] is for.
fn judge_answer(received: Received<'_>, expected: &Expected<'_>) -> Result<Outcome, ProviderError> {
    judge_response(received, "_ours", expected)
}

fn both_answers(xml: &str) -> [Result<Outcome, ProviderError>; 2] {
    let redirected = parse_redirect(&signed_query(Message::Response, xml, &KEY.signing)).unwrap();
    let posted = dsig::sign(xml, id_of(xml), &KEY.signing).unwrap();
    [Received::Redirect(&redirected), Received::Post(&posted)].map(|received| with(judge_answer, received, NOW))
}

fn reason<T>(result: Result<T, ProviderError>) -> &'static str {
    result.err().map_or("accepted", |e| e.reason())
}

/// Why the message is refused, the same by both bindings.
fn refused(xml: &str) -> &'static str {
    let [redirect, post] = both_at(xml, &KEY.signing, NOW).map(reason);
    assert_eq!(redirect, post, "{xml}");
    redirect
}

#[test]
fn a_signed_request_says_whose_sessions_end() {
    for judged in both_at(&honest().write(), &KEY.signing, NOW) {
        let expected = ProviderLogout {
            id: "_request".into(),
            name_id: NAME.clone(),
            session_indexes: INDEXES.clone(),
            issued_at: NOW,
            expires: secs(180),
        };
        assert_eq!(judged.unwrap(), expected, "the name comes back with its qualifiers, to the last character");
    }
    let posted = honest().write_signed(&KEY.signing).unwrap();
    assert_eq!(by_form(&posted).unwrap().id, "_request");
    let all = LogoutRequest { session_indexes: &[], not_on_or_after: None, ..honest() }.write();
    for judged in both_at(&all, &KEY.signing, NOW) {
        let judged = judged.unwrap();
        assert_eq!((judged.session_indexes, judged.expires), (vec![], secs(300)));
    }
}

/// S26
#[test]
fn an_unsigned_request_ends_nothing() {
    let xml = honest().write();
    assert_eq!(reason(by_form(&xml)), "saml_unsigned");
    let query = signed_query(Message::Request, &xml, &KEY.signing);
    assert_eq!(reason(by_query(&query)), "accepted");
    let (before, signature) = query.split_once("&Signature=").unwrap();
    assert_eq!(reason(by_query(before)), "saml_unsigned", "Signature dropped");
    assert_eq!(reason(by_query(before.split_once("&SigAlg=").unwrap().0)), "saml_unsigned", "both dropped");
    let no_algorithm = format!("{}&Signature={signature}", before.split_once("&SigAlg=").unwrap().0);
    assert_eq!(reason(by_query(&no_algorithm)), "saml_unsigned", "SigAlg dropped");
    // A signature inside counts for the form alone: the link's is what says that the RelayState belongs to it.
    let inside = honest().write_signed(&KEY.signing).unwrap();
    assert_eq!(reason(by_query(&signed_query(Message::Request, &inside, &KEY.signing))), "saml_signature_shape");
    let unsigned = redirect_url(SLO, Message::Request, &inside, None, None, &[]).unwrap();
    assert_eq!(reason(by_query(unsigned.split_once('?').unwrap().1)), "saml_signature_shape");
}

/// S02, S26
#[test]
fn a_request_signed_by_another_key_ends_nothing() {
    // A link does not say by whose key; a form brings a certificate, which is not one of the provider's.
    let reasons = both_at(&honest().write(), &OTHER.signing, NOW).map(reason);
    assert_eq!(reasons, ["saml_sig", "saml_key_untrusted"]);
    let none = TrustedKeys::new([]);
    let decryption = DecryptionKeys::default();
    let expected =
        Expected { slo_url: SLO, idp_entity_id: IDP, now: NOW, keys: &none, decryption: &decryption, allow_cbc: false };
    let redirected = parse_redirect(&signed_query(Message::Request, &honest().write(), &KEY.signing)).unwrap();
    let posted = honest().write_signed(&KEY.signing).unwrap();
    for received in [Received::Redirect(&redirected), Received::Post(&posted)] {
        assert_ne!(reason(judge_request(received, &expected)), "accepted", "no key is trusted");
    }
}

/// S13, S26
#[test]
fn what_is_changed_after_signing_is_refused() {
    let posted = honest().write_signed(&KEY.signing).unwrap();
    assert_eq!(reason(by_form(&posted.replace("_one", "_two"))), "saml_sig");
    assert_eq!(reason(by_form(&posted.replace("x.example<", "y.example<"))), "saml_sig");
    let query = signed_query(Message::Request, &honest().write(), &KEY.signing);
    let other = signed_query(Message::Request, &honest().write().replace("_one", "_two"), &KEY.signing);
    let (_, signature) = other.split_once("&Signature=").unwrap();
    let (signed, own) = query.split_once("&Signature=").unwrap();
    assert_eq!(reason(by_query(&format!("{signed}&Signature={own}"))), "accepted");
    for bad in [
        format!("{signed}&Signature={signature}"),
        format!("{}&Signature={own}", signed.replace("RelayState=r%2Fs", "RelayState=t")),
        format!("{}&Signature={own}", signed.replace("&RelayState=r%2Fs", "")),
        format!("{signed}&Signature="),
        format!("{signed}&Signature=%21"),
        format!("{signed}&Signature={}", &own[..own.len() / 2]),
        format!("{signed}&Signature=AAAA"),
    ] {
        assert_eq!(reason(by_query(&bad)), "saml_sig", "{bad}");
    }
}

/// What a query says, signed over `signed` and sent as `sent`.
fn sent_as(signed: &str, sent: impl FnOnce(&str) -> String) -> String {
    let signature = STANDARD.encode(KEY.signing.sign_bytes(signed.as_bytes()).unwrap());
    sent(&utf8_percent_encode(&signature, NON_ALPHANUMERIC).to_string())
}

/// S26: the octets count, as they came.
#[test]
fn a_signature_in_a_link_covers_the_octets_as_they_came() {
    let query = signed_query(Message::Request, &honest().write(), &KEY.signing);
    let signed = query.split_once("&Signature=").unwrap().0;
    let [message, relay_state, algorithm] = *signed.split('&').collect::<Vec<_>>() else { panic!("{signed}") };
    assert_eq!(relay_state, "RelayState=r%2Fs");

    // Honest, and not as we write it: Entra and AD FS escape in lower case and put Signature before SigAlg.
    let lower = format!("{message}&RelayState=r%2fs&{}", algorithm.replace("%3A", "%3a").replace("%2F", "%2f"));
    let entra = sent_as(&lower, |s| {
        let (before, algorithm) = lower.rsplit_once('&').unwrap();
        format!("{before}&Signature={s}&{algorithm}")
    });
    assert_eq!(reason(by_query(&entra)), "accepted");
    let plain = format!("{message}&RelayState=r/s&{algorithm}");
    assert_eq!(reason(by_query(&sent_as(&plain, |s| format!("{plain}&Signature={s}")))), "accepted");
    let without = format!("{message}&{algorithm}");
    assert_eq!(reason(by_query(&sent_as(&without, |s| format!("{without}&x=1&Signature={s}")))), "accepted");

    // The same values in other octets than those that were signed.
    assert_eq!(reason(by_query(&sent_as(&lower, |s| format!("{signed}&Signature={s}")))), "saml_sig", "re-encoded");
    assert_eq!(reason(by_query(&query.replace("r%2Fs", "r%2fs"))), "saml_sig", "re-encoded on the way");
    let decoded = percent_decode_str(signed).decode_utf8().unwrap().into_owned();
    assert_eq!(reason(by_query(&sent_as(&decoded, |s| format!("{signed}&Signature={s}")))), "saml_sig", "decoded");
    for order in [
        format!("{relay_state}&{message}&{algorithm}"),
        format!("{algorithm}&{message}&{relay_state}"),
        format!("{message}&{algorithm}&{relay_state}"),
    ] {
        assert_eq!(reason(by_query(&sent_as(&order, |s| format!("{signed}&Signature={s}")))), "saml_sig", "signed so");
        assert_eq!(reason(by_query(&sent_as(&order, |s| format!("{order}&Signature={s}")))), "saml_sig", "sent so too");
        assert_eq!(reason(by_query(&sent_as(signed, |s| format!("{order}&Signature={s}")))), "saml_sig", "sent so");
    }
}

/// S11, S12
#[test]
fn an_algorithm_that_is_not_taken_is_refused_by_name() {
    let query = signed_query(Message::Request, &honest().write(), &KEY.signing);
    let signed = query.split_once("&SigAlg=").unwrap().0;
    for weak in [
        "http://www.w3.org/2000/09/xmldsig#rsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#dsa-sha1",
        "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
        "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
        "http://www.w3.org/2001/04/xmldsig-more#rsa-md5",
        "",
    ] {
        let signed = format!("{signed}&SigAlg={}", utf8_percent_encode(weak, NON_ALPHANUMERIC));
        assert_eq!(reason(by_query(&sent_as(&signed, |s| format!("{signed}&Signature={s}")))), "saml_alg", "{weak}");
    }
    // A key of another kind makes another signature: neither passes for the other.
    let ecdsa = utf8_percent_encode("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", NON_ALPHANUMERIC);
    let signed = format!("{signed}&SigAlg={ecdsa}");
    assert_eq!(reason(by_query(&sent_as(&signed, |s| format!("{signed}&Signature={s}")))), "saml_sig");
    let signature = EC.1.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    let signature = utf8_percent_encode(&STANDARD.encode(signature), NON_ALPHANUMERIC).to_string();
    assert_eq!(reason(by_query(&format!("{signed}&Signature={signature}"))), "accepted");
    let as_rsa = query.replace(query.split_once("&Signature=").unwrap().1, &signature);
    assert_eq!(reason(by_query(&as_rsa)), "saml_sig");
}

#[test]
fn a_request_is_for_us_and_from_our_provider() {
    let xml = honest().write();
    assert_eq!(refused(&xml), "accepted");
    assert_eq!(
        refused(&LogoutRequest { destination: "https://app.example/other", ..honest() }.write()),
        "saml_destination"
    );
    assert_eq!(refused(&xml.replace(&format!(" Destination=\"{SLO}\""), "")), "saml_destination");
    assert_eq!(refused(&xml.replace(SLO, &format!("{SLO}/"))), "saml_destination");
    assert_eq!(refused(&LogoutRequest { issuer: "https://other.example", ..honest() }.write()), "idp_mixup");
    assert_eq!(refused(&xml.replace(&format!("<saml:Issuer>{IDP}</saml:Issuer>"), "")), "idp_mixup");
    assert_eq!(refused(&xml.replace("Version=\"2.0\"", "Version=\"1.1\"")), "saml_malformed");
    assert_eq!(refused(&xml.replace("LogoutRequest", "ManageNameIDRequest")), "saml_malformed");
    assert_eq!(refused(&answer(Outcome::Complete).write()), "saml_malformed", "an answer is no request");
    let as_response = signed_query(Message::Response, &xml, &KEY.signing);
    assert_eq!(reason(by_query(&as_response)), "saml_malformed");
}

/// S26
#[test]
fn a_stale_request_is_refused_and_its_id_is_remembered_until_then() {
    let at = |issued, limit, now| {
        let xml = LogoutRequest { issue_instant: issued, not_on_or_after: limit, ..honest() }.write();
        let [redirect, post] = both_at(&xml, &KEY.signing, now);
        let expires = redirect.as_ref().map(|logout| logout.expires).ok();
        assert_eq!(expires, post.as_ref().map(|logout| logout.expires).ok());
        assert!(expires.is_none_or(|expires| expires > now), "an id is forgotten while it is good");
        (reason(redirect), expires)
    };
    assert_eq!(at(NOW, None, NOW), ("accepted", Some(secs(300))));
    assert_eq!(at(NOW, None, secs(299)), ("accepted", Some(secs(300))));
    assert_eq!(at(NOW, None, secs(300)), ("saml_time", None), "five minutes old");
    assert_eq!(at(NOW, Some(secs(10)), secs(69)), ("accepted", Some(secs(70))), "within the clock difference");
    assert_eq!(at(NOW, Some(secs(10)), secs(70)), ("saml_time", None), "past its own limit");
    assert_eq!(at(NOW, Some(secs(9999)), secs(300)), ("saml_time", None), "its own limit does not make it last");
    assert_eq!(at(secs(60), None, NOW), ("accepted", Some(secs(360))));
    assert_eq!(at(secs(61), None, NOW), ("saml_time", None), "from ahead of our clock");
    let xml = honest().write();
    assert_eq!(
        refused(&xml.replace("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.123Z")),
        "accepted",
        "as AD FS writes"
    );
    for bad in ["2023-11-14T22:13:20", "2023-11-14T22:13:20+02:00", "1700000000", ""] {
        assert_eq!(refused(&xml.replace("2023-11-14T22:13:20Z", bad)), "saml_time", "{bad:?}");
    }
    assert_eq!(refused(&xml.replace(" IssueInstant=\"2023-11-14T22:13:20Z\"", "")), "saml_time");
    assert_eq!(refused(&xml.replace("2023-11-14T22:15:20Z", "never")), "saml_time");
}

/// S04, S05: what is used is the root, and the root is what is signed.
#[test]
fn a_signed_request_inside_another_ends_nothing() {
    let signed = honest().write_signed(&KEY.signing).unwrap();
    let outer = LogoutRequest { id: "_evil", ..honest() }.write();
    let (head, tail) = outer.split_once("</saml:Issuer>").unwrap();
    let wrapped = format!("{head}</saml:Issuer><samlp:Extensions>{signed}</samlp:Extensions>{tail}");
    assert_ne!(reason(by_form(&wrapped)), "accepted");
    // The signature moved to the outer root, which it does not speak of.
    let from = signed.find("<ds:Signature").unwrap();
    let to = signed.find("</ds:Signature>").unwrap() + "</ds:Signature>".len();
    let (signature, original) = (&signed[from..to], format!("{}{}", &signed[..from], &signed[to..]));
    let moved = format!("{head}</saml:Issuer>{signature}<samlp:Extensions>{original}</samlp:Extensions>{tail}");
    assert_ne!(reason(by_form(&moved)), "accepted");
    assert_eq!(reason(by_form(&signed)), "accepted");
}

#[test]
fn an_answer_says_how_far_it_went() {
    for outcome in [Outcome::Complete, Outcome::Partial] {
        for judged in both_answers(&answer(outcome).write()) {
            assert_eq!(judged.unwrap(), outcome);
        }
        let posted = answer(outcome).write_signed(&KEY.signing).unwrap();
        assert_eq!(with(judge_answer, Received::Post(&posted), NOW).unwrap(), outcome);
    }
}

#[test]
fn an_answer_that_is_not_the_providers_word_to_us_is_refused() {
    let xml = answer(Outcome::Complete).write();
    let refused = |xml: &str| {
        let [redirect, post] = both_answers(xml).map(reason);
        assert_eq!(redirect, post, "{xml}");
        redirect
    };
    assert_eq!(refused(&xml), "accepted");
    assert_eq!(refused(&xml.replace(SLO, "https://app.example/other")), "saml_destination");
    assert_eq!(refused(&xml.replace(IDP, "https://other.example")), "idp_mixup");
    assert_eq!(refused(&xml.replace(" InResponseTo=\"_ours\"", "")), "saml_in_response_to");
    assert_eq!(refused(&xml.replace("_ours", "_other")), "saml_in_response_to");
    assert_eq!(refused(&xml.replace("status:Success", "status:Responder")), "saml_status");
    assert_eq!(refused(&xml.replace("<samlp:Status>", "<samlp:SessionIndex/><samlp:Status>")), "saml_structure");
    assert_eq!(refused(&honest().write()), "saml_malformed", "a request is no answer");
    assert_eq!(reason(with(judge_answer, Received::Post(&xml), NOW)), "saml_unsigned");
    let unsigned = redirect_url(SLO, Message::Response, &xml, None, None, &[]).unwrap();
    let unsigned = parse_redirect(unsigned.split_once('?').unwrap().1).unwrap();
    assert_eq!(reason(with(judge_answer, Received::Redirect(&unsigned), NOW)), "saml_unsigned");
    let tampered = answer(Outcome::Complete).write_signed(&KEY.signing).unwrap().replace("_ours", "_other");
    assert_eq!(reason(with(judge_answer, Received::Post(&tampered), NOW)), "saml_sig");
}
