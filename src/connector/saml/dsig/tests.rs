//! The form of a signature (S03, S07, S08, S11–S13), other makers' signatures, and a second opinion on honest ones.

use std::process::{Command, Stdio};

use super::super::fixture::{sign, *};
use super::*;

const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";
const DSIG: &str = "http://www.w3.org/2000/09/xmldsig#";
const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";

/// The honest response with its assertion signed.
fn signed() -> String {
    sign(&honest(), How::Assertion)
}

/// What stands in the only `ds` element of that name.
fn text_of(xml: &str, name: &str) -> String {
    let (_, rest) = xml.split_once(&format!("<ds:{name}>")).unwrap();
    rest.split_once('<').unwrap().0.to_owned()
}

#[test]
fn the_algorithms_that_are_taken_verify() {
    let mgf1 = "http://www.w3.org/2007/05/xmldsig-more#";
    for (digest, bits) in [
        ("http://www.w3.org/2001/04/xmlenc#sha256", 256),
        (&format!("{MORE}sha384"), 384),
        ("http://www.w3.org/2001/04/xmlenc#sha512", 512),
    ] {
        let method = format!("{MORE}rsa-sha{bits}");
        taken(&Recipe { method: &method, digest, ..Recipe::default() }.sign(&honest(), &RSA));
        let method = format!("{mgf1}sha{bits}-rsa-MGF1");
        taken(&Recipe { method: &method, digest, ..Recipe::default() }.sign(&honest(), &RSA));
        // One document of the two keys: the kind of key chooses, in whatever order the metadata has them.
        let method = format!("{MORE}ecdsa-sha{bits}");
        let pair = match bits {
            256 => &*EC,
            384 => &*EC_384,
            _ => &*EC_521,
        };
        taken(&Recipe { method: &method, digest, ..Recipe::default() }.sign(&honest(), pair));
    }
}

/// S11: keyed with what everybody knows.
#[test]
fn a_mac_is_refused() {
    for bits in ["sha256", "sha384", "sha512"] {
        let method = format!("{MORE}hmac-{bits}");
        let recipe = Recipe { method: &method, ..Recipe::default() };
        for secret in [&RSA.spki[..], &RSA.certificate, RSA.certificate_pem.as_bytes(), b"secret"] {
            refused(&recipe.mac(&honest(), secret), Reason::SamlAlg);
        }
    }
    refused(&replace(&signed(), &format!("{MORE}rsa-sha256"), &format!("{DSIG}hmac-sha1")), Reason::SamlAlg);
}

/// S12: the library would take some of these.
#[test]
fn weak_and_strange_algorithms_are_refused() {
    let xml = signed();
    let (method, digest) = (&format!("{MORE}rsa-sha256"), "http://www.w3.org/2001/04/xmlenc#sha256");
    for other in [
        &format!("{DSIG}rsa-sha1"),
        &format!("{DSIG}dsa-sha1"),
        &format!("{MORE}rsa-md5"),
        &format!("{MORE}rsa-sha224"),
        &format!("{MORE}ecdsa-sha1"),
        &format!("{MORE}RSA-SHA256"),
        "http://www.w3.org/2007/05/xmldsig-more#sha1-rsa-MGF1",
        "",
    ] {
        refused(&replace(&xml, method, other), Reason::SamlAlg);
    }
    for other in [SHA1, &format!("{MORE}md5"), &format!("{MORE}sha224"), &format!("{digest} "), ""] {
        refused(&replace(&xml, digest, other), Reason::SamlAlg);
    }
    let sha1 = Recipe { digest: SHA1, ..Recipe::default() }.sign(&honest(), &RSA);
    refused(&sha1, Reason::SamlAlg);
}

