//! What is signed, by whom and by which means (security cases S01–S03, S11–S13).

use anteroom::directory::Directory;

use crate::support::{App, DS, SamlKey, SamlProvider, SamlTrial, Setup, SignatureForm, Signing, Words, x509};

pub async fn start() -> (App, SamlProvider) {
    let idp = SamlProvider::new("initech", "carol");
    (App::start_with(Setup::new().with(&idp.connector("")).directory(Directory::in_memory())).await, idp)
}

/// Changes the signed response; the piece must be there.
pub fn after(from: &str, to: &str) -> impl Fn(&mut Words) + use<> {
    let (from, to) = (from.to_owned(), to.to_owned());
    move |words| {
        let (from, to) = (from.clone(), to.clone());
        words.after(move |xml| {
            assert!(xml.contains(&from), "{from} is not in {xml}");
            xml.replace(&from, &to)
        });
    }
}

pub fn form(change: impl Fn(&mut SignatureForm)) -> impl Fn(&mut Words) {
    move |words| change(&mut words.form)
}

pub type Spoil<'a> = Box<dyn Fn(&mut Words) + 'a>;

/// Each row with each way to sign.
pub async fn refused(app: &App, idp: &SamlProvider, rows: &[(&str, &str, Spoil<'_>)]) {
    for signing in Signing::ALL {
        for (row, reason, spoil) in rows {
            SamlTrial::new(app, idp).signing(signing).refuses(row, 400, reason, spoil).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_signed_is_nobodys_word_s01() {
    let (app, idp) = start().await;
    let trial = SamlTrial::new(&app, &idp);
    trial.refuses("nothing signed", 400, "saml_unsigned", |words| words.signing = Signing::Nothing).await;
    for signing in [Signing::Response, Signing::Assertion] {
        let event =
            trial.signing(signing).refuses("taken off", 400, "saml_unsigned", |words| words.after(unsigned)).await;
        assert_eq!(event["expected"].as_str().map(|text| text.contains("signature")), Some(true), "{event}");
    }
}

/// A response without any signature.
fn unsigned(mut xml: String) -> String {
    while let Some(start) = xml.find("<ds:Signature xmlns") {
        let end = xml[start..].find("</ds:Signature>").unwrap() + start + "</ds:Signature>".len();
        xml.replace_range(start..end, "");
    }
    xml
}

/// A provider whose metadata has no key to sign with: nobody starts a sign-in there.
#[tokio::test(flavor = "multi_thread")]
async fn a_provider_without_a_key_signs_nobody_in_s01() {
    let idp = SamlProvider::new("initech", "carol");
    idp.publish(|metadata| metadata.keys.clear());
    let app = App::start_with(Setup::new().with(&idp.connector("")).directory(Directory::in_memory())).await;
    let mut browser = app.browser();
    app.log.taken();
    let answer = browser.visit("/.anteroom/sign-in/go?connector=initech").await;
    assert_eq!((answer.status, answer.reason()), (400, "saml_no_signing_key"), "{answer:?}");
    assert!(browser.attempts().is_empty() && browser.session().is_none());
    // And a message that needs no attempt of ours gets no further.
    idp.publish(|_| {});
    app.advance(std::time::Duration::from_secs(60));
    SamlTrial::new(&app, &idp).accepts("with its key", |_| {}).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_key_is_not_trusted_for_being_named_s02() {
    let (app, idp) = start().await;
    let stranger = SamlKey::number(2);
    let ours = SamlKey::number(0);
    let by_stranger = move |key_info: Option<String>| {
        move |words: &mut Words| {
            words.key = stranger;
            words.form.key_info.clone_from(&key_info);
        }
    };
    let both = format!("{}{}", x509(&stranger.base64()), x509(&ours.base64()));
    let chain = format!(
        "<ds:X509Data><ds:X509Certificate>{}</ds:X509Certificate><ds:X509Certificate>{}</ds:X509Certificate></ds:X509Data>",
        stranger.base64(),
        ours.base64()
    );
    let rows: Vec<(&str, &str, Spoil<'_>)> = vec![
        ("its certificate", "saml_key_untrusted", Box::new(by_stranger(None))),
        ("our provider's certificate instead", "saml_sig", Box::new(by_stranger(Some(x509(&ours.base64()))))),
        ("both", "saml_sig", Box::new(by_stranger(Some(both)))),
        ("as a chain", "saml_sig", Box::new(by_stranger(Some(chain)))),
        ("its name", "saml_sig", Box::new(by_stranger(Some("<ds:KeyName>key</ds:KeyName>".to_owned())))),
    ];
    refused(&app, &idp, &rows).await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let event = trial.refuses("named", 400, "saml_key_untrusted", by_stranger(None)).await;
        assert_eq!(event["found"].as_str().map(|text| text.contains("SHA-256")), Some(true), "{event}");
        // A hint that is wrong harms nobody: the keys are the metadata's.
        trial.accepts("no hint", form(|form| form.key_info = Some("<ds:KeyName>any</ds:KeyName>".to_owned()))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_fetched_for_a_signature_s03() {
    let (app, idp) = start().await;
    let address = format!("http://{}/key", app.acme.address);
    let info = |inside: String| form(move |form| form.key_info = Some(inside.clone()));
    let retrieval = format!("<ds:RetrievalMethod URI=\"{address}\" Type=\"{DS}X509Data\"/>");
    let issuer = format!(
        "<ds:X509Data><ds:X509IssuerSerial><ds:X509IssuerName>{address}</ds:X509IssuerName><ds:X509SerialNumber>1\
         </ds:X509SerialNumber></ds:X509IssuerSerial></ds:X509Data>"
    );
    let rows: Vec<(&str, &str, Spoil<'_>)> = vec![
        ("RetrievalMethod", "saml_signature_shape", Box::new(info(retrieval))),
        ("an external reference", "saml_signature_shape", Box::new(external(&address))),
    ];
    refused(&app, &idp, &rows).await;
    // What is only a name is looked at by nobody.
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        let asks = app.acme.count("");
        trial.accepts("KeyName", info(format!("<ds:KeyName>{address}</ds:KeyName>"))).await;
        trial.accepts("X509IssuerName", info(issuer.clone())).await;
        assert_eq!(app.acme.count(""), asks);
    }
}

/// The reference of each signature leads to `uri` once it is signed.
pub fn external(uri: &str) -> impl Fn(&mut Words) + use<> {
    let uri = uri.to_owned();
    move |words| {
        let uri = uri.clone();
        words.after(move |xml| reference(&xml, &format!(" URI=\"{uri}\"")));
    }
}

/// With another attribute in the place of each reference's URI.
pub fn reference(xml: &str, attribute: &str) -> String {
    let mut parts = xml.split("<ds:Reference URI=\"");
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |out, part| format!("{out}<ds:Reference{attribute}{}", part.split_once('"').unwrap().1))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_everybody_knows_is_no_secret_s11() {
    let (app, idp) = start().await;
    let key = SamlKey::number(0);
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for method in
            ["http://www.w3.org/2000/09/xmldsig#hmac-sha1", "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"]
        {
            for (form, secret) in
                [("certificate", key.certificate.clone()), ("key", key.public()), ("Base64", key.base64().into_bytes())]
            {
                trial
                    .refuses(&format!("{method} by the {form}"), 400, "saml_alg", |words| {
                        words.form.method = method.to_owned();
                        words.secret = Some(secret.clone());
                    })
                    .await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn weak_hashes_are_not_taken_s12() {
    let (app, idp) = start().await;
    const REASON: &str = "saml_alg";
    const RSA_SHA1: &str = "http://www.w3.org/2000/09/xmldsig#rsa-sha1";
    const SHA1: &str = "http://www.w3.org/2000/09/xmldsig#sha1";
    let named = |from: &str, to: &str| after(&format!("Algorithm=\"{from}\""), &format!("Algorithm=\"{to}\""));
    let (rsa_sha256, sha256) = (crate::support::RSA_SHA256, crate::support::SHA256);
    let rows: Vec<(&str, &str, Spoil<'_>)> = vec![
        ("a good digest by SHA-1", REASON, Box::new(form(|form| form.digest = SHA1.to_owned()))),
        ("RSA with SHA-1", REASON, Box::new(named(rsa_sha256, RSA_SHA1))),
        ("RSA with MD5", REASON, Box::new(named(rsa_sha256, "http://www.w3.org/2001/04/xmldsig-more#rsa-md5"))),
        ("DSA", REASON, Box::new(named(rsa_sha256, "http://www.w3.org/2000/09/xmldsig#dsa-sha1"))),
        ("a digest by MD5", REASON, Box::new(named(sha256, "http://www.w3.org/2001/04/xmldsig-more#md5"))),
        ("nobody's", REASON, Box::new(named(rsa_sha256, "urn:x:none"))),
    ];
    refused(&app, &idp, &rows).await;
    for signing in Signing::ALL {
        let sha512 = form(|form| {
            form.method = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512".to_owned();
            form.digest = "http://www.w3.org/2001/04/xmlenc#sha512".to_owned();
        });
        SamlTrial::new(&app, &idp).signing(signing).accepts("SHA-512", sha512).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_does_not_fit_is_none_s13() {
    let (app, idp) = start().await;
    const REASON: &str = "saml_sig";
    /// Changes what stands between two marks, everywhere.
    fn inside(from: &'static str, to: &'static str, change: fn(&str) -> String) -> impl Fn(&mut Words) {
        move |words| {
            words.after(move |xml| {
                let mut parts = xml.split(from);
                let first = parts.next().unwrap().to_owned();
                parts.fold(first, |out, part| {
                    let (value, rest) = part.split_once(to).unwrap();
                    format!("{out}{from}{}{to}{rest}", change(value))
                })
            });
        }
    }
    let value = |change| inside("<ds:SignatureValue>", "</ds:SignatureValue>", change);
    let digest = |change| inside("<ds:DigestValue>", "</ds:DigestValue>", change);
    let turned = |value: &str| {
        let first = if value.starts_with('A') { "B" } else { "A" };
        format!("{first}{}", &value[1..])
    };
    let rows: Vec<(&str, &str, Spoil<'_>)> = vec![
        ("another digest", REASON, Box::new(digest(turned))),
        ("another value", REASON, Box::new(value(turned))),
        ("an empty value", REASON, Box::new(value(|_| String::new()))),
        ("an empty digest", REASON, Box::new(digest(|_| String::new()))),
        ("half a value", REASON, Box::new(value(|value| value[..value.len() / 8 * 4].to_owned()))),
        ("a longer value", REASON, Box::new(value(|value| format!("AAAA{value}")))),
        (
            "a digest of nothing",
            REASON,
            Box::new(digest(|_| "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".to_owned())),
        ),
        ("no Base64", REASON, Box::new(value(|_| "!".to_owned()))),
        ("another person", REASON, Box::new(after("persistent-carol", "persistent-boss"))),
        ("another address", REASON, Box::new(after("carol@initech.com", "boss@initech.com"))),
    ];
    refused(&app, &idp, &rows).await;
}
