use std::collections::BTreeSet;
use std::time::Duration;

use super::super::fixture::{Cipher, refused, *};
use super::super::xml::Policy;
use super::*;

const CIPHERS: [Cipher; 2] = [Cipher::Gcm, Cipher::Cbc];

/// The honest response in each of the ways in which providers sign and encrypt.
fn all_ways(encryption: &Encryption<'_>) -> [String; 3] {
    let signed = sign(&honest(), How::Assertion);
    [
        // The assertion signed, then encrypted.
        encryption.encrypt(&signed),
        // The assertion encrypted, then the response signed.
        sign(&encryption.encrypt(&honest()), How::Response),
        sign(&encryption.encrypt(&signed), How::Response),
    ]
}

#[test]
fn an_encrypted_assertion_is_opened_and_judged_as_any_other() {
    for cipher in CIPHERS {
        for oaep_256 in [false, true] {
            for key_beside in [false, true] {
                for to in [&*OURS, &*STRANGER] {
                    let encryption = Encryption { oaep_256, key_beside, to, ..Encryption::new(cipher) };
                    for xml in all_ways(&encryption) {
                        let assertion = taken(&xml);
                        assert_eq!(assertion.id, "_assertion");
                        assert_eq!(assertion.attributes[1].values, ["staff", "ops & dev"]);
                        let wanted = judged_with(&xml, |expected| expected.want_encrypted = true);
                        assert_eq!(wanted.unwrap().name_id.value, NAME);
                    }
                }
            }
        }
    }
    for how in How::ALL {
        let wanted = judged_with(&sign(&honest(), how), |expected| expected.want_encrypted = true);
        assert_eq!(wanted.unwrap_err().why(), Reason::SamlNotEncrypted);
    }
}

#[test]
fn aes_of_every_length_opens() {
    let clear = sign(&honest(), How::Assertion);
    let xml = |bits: usize, cipher| {
        let encryption = Encryption { content_key: vec![1; bits / 8], ..Encryption::new(cipher) };
        encryption.encrypt(&clear).replace("#aes256-", &format!("#aes{bits}-"))
    };
    for bits in [128, 192, 256] {
        for cipher in CIPHERS {
            taken(&xml(bits, cipher));
        }
    }
}

/// The clear text stands in the scope of namespaces around it.
#[test]
fn an_assertion_may_use_namespaces_that_are_declared_around_it() {
    let declared = format!("xmlns:samlp=\"{}\" xmlns:saml=\"{SAML}\"", super::super::xml::SAMLP);
    let xml = honest().replace(&format!(" xmlns:saml=\"{SAML}\""), "");
    let xml = replace(&xml, &format!("xmlns:samlp=\"{}\"", super::super::xml::SAMLP), &declared);
    for cipher in CIPHERS {
        taken(&Encryption::new(cipher).encrypt(&sign(&xml, How::Assertion)));
    }
}

/// S14: anybody can encrypt to us.
#[test]
fn an_encrypted_assertion_that_nobody_signed_is_refused() {
    refused(&Encryption::new(Cipher::Gcm).encrypt(&honest()), Reason::SamlUnsigned);
    // Told only where the ciphertext is authentic.
    refused(&Encryption::new(Cipher::Cbc).encrypt(&honest()), Reason::SamlDecrypt);
    for cipher in CIPHERS {
        let encryption = Encryption::new(cipher);
        // Signed before it was encrypted: that signature is over another document.
        refused(&encryption.encrypt(&sign(&honest(), How::Response)), Reason::SamlSig);
        refused(&encryption.encrypt(&sign(&honest(), How::Both)), Reason::SamlSig);
        // One good signature does not make up for another.
        let bad = encryption.encrypt(&sign(&honest(), How::Assertion).replace(">staff<", ">root<"));
        refused(&sign(&bad, How::Response), Reason::SamlSig);
        let strange = encryption.encrypt(&sign_by(&honest(), How::Assertion, &STRANGER.signing()));
        refused(&sign(&strange, How::Response), Reason::SamlKeyUntrusted);
    }
}

/// What is wrong with the content is told if the ciphertext is authentic or signed, and not else (S15).
#[test]
fn reasons_are_told_only_where_they_teach_an_attacker_nothing() {
    let other = honest().replace(AUDIENCE, "https://other.example");
    let signed = sign(&other, How::Assertion);
    let (gcm, cbc) = (Encryption::new(Cipher::Gcm), Encryption::new(Cipher::Cbc));
    refused(&gcm.encrypt(&signed), Reason::SamlAudience);
    refused(&cbc.encrypt(&signed), Reason::SamlDecrypt);
    refused(&sign(&gcm.encrypt(&other), How::Response), Reason::SamlAudience);
    refused(&sign(&cbc.encrypt(&other), How::Response), Reason::SamlAudience);
}