/// S07.
#[test]
fn a_signature_of_another_form_is_refused() {
    for how in How::ALL {
        let xml = sign(&honest(), how);
        let id = if how == How::Assertion { "_assertion" } else { "_response" };
        let uri = &format!(" URI=\"#{id}\"");
        for other in [
            "",
            " URI=\"\"",
            " URI=\"#\"",
            " URI=\"#xpointer(/)\"",
            &format!(" URI=\"#xpointer(id('{id}'))\""),
            &format!(" URI=\"{id}\""),
            " URI=\"Cargo.toml\"",
            " URI=\"http://evil.example/x.xml\"",
            " URI=\"file:///etc/hostname\"",
            " URI=\"cid:part\"",
            " URI=\"#_other\"",
            &format!("{uri} xmlns:x=\"urn:x\" x:URI=\"#_other\""),
        ] {
            refused(&replace(&xml, uri, other), Reason::SamlSignatureShape);
        }
        refused(&xml.replace(" ID=\"_assertion\"", "").replace(" ID=\"_response\"", ""), Reason::SamlSignatureShape);
        taken(&xml);
    }
    let xml = signed();
    let cut = |name: &str| &xml[range(&xml, DS, name)];
    let twice = |name: &str| replace(&xml, cut(name), &cut(name).repeat(2));
    for name in [
        "Signature",
        "SignedInfo",
        "SignatureValue",
        "KeyInfo",
        "CanonicalizationMethod",
        "SignatureMethod",
        "Reference",
        "Transforms",
        "DigestMethod",
        "DigestValue",
    ] {
        refused(&twice(name), Reason::SamlSignatureShape);
        if !["Signature", "KeyInfo"].contains(&name) {
            refused(&replace(&xml, cut(name), ""), Reason::SamlSignatureShape);
        }
    }
    refused(&replace(&xml, cut("Signature"), ""), Reason::SamlUnsigned);
    taken(&replace(&xml, cut("KeyInfo"), ""));
    let (info, value) = (cut("SignedInfo"), cut("SignatureValue"));
    refused(&replace(&xml, &format!("{info}{value}"), &format!("{value}{info}")), Reason::SamlSignatureShape);

    let value_of = |name: &str| text_of(&xml, name);
    for (from, to) in [
        ("</ds:Signature>", "<ds:Object/></ds:Signature>"),
        ("</ds:Signature>", "<x:Object xmlns:x=\"urn:x\"/></ds:Signature>"),
        ("<x:Note xmlns:x=\"urn:x\">ext</x:Note>", &format!("<ds:Object xmlns:ds=\"{DS}\"/>")),
        ("<ds:SignedInfo>", "<ds:SignedInfo Evil=\"\">"),
        ("rsa-sha256\"/>", "rsa-sha256\"><ds:HMACOutputLength>8</ds:HMACOutputLength></ds:SignatureMethod>"),
        ("<ds:SignatureMethod ", "<ds:SignatureMethod xmlns:x=\"urn:x\" x:Algorithm=\"urn:x\" "),
        ("<ds:DigestMethod ", "<ds:DigestMethod xmlns:x=\"urn:x\" x:Algorithm=\"urn:x\" "),
        (
            "<ds:Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#env",
            "<ds:Transform xmlns:x=\"urn:x\" x:Algorithm=\"urn:x\" Algorithm=\"http://www.w3.org/2000/09/xmldsig#env",
        ),
        (&value_of("DigestValue"), "<ds:X/>"),
        (&value_of("SignatureValue"), "<ds:X/>"),
        ("<ds:SignedInfo>", "<x:SignedInfo xmlns:x=\"urn:x\"/><ds:SignedInfo>"),
        ("<ds:Reference ", "<x:Reference xmlns:x=\"urn:x\"/><ds:Reference "),
    ] {
        refused(&replace(&xml, from, to), Reason::SamlSignatureShape);
    }
}

