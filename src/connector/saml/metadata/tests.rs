use super::fixtures::{ENTRA_TENANT, adfs, entra, google, keycloak, okta, shibboleth};
use super::*;
use crate::connector::saml::certificate::fixtures::{Made, WEAK, rsa};
use crate::connector::saml::dsig::SigningKey;

fn now() -> Timestamp {
    xml::time("2026-11-22T12:00:00Z").unwrap()
}

fn expected() -> Expected<'static> {
    Expected { entity_id: None, pinned: None, insecure_http: false, now: now() }
}

fn read(document: &str) -> Result<IdpMetadata, ProviderError> {
    IdpMetadata::parse(document.as_bytes(), &expected())
}

fn why(document: &str) -> &'static str {
    read(document).err().map_or("accepted", |e| e.reason())
}

fn made() -> Made {
    Made::new("acme", 2030)
}

/// The names in the certificates that count.
fn subjects(metadata: &IdpMetadata) -> Vec<&str> {
    metadata.certificates.iter().map(Certificate::subject).collect()
}

/// An honest document that a test spoils.
fn honest() -> String {
    keycloak(&made().base64())
}

/// `document` with `from` replaced by `to`; it must be there.
fn changed(document: &str, from: &str, to: &str) -> String {
    assert!(document.contains(from), "{from}");
    document.replace(from, to)
}

fn within(entities: &str, attributes: &str) -> String {
    format!("<EntitiesDescriptor xmlns=\"{MD}\" {attributes}>{entities}</EntitiesDescriptor>")
}

fn without_declaration(document: &str) -> &str {
    document.split_once("?>").map_or(document, |(_, rest)| rest)
}

#[test]
fn what_each_product_publishes_is_read() {
    let (old, new) = (Made::new("old", 2025), Made::new("new", 2029));
    let entra = read(&entra(&[&old.base64(), &new.base64()], &Made::new("fed", 2030).base64())).unwrap();
    let saml2 = format!("https://login.microsoftonline.com/{ENTRA_TENANT}/saml2");
    assert_eq!(entra.entity_id, format!("https://sts.windows.net/{ENTRA_TENANT}/"));
    assert_eq!(entra.sign_on, SignOn { redirect: Some(saml2.clone()), post: Some(saml2.clone()) });
    let endpoint = LogoutEndpoint { location: saml2.clone(), response: saml2 };
    assert_eq!(entra.logout, Logout { redirect: Some(endpoint), post: None });
    assert_eq!(subjects(&entra), ["CN=old", "CN=new"], "those of WS-Federation are none of ours");
    assert!(!entra.wants_signed_requests && entra.valid_until.is_none() && entra.cache_duration.is_none());

    let google = read(&google(&made().base64())).unwrap();
    assert_eq!(google.entity_id, "https://accounts.google.com/o/saml2?idpid=C01abc23d");
    assert_eq!(google.logout, Logout::default());
    assert_eq!(google.valid_until, xml::time("2029-03-01T09:00:00Z"));

    let keycloak = read(&honest()).unwrap();
    assert!(keycloak.wants_signed_requests);
    assert!(keycloak.logout.redirect.is_some() && keycloak.logout.post.is_some());

    let okta = read(&okta(&rsa().base64())).unwrap();
    assert_eq!(okta.entity_id, "http://www.okta.com/exk1abc", "a name, and no place to go to");
    assert_eq!(okta.sign_on.post.as_deref(), Some("https://acme.okta.com/app/acme_app_1/exk1abc/sso/saml"));

    let adfs = read(&adfs(&made().base64(), &Made::new("encryption", 2030).base64())).unwrap();
    assert_eq!(subjects(&adfs), ["CN=acme"]);

    let shibboleth = read(&shibboleth(&made().base64(), &Made::new("back", 2030).base64())).unwrap();
    assert_eq!(subjects(&shibboleth), ["CN=back", "CN=acme"]);
    assert_eq!(shibboleth.sign_on.post, None);
    let logout = shibboleth.logout.post.unwrap();
    assert!(logout.location.ends_with("/POST/SLO") && logout.response.ends_with("/POST/SLO/Response"));
}