#[test]
fn what_is_not_taken_is_refused_before_anything_is_opened() {
    let cbc = Encryption::new(Cipher::Cbc).encrypt(&sign(&honest(), How::Assertion));
    let without = judged_with(&cbc, |expected| expected.allow_cbc = false).unwrap_err();
    assert_eq!(without.why(), Reason::SamlAlg);
    let gcm = Encryption::new(Cipher::Gcm).encrypt(&sign(&honest(), How::Assertion));
    assert!(judged_with(&gcm, |expected| expected.allow_cbc = false).is_ok());

    let (oaep, aes) = ("http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p", "http://www.w3.org/2009/xmlenc11#aes256-gcm");
    let digest = "http://www.w3.org/2000/09/xmldsig#sha1";
    for (from, to) in [
        (oaep, "http://www.w3.org/2001/04/xmlenc#rsa-1_5"),
        (oaep, "http://www.w3.org/2001/04/xmlenc#kw-aes256"),
        (oaep, ""),
        (digest, "http://www.w3.org/2001/04/xmlenc#sha256"),
        (digest, "http://www.w3.org/2001/04/xmldsig-more#md5"),
        (aes, "http://www.w3.org/2001/04/xmlenc#tripledes-cbc"),
        (aes, "http://www.w3.org/2001/04/xmlenc#aes256-gcm"),
        (aes, "http://www.w3.org/2009/xmlenc11#aes256-cbc"),
        (aes, ""),
        ("<DigestMethod ", "<e:OAEPparams>AAAA</e:OAEPparams><DigestMethod "),
    ] {
        refused(&replace(&gcm, from, to), Reason::SamlAlg);
    }
    let cut = |namespace, name: &str| gcm[range(&gcm, namespace, name)].to_owned();
    let key = cut(XENC, "EncryptedKey");
    for (from, to) in [
        (key.clone(), String::new()),
        (key.clone(), key.repeat(2)),
        (cut(XENC, "EncryptedData"), cut(XENC, "EncryptedData").repeat(2)),
        (cut(XENC, "EncryptedData"), String::new()),
        ("<e:CipherValue>".into(), "<e:CipherReference URI=\"http://127.0.0.1:1/\"/><e:CipherValue>".into()),
    ] {
        let xml = gcm.replacen(&from, &to, 1);
        if to.contains("CipherReference") {
            // Beside a value it is not looked at.
            taken(&xml);
        } else {
            refused(&xml, Reason::SamlStructure);
        }
    }
    let reference =
        gcm.replace("<e:CipherValue>", "<e:CipherReference>").replace("</e:CipherValue>", "</e:CipherReference>");
    refused(&reference, Reason::SamlStructure);
    let none = DecryptionKeys::default();
    assert!(none.0.is_empty());
    let without = judged_with(&gcm, |expected| expected.decryption = Box::leak(Box::new(none))).unwrap_err();
    assert_eq!(without.why(), Reason::SamlDecrypt);
}