/// S08.
#[test]
fn other_transforms_and_canonicalisations_are_refused() {
    let (enveloped, exclusive) = (format!("{DSIG}enveloped-signature"), "http://www.w3.org/2001/10/xml-exc-c14n#");
    let of = |algorithms: &[&str]| {
        let each = algorithms.iter().map(|algorithm| format!("<Transform Algorithm=\"{algorithm}\"/>"));
        format!("<Transforms>{}</Transforms>", each.collect::<String>())
    };
    let xml = |transforms: &str| Recipe { transforms, ..Recipe::default() }.sign(&honest(), &RSA);
    taken(&xml(&of(&[&enveloped, exclusive])));
    // Inclusive canonicalisation is what follows then; it takes namespaces and xml: attributes around it in.
    taken(&xml(&of(&[&enveloped])));
    let inclusive = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
    for algorithms in [
        &[&*enveloped, inclusive][..],
        &[&enveloped, &format!("{inclusive}#WithComments")],
        &[&enveloped, &format!("{exclusive}WithComments")],
        &[&enveloped, "http://www.w3.org/2006/12/xml-c14n11"],
    ] {
        refused(&xml(&of(algorithms)), Reason::SamlTransform);
    }
    let honest = signed();
    let transforms = &honest[range(&honest, DS, "Transforms")];
    let xpath = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\"><ds:XPath>true()</ds:XPath>\
                 </ds:Transform>";
    for other in [
        "",
        &of(&[exclusive]),
        &of(&[exclusive, &enveloped]),
        &of(&[&enveloped, &enveloped]),
        &of(&[&enveloped, exclusive, exclusive]),
        &of(&[&enveloped, "http://www.w3.org/2000/09/xmldsig#base64"]),
        &of(&[&enveloped, "http://www.w3.org/TR/1999/REC-xslt-19991116"]),
        &of(&["http://www.w3.org/2002/07/decrypt#XML"]),
        &of(&["", ""]),
        &format!("<Transforms>{xpath}</Transforms>"),
    ] {
        let other = other.replace("Transform", "ds:Transform").replace("ds:ds:", "ds:");
        let expected = if other.is_empty() { Reason::SamlSignatureShape } else { Reason::SamlTransform };
        refused(&replace(&honest, transforms, &other), expected);
    }
    for other in [inclusive, &format!("{exclusive}WithComments"), &format!("{inclusive}#WithComments"), ""] {
        let canonicalization = &format!("<CanonicalizationMethod Algorithm=\"{other}\"/>");
        let method = format!("<ds:CanonicalizationMethod Algorithm=\"{exclusive}\"/>");
        refused(&replace(&honest, &method, &method.replace(exclusive, other)), Reason::SamlTransform);
        if !other.is_empty() {
            refused(
                &Recipe { canonicalization, ..Recipe::default() }.sign(&self::honest(), &RSA),
                Reason::SamlTransform,
            );
        }
    }
}

/// As Shibboleth and Okta write them.
#[test]
fn inclusive_namespaces_are_taken() {
    let list = |prefixes: &str| {
        format!(
            "<Transforms><Transform Algorithm=\"{DSIG}enveloped-signature\"/><Transform Algorithm=\"{EXC_C14N}\">\
             <ec:InclusiveNamespaces xmlns:ec=\"{EXC_C14N}\" PrefixList=\"{prefixes}\"/></Transform></Transforms>"
        )
    };
    let xml = |transforms: &str| Recipe { transforms, ..Recipe::default() }.sign(&honest(), &RSA);
    let honest = xml(&list("xs #default"));
    taken(&honest);
    refused(&xml(&list(&"xs ".repeat(17))), Reason::SamlTransform);
    refused(
        &replace(&honest, " PrefixList=", " x:PrefixList=\"\" xmlns:x=\"urn:x\" PrefixList="),
        Reason::SamlSignatureShape,
    );
    refused(
        &replace(&honest, "xmlns:ec=\"http://www.w3.org/2001/10/xml-exc-c14n#\"", "xmlns:ec=\"urn:x\""),
        Reason::SamlTransform,
    );
    refused(&replace(&honest, "PrefixList=\"xs #default\"", "PrefixList=\"\""), Reason::SamlSig);
}