#[test]
fn a_document_without_a_usable_signing_key_is_refused_s01_s29() {
    let made = made();
    let honest = keycloak(&made.base64());
    assert_eq!(why(&honest), "accepted");
    let key = &honest[honest.find("<md:KeyDescriptor").unwrap()..honest.find("<md:ArtifactResolution").unwrap()];
    for (spoilt, found) in [
        (changed(&honest, key, ""), "no X509Certificate for signing"),
        (changed(&honest, "use=\"signing\"", "use=\"encryption\""), "no X509Certificate for signing"),
        (changed(&honest, "use=\"signing\"", "use=\"\""), "no X509Certificate for signing"),
        (changed(&honest, &made.base64(), ""), "no X509Certificate for signing"),
        (changed(&honest, &made.base64(), "AAAA"), "no X509Certificate for signing"),
        (changed(&honest, &made.base64(), "not base64!"), "no X509Certificate for signing"),
        (changed(&honest, &made.base64(), WEAK), "an RSA key of less than 2048 or more than 8192 bits"),
        // In the provider's other role, or in an extension, it is not for what we are told by.
        (
            changed(&changed(&honest, key, ""), "</md:EntityDescriptor>", &{
                let role = "<md:SPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">";
                format!("{role}{key}</md:SPSSODescriptor></md:EntityDescriptor>")
            }),
            "no X509Certificate for signing",
        ),
        (changed(&honest, key, &format!("<md:Extensions>{key}</md:Extensions>")), "no X509Certificate for signing"),
    ] {
        let error = read(&spoilt).err().unwrap();
        assert_eq!((error.reason(), error.detail().unwrap().1), ("saml_no_signing_key", found));
    }
    assert_eq!(why(&changed(&honest, " use=\"signing\"", "")), "accepted", "for signing too");
    let beside = changed(&honest, key, &format!("{}{key}", changed(key, &made.base64(), WEAK)));
    let metadata = read(&beside).unwrap();
    assert_eq!((subjects(&metadata), metadata.keys.unusable().len()), (vec!["CN=weak", "CN=acme"], 1));
}

#[test]
fn an_authority_in_a_chain_is_no_provider() {
    let root = Made::new("root", 2040);
    let leaf = root.issue("leaf", 2030);
    let chain = |first: &Made, second: &Made| {
        let between = "</ds:X509Certificate><ds:X509Certificate>";
        read(&keycloak(&format!("{}{between}{}", first.base64(), second.base64()))).unwrap()
    };
    assert_eq!(subjects(&chain(&leaf, &root)), ["CN=leaf"]);
    assert_eq!(subjects(&chain(&root, &leaf)), ["CN=leaf"]);
    // Entra's certificates sign themselves and share one name.
    let (old, new) = (Made::new("same", 2027), Made::new("same", 2030));
    assert_eq!(chain(&old, &new).certificates.len(), 2);
    assert_eq!(chain(&old, &old).certificates.len(), 1);
}

#[test]
fn metadata_that_has_expired_is_refused_s29() {
    let honest = honest();
    let dated = |until: &str| changed(&honest, "entityID=", &format!("validUntil=\"{until}\" entityID="));
    for until in ["2026-11-22T12:00:00Z", "2026-11-22T11:59:59.9Z", "1999-01-01T00:00:00Z"] {
        assert_eq!(why(&dated(until)), "saml_metadata_expired", "{until}");
        let around = within(without_declaration(&honest), &format!("validUntil=\"{until}\""));
        assert_eq!(why(&around), "saml_metadata_expired", "around the entity: {until}");
        let role = changed(&honest, "<md:IDPSSODescriptor", &format!("<md:IDPSSODescriptor validUntil=\"{until}\""));
        assert_eq!(why(&role), "saml_metadata_expired", "on the role: {until}");
    }
    for until in ["", "tomorrow", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01T00:00:00+02:00"] {
        assert_eq!(why(&dated(until)), "saml_metadata_rejected", "{until}");
    }
    let good = read(&within(&dated("2026-11-22T12:00:01Z"), "validUntil=\"2027-01-01T00:00:00Z\"")).unwrap();
    assert_eq!(good.valid_until, xml::time("2026-11-22T12:00:01Z"), "the earlier of the two");
    assert!(good.check_valid(now()).is_ok());
    let later = now().plus(Duration::from_secs(1));
    assert_eq!(good.check_valid(later).unwrap_err().reason(), "saml_metadata_expired");
    assert_eq!(good.expires(), good.valid_until);
}

#[test]
fn an_expired_certificate_is_still_the_operators_word_t47() {
    let metadata = read(&keycloak(&Made::new("old", 2025).base64())).unwrap();
    assert!(!metadata.keys.is_empty());
    assert!(metadata.expires().unwrap() < now(), "for the metric and the warning");
}