/// S15: whatever is done to a captured message, the answer is one and the same.
#[test]
fn ways_to_fail_cannot_be_told_apart() {
    let signed = sign(&honest(), How::Assertion);
    let assertion = &signed[range(&signed, SAML, "Assertion")];
    let mut answers = BTreeSet::new();
    let mut ask = |xml: &str| {
        let error = judged(xml).unwrap_err();
        answers.insert(format!("{error:?} {error} {:?}", error.detail()));
    };
    let spoiled = |message: &str, which: usize, at: usize, bit: u8| {
        let start = message.match_indices("<e:CipherValue>").nth(which).unwrap().0 + "<e:CipherValue>".len();
        let end = start + message[start..].find('<').unwrap();
        let mut bytes = STANDARD.decode(&message[start..end]).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        format!("{}{}{}", &message[..start], STANDARD.encode(bytes), &message[end..])
    };
    for cipher in CIPHERS {
        let encryption = Encryption::new(cipher);
        let message = encryption.encrypt(&signed);
        taken(&message);
        for n in 0..64 {
            // The content, all over it and in the last two blocks; and the encrypted key.
            ask(&spoiled(&message, 1, n * 37, (n % 8) as u8));
            let len = encryption.seal(assertion.as_bytes()).len();
            ask(&spoiled(&message, 1, len - 1 - n % 32, (n % 8) as u8));
            ask(&spoiled(&message, 0, n * 7, (n % 8) as u8));
        }
        for key_len in [0, 16, 24, 31] {
            let short = Encryption { content_key: vec![7; key_len], ..Encryption::new(cipher) };
            ask(&message.replace(&value(&message, 0), &STANDARD.encode(short.wrap())));
        }
        ask(&Encryption { to: &RSA, ..Encryption::new(cipher) }.encrypt(&signed));
        for which in [0, 1] {
            for other in ["", "AAAA", "*", "="] {
                ask(&message.replacen(&value(&message, which), other, 1));
            }
        }
        // What opens, and is not one assertion in XML.
        let with = |clear: &[u8]| {
            let range = range(&signed, SAML, "Assertion");
            format!("{}{}{}", &signed[..range.start], encryption.encrypted_assertion(clear), &signed[range.end..])
        };
        for clear in [
            &b""[..],
            b"text",
            b"\xff\xfe",
            b"<a>",
            b"<?xml version=\"1.0\"?><a/>",
            b"<!DOCTYPE a><a/>",
            b"<a/>",
            b"</saml:EncryptedAssertion><saml:EncryptedAssertion>",
            format!("{assertion}{assertion}").as_bytes(),
            format!("{assertion}<a/>").as_bytes(),
            format!("{assertion}text").as_bytes(),
            format!("<a>{assertion}</a>").as_bytes(),
            format!("{assertion}</saml:EncryptedAssertion><saml:EncryptedAssertion xmlns:saml=\"{SAML}\">").as_bytes(),
            format!("<!-- -->{assertion}").as_bytes(),
        ] {
            if cipher == Cipher::Cbc {
                ask(&with(clear));
            } else {
                assert!(judged(&with(clear)).is_err());
            }
        }
    }
    for padding in [0, 17, 32, b'>', 255] {
        ask(&Encryption { padding: Some(padding), ..Encryption::new(Cipher::Cbc) }.encrypt(&signed));
    }
    assert_eq!(answers.len(), 1, "{answers:#?}");
    assert!(answers.first().unwrap().contains("saml_decrypt"));
}

/// S15: nor by how long the answer takes. Counted in processor time, for content so long that nothing else counts.
#[test]
fn ways_to_fail_make_the_same_work() {
    let keys = RSA.trusted();
    let decryption = DecryptionKeys::from_pems([&STRANGER.key_pem, &OURS.key_pem]).unwrap();
    let group = "<saml:AttributeValue>group</saml:AttributeValue>".repeat(1_000);
    let long = replace(&honest(), "<saml:AttributeValue xsi:type=\"xs:string\">staff</saml:AttributeValue>", &group);
    let signed = sign(&long, How::Assertion);
    let stands = range(&signed, SAML, "Assertion");
    for cipher in CIPHERS {
        let encryption = Encryption::new(cipher);
        let good = encryption.encrypt(&signed);
        let [key, content] = [0, 1].map(|which| STANDARD.decode(value(&good, which)).unwrap());
        let spoiled = |which: &[u8], at: usize| {
            let mut bytes = which.to_vec();
            bytes[at] ^= 0x55;
            replace(&good, &STANDARD.encode(which), &STANDARD.encode(bytes))
        };
        let with = |clear: &str| {
            let element = encryption.encrypted_assertion(clear.as_bytes());
            format!("{}{element}{}", &signed[..stands.start], &signed[stands.end..])
        };
        let ways = [
            ("a key that does not open", spoiled(&key, 9)),
            ("content touched at its start", spoiled(&content, 0)),
            ("content touched in the middle", spoiled(&content, content.len() / 2)),
            ("content touched at its end", spoiled(&content, content.len() - 17)),
            ("text that is no XML", with(&"x <".repeat(signed.len() / 3))),
            ("text alone", with(&"x".repeat(signed.len()))),
            ("XML that ends too early", with(&signed[stands.start..stands.end - 20])),
            ("another element", with(&format!("<a>{}</a>", "<b>somebody</b>".repeat(1_000)))),
            ("an assertion that nobody signed", encryption.encrypt(&long)),
            ("an assertion that was changed", encryption.encrypt(&signed.replace(">advice<", ">another<"))),
            ("another issuer", encryption.encrypt_raw(&signed, &format!(">{IDP}<"), ">https://other.example<")),
        ];
        let mut times: Vec<Vec<Duration>> = vec![Vec::new(); ways.len()];
        for _ in 0..5 {
            for ((name, xml), times) in ways.iter().zip(&mut times) {
                let mut answer = None;
                times.push(processor_time(|| answer = judged_by(&keys, &decryption, xml).err()));
                assert!(answer.is_some(), "{name} was taken");
            }
        }
        // The least of several: whatever disturbs a measurement makes it longer.
        let least_of = |times: Vec<Duration>| times.into_iter().min().unwrap();
        let times: Vec<_> = ways.iter().zip(times).map(|((name, _), times)| (least_of(times), *name)).collect();
        let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
        assert!(most.0 < least.0 * 3, "{cipher:?}: {times:#?}");
    }
}