/// S03: what leads elsewhere is refused; a name or certificate is a hint, whatever it says.
#[test]
fn key_info_is_never_followed() {
    let with = |inner: &str| {
        let key_info = &format!("<KeyInfo>{inner}</KeyInfo>");
        Recipe { key_info, ..Recipe::default() }.sign(&honest(), &RSA)
    };
    for inner in [
        "<RetrievalMethod URI=\"http://127.0.0.1:1/key\"/>",
        "<RetrievalMethod URI=\"#_assertion\"/>",
        "<KeyInfoReference xmlns=\"http://www.w3.org/2009/xmldsig11#\" URI=\"#_assertion\"/>",
        "<x:KeyName xmlns:x=\"urn:x\">key</x:KeyName>",
        "<MgmtData/>",
    ] {
        refused(&with(inner), Reason::SamlSignatureShape);
    }
    for inner in [
        "",
        "<KeyName>http://127.0.0.1:1/key</KeyName>",
        "<KeyValue><RSAKeyValue><Modulus>AQAB</Modulus><Exponent>AQAB</Exponent></RSAKeyValue></KeyValue>",
        "<X509Data><X509IssuerSerial><X509IssuerName>http://127.0.0.1:1/ca</X509IssuerName>\
         <X509SerialNumber>1</X509SerialNumber></X509IssuerSerial></X509Data>",
        "<X509Data><X509Certificate>not Base64!</X509Certificate></X509Data>",
    ] {
        taken(&with(inner));
    }
    // A signature that a trusted key made is good even if it names another.
    let stranger = STANDARD.encode(&STRANGER.certificate);
    taken(&with(&format!("<X509Data><X509Certificate>{stranger}</X509Certificate></X509Data>")));
}

/// S13.
#[test]
fn a_wrong_digest_or_signature_value_is_refused() {
    let xml = signed();
    let (digest, value) = (text_of(&xml, "DigestValue"), text_of(&xml, "SignatureValue"));
    let flipped = |text: &str| format!("{}{}", if text.starts_with('A') { "B" } else { "A" }, &text[1..]);
    for (from, to) in [
        (&digest, flipped(&digest)),
        (&digest, String::new()),
        (&digest, digest[..digest.len() / 2].to_owned()),
        (&digest, "*".into()),
        (&digest, STANDARD.encode(digest::digest(&digest::SHA256, b""))),
        (&value, flipped(&value)),
        (&value, String::new()),
        (&value, value[..value.len() / 8 * 4].to_owned()),
        (&value, "*".into()),
        (&value, STANDARD.encode([0; 256])),
    ] {
        refused(&replace(&xml, from, &to), Reason::SamlSig);
    }
    // Lines as other makers break them.
    let lines = value.as_bytes().chunks(76).map(|line| str::from_utf8(line).unwrap()).collect::<Vec<_>>().join("\r\n");
    taken(&replace(&xml, &value, &format!("\n{lines}\n")));
}

#[test]
fn unusable_certificates_are_left_out_and_named() {
    let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let ed = rcgen::CertificateParams::new(vec!["x".into()]).unwrap().self_signed(&ed).unwrap();
    let garbage = CertificateDer::from(vec![1, 2, 3]);
    let rsa = || RSA.certificate.clone();
    let keys = TrustedKeys::new([ed.der().clone(), rsa(), garbage.clone(), EC.certificate.clone(), rsa()]);
    assert!(!keys.is_empty());
    assert_eq!(
        keys.unusable().iter().map(|k| k.fingerprint.as_str()).collect::<Vec<_>>(),
        [fingerprint(ed.der()), fingerprint(&garbage)]
    );
    assert_eq!(format!("{keys:?}").matches("keys: 2").count(), 1);
    assert!(TrustedKeys::new([garbage]).is_empty());
}