#[test]
fn one_provider_is_meant_and_no_other_s29() {
    let (ours, other) = (keycloak(&made().base64()), okta(&made().base64()));
    let ours_only = "https://sso.acme.com/realms/acme";
    let wanted = |id: &'static str| Expected { entity_id: Some(id), ..expected() };
    let why = |document: &str, expected: &Expected<'_>| {
        IdpMetadata::parse(document.as_bytes(), expected)
            .map_or_else(|e| e.reason().to_owned(), |found| found.entity_id)
    };
    let both = within(&format!("{ours}{}", without_declaration(&other)), "Name=\"acme\"");
    let nested = within(&both, "");
    for document in [&both, &nested] {
        assert_eq!(why(document, &wanted(ours_only)), ours_only);
        assert_eq!(why(document, &wanted("http://www.okta.com/exk1abc")), "http://www.okta.com/exk1abc");
        assert_eq!(why(document, &expected()), "saml_metadata_rejected", "which of the two?");
        assert_eq!(why(document, &wanted("https://sso.acme.com/realms/other")), "saml_metadata_rejected");
    }
    assert_eq!(why(&ours, &wanted(ours_only)), ours_only);
    assert_eq!(why(&ours, &wanted("https://sso.acme.com/realms/acme/")), "saml_metadata_rejected");
    assert_eq!(why(&within(&format!("{ours}{ours}"), ""), &wanted(ours_only)), "saml_metadata_rejected");
    // Beside service providers there is one.
    let service = changed(&changed(&ours, "IDPSSODescriptor", "SPSSODescriptor"), ours_only, "urn:other");
    assert_eq!(why(&within(&format!("{service}{ours}"), ""), &expected()), ours_only);
    assert_eq!(why(&service, &expected()), "saml_metadata_rejected");
    assert_eq!(why(&service, &wanted("urn:other")), "saml_metadata_rejected");
    // What stands in an extension, or in another document, is nobody's metadata.
    let hidden = within(&format!("<Extensions>{ours}</Extensions>"), "");
    assert_eq!(why(&hidden, &wanted(ours_only)), "saml_metadata_rejected");
    assert_eq!(why(&format!("<html>{ours}</html>"), &expected()), "saml_metadata_rejected");
    let two_roles = &ours[ours.find("<md:IDPSSO").unwrap()..ours.find("</md:EntityDescriptor").unwrap()];
    let two_roles = changed(&ours, "</md:EntityDescriptor>", &format!("{two_roles}</md:EntityDescriptor>"));
    assert_eq!(why(&two_roles, &expected()), "saml_metadata_rejected");
    let saml1 = changed(&ours, "\"urn:oasis:names:tc:SAML:2.0:protocol\"", "\"urn:oasis:names:tc:SAML:1.1:protocol\"");
    assert_eq!(why(&saml1, &expected()), "saml_metadata_rejected");
    assert_eq!(why(&changed(&ours, ours_only, ""), &expected()), "saml_metadata_rejected");
    assert_eq!(why(&changed(&ours, ours_only, &"x".repeat(1025)), &expected()), "saml_metadata_rejected");
}

#[test]
fn people_are_sent_to_https_alone_s29() {
    let honest = honest();
    let at = "https://sso.acme.com/realms/acme/protocol/saml\"";
    for bad in [
        "http://sso.acme.com/x",
        "javascript:alert(1)",
        "data:text/html,x",
        "/relative",
        "",
        "https://",
        "https://user@sso.acme.com/x",
        "https://:secret@sso.acme.com/x",
        "https://sso.acme.com/x#y",
        "https://sso.acme.com/a b",
        "https://sso.acme.com/&#10;Location:x",
        "https://sso.acme.com\\@evil.com/",
        "https://sso.acme.com/&quot;&gt;",
        "https://ssö.acme.com/",
        "ftp://sso.acme.com/",
    ] {
        let end_quote = format!("{bad}\"");
        assert_eq!(why(&changed(&honest, at, &end_quote)), "saml_metadata_rejected", "{bad}");
    }
    let long = format!("https://sso.acme.com/{}\"", "x".repeat(MAX_URL));
    assert_eq!(why(&changed(&honest, at, &long)), "saml_metadata_rejected");
    for good in ["http://localhost:8080/x", "http://127.0.0.1/x", "https://sso.acme.com:8443/x?a=b&amp;c=d"] {
        assert_eq!(why(&changed(&honest, at, &format!("{good}\""))), "accepted", "{good}");
    }
    let plain = changed(&honest, "https://sso.acme.com/", "http://sso.acme.com/");
    let lax = Expected { insecure_http: true, ..expected() };
    assert!(IdpMetadata::parse(plain.as_bytes(), &lax).is_ok(), "as the operator wanted it");
    let answer = shibboleth(&made().base64(), &made().base64());
    let answer = changed(&answer, "https://idp.acme.com/idp/profile/SAML2/POST/SLO/Response", "http://evil.com/");
    assert_eq!(why(&answer), "saml_metadata_rejected");
    // Only the bindings that are used.
    let soap = changed(&honest, "bindings:HTTP-Redirect", "bindings:SOAP");
    assert_eq!(read(&soap).unwrap().sign_on.redirect, None);
    assert_eq!(why(&changed(&soap, "bindings:HTTP-POST", "bindings:SOAP")), "saml_metadata_rejected");
}