/// S15, S30: that a key is unknown is not told, not even by whether newer metadata is looked for.
#[test]
fn for_whatever_does_not_open_a_newer_key_is_looked_for() {
    let stranger = sign_by(&honest(), How::Assertion, &STRANGER.signing());
    let changed = sign(&honest(), How::Assertion).replace(">staff<", ">root<");
    for cipher in CIPHERS {
        let encryption = Encryption::new(cipher);
        let refused = |xml: &str| judged_wholly(&encryption.encrypt(xml), |_| {}).unwrap_err();
        let told = if cipher == Cipher::Gcm { Reason::SamlKeyUntrusted } else { Reason::SamlDecrypt };
        assert_eq!((refused(&stranger).error.why(), refused(&stranger).look_for_key), (told, true));
        // What is authentic may be told from each other.
        for other in [honest(), changed.clone()] {
            assert_eq!(refused(&other).look_for_key, cipher == Cipher::Cbc, "{cipher:?}");
        }
        let good = encryption.encrypt(&sign(&honest(), How::Assertion));
        for which in [0, 1] {
            let bytes = value(&good, which);
            let mut other = STANDARD.decode(&bytes).unwrap();
            other[9] ^= 0x55;
            let refusal = judged_wholly(&replace(&good, &bytes, &STANDARD.encode(other)), |_| {}).unwrap_err();
            assert_eq!((refusal.error.why(), refusal.look_for_key), (Reason::SamlDecrypt, true));
        }
        let below = Encryption { padding: Some(0), ..Encryption::new(cipher) }.encrypt(&stranger);
        assert!(judged_wholly(&below, |_| {}).unwrap_err().look_for_key);
    }
    let cbc = |xml: &str| judged(&Encryption::new(Cipher::Cbc).encrypt(xml)).unwrap_err();
    assert_eq!(format!("{:?}", cbc(&stranger)), format!("{:?}", cbc(&honest())), "one answer");
    let open = judged_wholly(&stranger, |_| {}).unwrap_err();
    assert_eq!((open.error.why(), open.look_for_key), (Reason::SamlKeyUntrusted, true));
    let unsigned = judged_wholly(&honest(), |_| {}).unwrap_err();
    assert_eq!((unsigned.error.why(), unsigned.look_for_key), (Reason::SamlUnsigned, false));
}

/// A whole block of padding, and as little as there can be.
#[test]
fn padding_of_every_length_is_taken() {
    for more in 0..16 {
        let xml = replace(&honest(), ">advice<", &format!(">{}<", "x".repeat(more)));
        taken(&Encryption::new(Cipher::Cbc).encrypt(&sign(&xml, How::Assertion)));
    }
}

/// Content that fills its blocks: without a last octet that counts, it is not what XML Encryption makes.
#[test]
fn content_without_padding_is_refused() {
    let fills = |xml: &String| range(xml, SAML, "Assertion").len().is_multiple_of(16);
    let of = |more: usize| sign(&replace(&honest(), ">advice<", &format!(">{}<", "x".repeat(more))), How::Assertion);
    let signed = (0..16).map(of).find(fills).unwrap();
    let range = range(&signed, SAML, "Assertion");
    let cut = &signed[range.start..range.end - 1];
    let unpadded =
        Encryption { padding: Some(b'>'), ..Encryption::new(Cipher::Cbc) }.encrypted_assertion(cut.as_bytes());
    refused(&format!("{}{unpadded}{}", &signed[..range.start], &signed[range.end..]), Reason::SamlDecrypt);
    taken(&Encryption::new(Cipher::Cbc).encrypt(&signed));
}