/// S30: both are good while both are published.
#[test]
fn a_certificate_counts_as_long_as_it_is_trusted() {
    let (old, new) = (sign(&honest(), How::Both), sign_by(&honest(), How::Both, &STRANGER.signing()));
    let verified = |keys: &TrustedKeys, xml: &str| verify(&Tree::parse(xml, Policy::Message).unwrap(), keys).is_ok();
    let both = TrustedKeys::new([RSA.certificate.clone(), STRANGER.certificate.clone()]);
    assert!(verified(&both, &old) && verified(&both, &new));
    assert!(!verified(&STRANGER.trusted(), &old) && verified(&STRANGER.trusted(), &new));
}

#[test]
fn a_root_is_signed_as_a_whole_or_not_at_all() {
    let message = format!("<m ID=\"_m\"><Issuer xmlns=\"{SAML}\">{IDP}</Issuer><inner ID=\"_inner\"><a/></inner></m>");
    let root = |xml: &str| {
        let tree = Tree::parse(xml, Policy::Message).unwrap();
        verify_root(&tree, &RSA.trusted()).map_err(|error| error.why())
    };
    let honest = super::sign(&message, "_m", &RSA.signing()).unwrap();
    assert_eq!(root(&honest), Ok(()));
    assert_eq!(root(&message), Err(Reason::SamlUnsigned));
    assert_eq!(root(&super::sign(&message, "_inner", &RSA.signing()).unwrap()), Err(Reason::SamlStructure));
    assert_eq!(root(&honest.replace("<a/>", "<b/>")), Err(Reason::SamlSig));
    assert_eq!(root(&honest.replace("<a/>", "<a ID=\"_m\"/>")), Err(Reason::SamlDuplicateId));
    assert_eq!(root(&super::sign(&message, "_m", &STRANGER.signing()).unwrap()), Err(Reason::SamlKeyUntrusted));
    let metadata =
        format!("<EntityDescriptor xmlns=\"{}\" ID=\"_e\"><Extensions/></EntityDescriptor>", super::super::xml::MD);
    let signed = super::sign(&metadata, "_e", &RSA.signing()).unwrap();
    assert_eq!(root(&signed), Ok(()));
    assert!(signed.find("<ds:Signature").unwrap() < signed.find("<Extensions/>").unwrap());
}

/// For the redirect binding.
#[test]
fn bytes_are_signed_and_verified() {
    let (rsa, key) = (RSA.trusted(), RSA.signing());
    let signature = key.sign_bytes(b"SAMLRequest=a").unwrap();
    let verified = |keys: &TrustedKeys, algorithm: &str, octets: &[u8], signature: &[u8]| {
        keys.verify_bytes(algorithm, octets, signature).map_err(|error| error.why())
    };
    assert_eq!(verified(&rsa, key.algorithm(), b"SAMLRequest=a", &signature), Ok(()));
    assert_eq!(verified(&rsa, key.algorithm(), b"SAMLRequest=b", &signature), Err(Reason::SamlSig));
    assert_eq!(verified(&rsa, key.algorithm(), b"SAMLRequest=a", b""), Err(Reason::SamlSig));
    assert_eq!(verified(&rsa, &format!("{DSIG}rsa-sha1"), b"SAMLRequest=a", &signature), Err(Reason::SamlAlg));
    assert_eq!(verified(&rsa, &format!("{MORE}rsa-sha512"), b"SAMLRequest=a", &signature), Err(Reason::SamlSig));
    assert_eq!(verified(&STRANGER.trusted(), key.algorithm(), b"SAMLRequest=a", &signature), Err(Reason::SamlSig));
    assert_eq!(verified(&EC.trusted(), key.algorithm(), b"SAMLRequest=a", &signature), Err(Reason::SamlKeyUntrusted));
}