#[test]
fn what_is_no_sound_xml_is_refused_s10_s29() {
    let honest = honest();
    for bad in [
        format!("<!DOCTYPE x>{honest}"),
        format!("<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]>{honest}"),
        changed(&honest, "</md:EntityDescriptor>", ""),
        changed(&honest, "Xq3v0000", "&e;"),
        String::new(),
        String::from("<html><body>Sign in</body></html>"),
        format!("{honest}{}", " ".repeat(MAX_METADATA)),
    ] {
        assert_eq!(why(&bad), "saml_metadata_rejected");
    }
    let utf16: Vec<u8> = honest.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(IdpMetadata::parse(&utf16, &expected()).unwrap_err().reason(), "saml_metadata_rejected");
    let dtd = read(&format!("<!DOCTYPE x>{honest}")).unwrap_err();
    assert!(dtd.detail().unwrap().1.starts_with("xml_doctype"), "the operator is told what: {dtd:?}");
    assert_eq!(why(&changed(&honest, "Xq3v0000", "<!-- a --><![CDATA[<b>]]><?c d?>")), "accepted");
}

#[test]
fn how_long_to_keep_it_is_advice() {
    let honest = honest();
    let kept = |text: &str| {
        let document = changed(&honest, "entityID=", &format!("cacheDuration=\"{text}\" entityID="));
        read(&document).unwrap().cache_duration.map(|kept| kept.as_secs())
    };
    for (text, secs) in [
        ("PT1H", Some(3_600)),
        ("PT604800S", Some(604_800)),
        ("P1D", Some(86_400)),
        ("P1M", Some(2_592_000)),
        ("P1Y1DT1H1M1.5S", Some(31_626_061)),
        ("PT0S", None),
        ("-PT1H", None),
        ("1 hour", None),
        ("PT99999999999999999999H", None),
        ("", None),
        ("P", None),
    ] {
        assert_eq!(kept(text), secs, "{text}");
    }
    let shorter = changed(&honest, "entityID=", "cacheDuration=\"PT2H\" entityID=");
    let shorter = read(&within(&shorter, "cacheDuration=\"PT1H\"")).unwrap();
    assert_eq!(shorter.cache_duration, Some(Duration::from_secs(3_600)));
}

#[test]
fn with_a_pinned_certificate_nobody_else_signs_metadata_s29() {
    let made = rsa();
    let certificate = pem("CERTIFICATE", &made.der);
    let key = SigningKey::from_pem(certificate.as_bytes(), made.key.serialize_pem().as_bytes()).unwrap();
    let unsigned = changed(&honest(), "entityID=", "ID=\"_m\" entityID=");
    let signed = dsig::sign(&unsigned, "_m", &key).unwrap();
    let (pinned, other) = (TrustedKeys::new([made.der.clone()]), TrustedKeys::new([self::made().der]));
    let judge = |document: &str, pinned: Option<&TrustedKeys>| {
        let expected = Expected { pinned, ..expected() };
        IdpMetadata::parse(document.as_bytes(), &expected).map_or_else(|e| e.reason(), |_| "accepted")
    };
    assert_eq!(judge(&signed, Some(&pinned)), "accepted");
    let aggregate = changed(&within(&honest(), "ID=\"_m\""), " ID=", " validUntil=\"2030-01-01T00:00:00Z\" ID=");
    assert_eq!(judge(&dsig::sign(&aggregate, "_m", &key).unwrap(), Some(&pinned)), "accepted", "around the entity");

    let tampered = changed(&signed, "https://sso.acme.com/", "https://evil.com/");
    let inner_only = within(&signed, "");
    for bad in [&unsigned, &tampered, &inner_only, &aggregate] {
        assert_eq!(judge(bad, Some(&pinned)), "saml_metadata_rejected");
    }
    assert_eq!(judge(&signed, Some(&other)), "saml_metadata_rejected");
    assert_eq!(judge(&signed, Some(&TrustedKeys::new([]))), "saml_metadata_rejected", "nothing pinned is not anything");
    // Without one a signature is neither needed nor trusted.
    for document in [&unsigned, &signed, &tampered, &inner_only] {
        assert_eq!(judge(document, None), "accepted");
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{base64}\n-----END {label}-----\n")
}
