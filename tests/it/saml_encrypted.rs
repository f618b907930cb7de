//! Assertions that are encrypted to us (security cases S14, S15).

use std::time::Duration;

use anteroom::directory::Directory;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{
    App, Ask, Cipher, Encrypted, SamlKey, SamlProvider, SamlTrial, Setup, Signing, Words, assertion, between,
};

async fn start(settings: &str) -> (App, SamlProvider, Vec<u8>) {
    let idp = SamlProvider::new("initech", "carol");
    let app = App::start_with(Setup::new().with(&idp.connector(settings)).directory(Directory::in_memory())).await;
    let metadata = app.send(&Ask::get("/.anteroom/saml/initech/metadata")).await.text();
    let key = metadata.split("<md:KeyDescriptor").find(|key| key.contains("use=\"encryption\"")).expect("a key");
    let text = key.split_once("X509Certificate>").unwrap().1.split_once('<').unwrap().0;
    let certificate = STANDARD.decode(text.split_whitespace().collect::<String>()).unwrap();
    (app, idp, certificate)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_assertion_signs_in_and_the_signature_still_counts_s14() {
    let (app, idp, certificate) = start("").await;
    let encrypted = |cipher| {
        let certificate = certificate.clone();
        move |words: &mut Words| words.encrypted = Some((cipher, certificate.clone()))
    };
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        trial.accepts("AES-GCM", encrypted(Cipher::Gcm)).await;
        trial.accepts("in clear", |_| {}).await;
        // Not unless the connector allows it, and RSA 1.5 never.
        trial.refuses("AES-CBC", 400, "saml_alg", encrypted(Cipher::Cbc)).await;
        trial.refuses("RSA 1.5", 400, "saml_alg", encrypted(Cipher::Rsa15)).await;
        trial
            .refuses("for somebody else", 400, "saml_decrypt", |words| {
                words.encrypted = Some((Cipher::Gcm, words.key.certificate.clone()));
            })
            .await;
        trial
            .refuses("changed", 400, "saml_decrypt", |words| {
                encrypted(Cipher::Gcm)(words);
                words.signing = Signing::Assertion;
                words.after(|xml| {
                    let value = xml.rsplit_once("<xenc:CipherValue>").unwrap().1.split_once('<').unwrap().0.to_owned();
                    let mut bytes = STANDARD.decode(&value).unwrap();
                    bytes[40] ^= 1;
                    xml.replace(&value, &STANDARD.encode(bytes))
                });
            })
            .await;
    }
    // Anybody can encrypt to our public key.
    let trial = SamlTrial::new(&app, &idp).signing(Signing::Nothing);
    let mut browser = app.browser();
    let asked = trial.begin(&mut browser).await;
    let mut words = trial.words(&asked);
    encrypted(Cipher::Gcm)(&mut words);
    let watch = trial.watch(&browser, &asked, "");
    let answer = trial.post(&mut browser, &asked, &words).await;
    watch.refused("unsigned", &browser, &answer, 400, "saml_unsigned");
    // What is wrong within is told, since the provider itself says it.
    let trial = trial.signing(Signing::Assertion);
    trial
        .refuses("another audience", 400, "saml_audience", |words| {
            encrypted(Cipher::Gcm)(words);
            words.audience = "https://other.example.com".to_owned();
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_encryption_is_wanted_clear_text_is_refused() {
    let (app, idp, certificate) = start("want_encrypted = true\nallow_aes_cbc = true").await;
    for signing in Signing::ALL {
        let trial = SamlTrial::new(&app, &idp).signing(signing);
        for cipher in [Cipher::Gcm, Cipher::Cbc] {
            trial.accepts("encrypted", |words| words.encrypted = Some((cipher, certificate.clone()))).await;
        }
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let watch = trial.watch(&browser, &asked, "");
        let answer = trial.post(&mut browser, &asked, &trial.words(&asked)).await;
        watch.refused("in clear", &browser, &answer, 400, "saml_not_encrypted");
    }
}

/// A connector that allows AES-CBC, as Entra needs it, tells nothing of what came out: one page and one event for every
/// ciphertext that somebody else has touched, and after sixty a minute none at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_touched_ciphertext_gets_one_answer_whatever_came_out_s15() {
    let (app, idp, certificate) = start("allow_aes_cbc = true").await;
    let trial = SamlTrial::new(&app, &idp).signing(Signing::Assertion);
    trial.accepts("AES-CBC", |words| words.encrypted = Some((Cipher::Cbc, certificate.clone()))).await;
    let mut pages = std::collections::BTreeSet::new();
    let mut rows = 0;
    let mut touch = async |row: &str, change: &dyn Fn(&mut Encrypted, &str)| {
        let mut browser = app.browser();
        let asked = trial.begin(&mut browser).await;
        let xml = trial.words(&asked).response();
        let clear = assertion(&xml).to_owned();
        let mut encrypted = Encrypted::new(&clear, &certificate, Cipher::Cbc);
        change(&mut encrypted, &clear);
        let xml = xml.replace(&clear, &encrypted.element());
        let watch = trial.watch(&browser, &asked, &xml);
        let answer = browser.send_from_elsewhere(trial.ask(&xml, asked.relay_state.as_deref())).await;
        let event = watch.refused(row, &browser, &answer, 400, "saml_decrypt");
        let reference = answer.header("x-request-id").unwrap().to_owned();
        let retry = between(&answer.text(), "rd=", "\"").unwrap_or_default().to_owned();
        pages.insert((
            answer.text().replace(&reference, ""),
            event["found"].to_string(),
            event["expected"].to_string(),
            retry,
        ));
        rows += 1;
    };
    for at in 0..16 {
        touch("initialisation vector", &|encrypted, _| encrypted.data[at] ^= 1).await;
        touch("first block", &|encrypted, _| encrypted.data[16 + at] ^= 1).await;
        touch("last block: padding", &|encrypted, _| {
            let from = encrypted.data.len() - 32;
            encrypted.data[from + at] ^= 0x55;
        })
        .await;
    }
    touch("a block less", &|encrypted, _| encrypted.data.truncate(encrypted.data.len() - 16)).await;
    touch("half a block", &|encrypted, _| encrypted.data.truncate(encrypted.data.len() - 8)).await;
    touch("no block", &|encrypted, _| encrypted.data.truncate(16)).await;
    touch("no vector", &|encrypted, _| encrypted.data.truncate(3)).await;
    touch("nothing", &|encrypted, _| encrypted.data.clear()).await;
    for at in [0, 1, 100, 255] {
        touch("content key", &|encrypted, _| encrypted.key[at] ^= 1).await;
    }
    touch("half a content key", &|encrypted, _| encrypted.key.truncate(128)).await;
    touch("no content key", &|encrypted, _| encrypted.key.clear()).await;
    // Good ciphertexts of what nobody signed.
    let other = |text: String| {
        move |encrypted: &mut Encrypted, certificate: &Vec<u8>| {
            *encrypted = Encrypted::new(&text, certificate, Cipher::Cbc);
        }
    };
    for text in [
        "<x/>".to_owned(),
        "no XML".to_owned(),
        "<saml:Assertion/>".to_owned(),
        "<a>".to_owned(),
        "<!-- x -->".to_owned(),
    ] {
        let change = other(text);
        touch("another text", &|encrypted, _| change(encrypted, &certificate)).await;
    }
    touch("another person", &|encrypted, clear| {
        *encrypted = Encrypted::new(&clear.replace("carol", "boss"), &certificate, Cipher::Cbc);
    })
    .await;
    assert!(rows > 60);
    assert_eq!(pages.len(), 1, "all answers are the same: {pages:#?}");
}

/// A provider changes its certificate from one moment to the next: what it encrypts and signs with the new one is taken at
/// once, though nothing outside of the ciphertext says which key that is (S15, S30).
#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_assertion_by_a_new_key_is_taken_as_soon_as_the_metadata_has_it_s30() {
    let (app, idp, certificate) = start("allow_aes_cbc = true").await;
    let trial = SamlTrial::new(&app, &idp).signing(Signing::Assertion);
    let (mut known, mut other) = (SamlKey::number(0), SamlKey::number(1));
    for cipher in [Cipher::Cbc, Cipher::Gcm] {
        let by = |key: &'static SamlKey| {
            let certificate = certificate.clone();
            move |words: &mut Words| {
                words.encrypted = Some((cipher, certificate));
                words.key = key;
            }
        };
        let reason = if cipher == Cipher::Gcm { "saml_key_untrusted" } else { "saml_decrypt" };
        idp.publish(move |metadata| metadata.keys = vec![known]);
        app.advance(Duration::from_secs(31));
        trial.accepts("the key of the metadata", by(known)).await;
        trial.refuses("a stranger's", 400, reason, by(other)).await;
        app.advance(Duration::from_secs(31));
        trial.accepts("the key of the metadata, read again", by(known)).await;
        idp.publish(move |metadata| metadata.keys = vec![other]);
        trial.accepts("the new key", by(other)).await;
        std::mem::swap(&mut known, &mut other);
    }
}