#[test]
fn a_signing_key_belongs_to_its_certificate() {
    let (rsa, ec) = (&*RSA, &*EC);
    let pair = |certificate: &str, key: &str| SigningKey::from_pem(certificate.as_bytes(), key.as_bytes());
    let why = |certificate: &str, key: &str| pair(certificate, key).map(|_| ()).map_err(|error| error.why());
    assert_eq!(*pair(&rsa.certificate_pem, &rsa.key_pem).unwrap().certificate(), rsa.certificate);
    assert_eq!(why(&STRANGER.certificate_pem, &rsa.key_pem), Err(Reason::SamlKeyUnusable));
    assert_eq!(why(&ec.certificate_pem, &ec.key_pem), Err(Reason::SamlKeyUnusable));
    assert_eq!(why(&rsa.key_pem, &rsa.key_pem), Err(Reason::SamlKeyUnusable));
    assert_eq!(why(&rsa.certificate_pem, ""), Err(Reason::SamlKeyUnusable));
    assert_eq!(format!("{:?}", rsa.signing()), "SigningKey { .. }");
}

/// A second opinion: Debian's `xmlsec1` (libxmlsec1) takes what we take and signed, and refuses what we refuse.
#[test]
fn xmlsec1_agrees() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = directory.path().join("certificate.pem");
    std::fs::write(&certificate, &RSA.certificate_pem).unwrap();
    let document = directory.path().join("document.xml");
    let version = Command::new("xmlsec1").arg("--version").output();
    let version =
        version.unwrap_or_else(|e| panic!("xmlsec1 does not run ({e}): `ci/install test` installs it")).stdout;
    // From 1.3 on it looks for a key by the KeyInfo alone, unless it is told otherwise in this way.
    let lax = if version.starts_with(b"xmlsec1 1.2.") { None } else { Some("--lax-key-search") };
    let agrees = |xml: &str, node: &str| {
        std::fs::write(&document, xml).unwrap();
        let output = Command::new("xmlsec1")
            .arg("--verify")
            .args(lax)
            .args(["--enabled-key-data", "rsa", "--pubkey-cert-pem"])
            .arg(&certificate)
            .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:assertion:Assertion"])
            .args(["--id-attr:ID", "urn:oasis:names:tc:SAML:2.0:protocol:Response"])
            .args(["--node-xpath", node])
            .arg(&document)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        // It must have come to a verdict: another failure would agree with every refusal.
        let said = String::from_utf8_lossy(&output.stderr);
        let verdict = if output.status.success() { "OK" } else { "FAIL" };
        assert!(said.lines().any(|line| line == verdict), "{said}");
        output.status.success()
    };
    let of_response = "/*[local-name()='Response']/*[local-name()='Signature']";
    let of_assertion = "/*/*[local-name()='Assertion']/*[local-name()='Signature']";
    for how in How::ALL {
        let nodes = match how {
            How::Response => &[of_response][..],
            How::Assertion => &[of_assertion],
            How::Both => &[of_response, of_assertion],
        };
        let xml = sign(&honest(), how);
        taken(&xml);
        for node in nodes {
            assert!(agrees(&xml, node), "{how:?} {node}");
            assert!(!agrees(&xml.replace(NAME, EVIL), node), "{how:?} {node}");
        }
    }
    for text in ["\u{e4}\u{20ac}\u{1f600} &amp;&lt;&gt;&quot;&#13;&#10;&#9; x", "\r\n a \r b \t\n", "&#x41;]] &gt;"] {
        let attribute = text.replace(['\r', '\n', '\t'], "");
        let xml = replace(&honest(), ">staff<", &format!(" x=\"{attribute}\">{text}<"));
        let prefixes = format!(
            "<Transforms><Transform Algorithm=\"{DSIG}enveloped-signature\"/><Transform Algorithm=\"{EXC_C14N}\">\
             <ec:InclusiveNamespaces xmlns:ec=\"{EXC_C14N}\" PrefixList=\"xs samlp #default\"/></Transform></Transforms>"
        );
        let alone = format!("<Transforms><Transform Algorithm=\"{DSIG}enveloped-signature\"/></Transforms>");
        for transforms in [TRANSFORMS, &prefixes, &alone] {
            let xml = Recipe { transforms, ..Recipe::default() }.sign(&xml, &RSA);
            taken(&xml);
            assert!(agrees(&xml, of_assertion), "{text:?} {transforms}");
        }
    }
}