/// S05, S06 after opening: the shape is checked again over the whole document.
#[test]
fn what_comes_out_is_checked_like_what_comes_in() {
    let encryption = Encryption::new(Cipher::Gcm);
    let signed = sign(&honest(), How::Assertion);
    let advice = "<x:Note xmlns:x=\"urn:x\">advice</x:Note>";
    for (inner, reason) in [
        (format!("<saml:Assertion>{EVIL}</saml:Assertion>"), Reason::SamlStructure),
        ("<saml:EncryptedAssertion/>".into(), Reason::SamlStructure),
        ("<x:Note xmlns:x=\"urn:x\" ID=\"_response\"/>".into(), Reason::SamlDuplicateId),
        ("<x:Note xmlns:x=\"urn:x\" Id=\"_other\"/>".into(), Reason::SamlDuplicateId),
        ("<!-- -->".into(), Reason::SamlDecrypt),
        ("<x:Note xmlns:x=\"urn:x\">another</x:Note>".into(), Reason::SamlSig),
    ] {
        refused(&encryption.encrypt_raw(&signed, advice, &inner), reason);
    }
    taken(&encryption.encrypt_raw(&signed, advice, advice));
    // The same ID outside.
    let outside = "<x:Note xmlns:x=\"urn:x\" ID=\"_assertion\"/>";
    let message = encryption.encrypt(&signed);
    refused(&replace(&message, "<x:Note xmlns:x=\"urn:x\">ext</x:Note>", outside), Reason::SamlDuplicateId);
    // Beside the encrypted one, and in it before it is opened.
    let range = range(&signed, SAML, "Assertion");
    let assertion = &signed[range];
    let end = "</saml:EncryptedAssertion>";
    refused(&replace(&message, end, &format!("{end}{assertion}")), Reason::SamlStructure);
    refused(&replace(&message, end, &format!("{assertion}{end}")), Reason::SamlStructure);
    let second = format!("{end}<saml:EncryptedAssertion xmlns:saml=\"{SAML}\">{end}");
    refused(&replace(&message, end, &second), Reason::SamlStructure);
}

#[test]
fn a_name_is_opened_too() {
    let keys = DecryptionKeys::from_pems([&OURS.key_pem]).unwrap();
    let name = format!("<saml:NameID xmlns:saml=\"{SAML}\">{NAME}</saml:NameID>");
    for cipher in CIPHERS {
        let open = |encryption: &Encryption<'_>, allow_cbc| {
            let xml = encryption.encrypted_assertion(name.as_bytes()).replace("EncryptedAssertion", "EncryptedID");
            let tree = Tree::parse(&xml, Policy::Message).unwrap();
            decrypt_id(tree.root(), &keys, allow_cbc).map_err(|error| error.why())
        };
        assert_eq!(open(&Encryption::new(cipher), true), Ok(name.clone()));
        let stranger = Encryption { to: &STRANGER, ..Encryption::new(cipher) };
        assert_eq!(open(&stranger, true), Err(Reason::SamlDecrypt));
        let expected = if cipher == Cipher::Gcm { Ok(name.clone()) } else { Err(Reason::SamlAlg) };
        assert_eq!(open(&Encryption::new(cipher), false), expected);
    }
    let padding = Encryption { padding: Some(77), ..Encryption::new(Cipher::Cbc) };
    let xml = padding.encrypted_assertion(name.as_bytes());
    let tree = Tree::parse(&xml, Policy::Message).unwrap();
    assert_eq!(decrypt_id(tree.root(), &keys, true).unwrap_err().why(), Reason::SamlDecrypt);
}

#[test]
fn keys_are_rsa_in_pem() {
    let why = |pem: &str| DecryptionKeys::from_pems([pem]).map(|_| ()).map_err(|error| error.why());
    assert_eq!(why(&OURS.key_pem), Ok(()));
    for pem in [&EC.key_pem, &OURS.certificate_pem, ""] {
        assert_eq!(why(pem), Err(Reason::SamlKeyUnusable));
    }
    let keys = DecryptionKeys::from_pems([&OURS.key_pem, &RSA.key_pem]).unwrap();
    assert_eq!(format!("{keys:?}"), "DecryptionKeys(2)");
}

/// The ciphertexts of a message: of the key, then of the content.
fn value(message: &str, which: usize) -> String {
    let start = message.match_indices("<e:CipherValue>").nth(which).unwrap().0 + "<e:CipherValue>".len();
    message[start..].split_once('<').unwrap().0.to_owned()
}
