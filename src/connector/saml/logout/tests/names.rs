//! Whom and what a request names.

use super::*;
use crate::connector::saml::xml::XENC;

#[test]
fn a_request_names_one_person() {
    let xml = honest().write();
    let start = xml.find("<saml:NameID").unwrap();
    let end = xml.find("</saml:NameID>").unwrap() + "</saml:NameID>".len();
    let name = &xml[start..end];
    let naming = |names: &str| xml.replace(name, names);
    assert_eq!(refused(&naming("<saml:NameID>x</saml:NameID>")), "accepted");
    assert_eq!(refused(&naming("")), "saml_structure");
    assert_eq!(refused(&naming(&name.repeat(2))), "saml_structure");
    assert_eq!(refused(&naming("<saml:BaseID/>")), "saml_structure");
    assert_eq!(refused(&naming(&format!("{name}<saml:BaseID/>"))), "saml_structure");
    assert_eq!(refused(&naming("<saml:NameID/>")), "saml_subject");
    assert_eq!(refused(&naming("<saml:NameID> </saml:NameID>")), "saml_subject");
    assert_eq!(refused(&naming("<saml:NameID><saml:NameID>x</saml:NameID></saml:NameID>")), "saml_subject");
    let commented = naming("<saml:NameID>a<!---->b</saml:NameID>");
    assert_eq!(reason(by_query(&signed_query(Message::Request, &commented, &KEY.signing))), "saml_content");
    assert_eq!(refused(&naming(&format!("{name}<saml:Assertion/>"))), "saml_structure");
    assert_eq!(refused(&naming("<NameID xmlns=\"urn:other\">x</NameID>")), "saml_structure");
}

/// `clear` as an `EncryptedID` for us: RSA-OAEP and AES-256-GCM.
fn encrypted(clear: &str) -> String {
    let (key, nonce) = ([7; 32], [9; 12]);
    let sealing = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let mut sealed = clear.as_bytes().to_vec();
    sealing.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::empty(), &mut sealed).unwrap();
    let mut wrapped = vec![0; OURS.0.ciphertext_size()];
    let wrapped = OURS.0.encrypt(&OAEP_SHA1_MGF1SHA1, &key, &mut wrapped, None).unwrap();
    let value = |bytes: &[u8]| {
        let value = STANDARD.encode(bytes);
        format!("<x:CipherData><x:CipherValue>{value}</x:CipherValue></x:CipherData>")
    };
    format!(
        "<saml:EncryptedID xmlns:x=\"{XENC}\"><x:EncryptedData Type=\"{XENC}Element\">\
         <x:EncryptionMethod Algorithm=\"http://www.w3.org/2009/xmlenc11#aes256-gcm\"/>{}</x:EncryptedData>\
         <x:EncryptedKey><x:EncryptionMethod Algorithm=\"{XENC}rsa-oaep-mgf1p\"/>{}</x:EncryptedKey></saml:EncryptedID>",
        value(&[nonce.as_slice(), &sealed].concat()),
        value(wrapped),
    )
}

#[test]
fn an_encrypted_name_is_opened_with_our_key() {
    let xml = honest().write();
    let (before, rest) = xml.split_once("<saml:NameID").unwrap();
    let (name, after) = rest.split_once("</saml:NameID>").unwrap();
    let name = format!("<saml:NameID xmlns:saml=\"{SAML}\"{name}</saml:NameID>");
    let naming = |names: &str| format!("{before}{names}{after}");
    for judged in both_at(&naming(&encrypted(&name)), &KEY.signing, NOW) {
        assert_eq!(judged.unwrap().name_id, *NAME);
    }
    assert_eq!(refused(&naming(&format!("{}{name}", encrypted(&name)))), "saml_structure", "one name");
    assert_eq!(refused(&naming(&encrypted(&name.replace("NameID", "Issuer")))), "saml_decrypt");
    assert_eq!(refused(&naming(&encrypted(&name).replace("aes256-gcm", "aes128-gcm"))), "saml_decrypt");
    assert_eq!(refused(&naming(&encrypted(&name).replace("rsa-oaep-mgf1p", "rsa-1_5"))), "saml_alg");
    let posted = dsig::sign(&naming(&encrypted(&name)), "_request", &KEY.signing).unwrap();
    let (keys, none) = (TrustedKeys::new([KEY.certificate.clone()]), DecryptionKeys::default());
    let expected =
        Expected { slo_url: SLO, idp_entity_id: IDP, now: NOW, keys: &keys, decryption: &none, allow_cbc: false };
    assert_eq!(reason(judge_request(Received::Post(&posted), &expected)), "saml_decrypt", "we have no such key");
}

#[test]
fn an_empty_session_index_does_not_become_all_sessions() {
    let xml = honest().write();
    let one = "<samlp:SessionIndex>_one</samlp:SessionIndex>";
    assert!(xml.contains(one));
    assert_eq!(refused(&xml.replace(one, &one.repeat(3))), "accepted");
    for empty in ["<samlp:SessionIndex/>", "<samlp:SessionIndex>\n</samlp:SessionIndex>"] {
        assert_eq!(refused(&xml.replace(one, empty)), "saml_structure");
    }
    assert_eq!(
        refused(&xml.replace(one, "<samlp:SessionIndex><samlp:x>_one</samlp:x></samlp:SessionIndex>")),
        "saml_structure"
    );
}

#[test]
fn an_id_is_one_that_can_be_remembered() {
    let of =
        |id: &str| by_query(&signed_query(Message::Request, &honest().write().replace("_request", id), &KEY.signing));
    assert_eq!(reason(of(&"i".repeat(256))), "accepted");
    assert_eq!(reason(of(&"i".repeat(257))), "saml_malformed");
    assert_eq!(reason(of("")), "saml_malformed");
}
