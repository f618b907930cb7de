use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Barrier;

use super::*;
use crate::base::clock::Clock;
use crate::base::keys::KeyFileError;
use crate::connector::saml::certificate::fixtures::rsa;

fn now() -> Timestamp {
    // 2026-11-22T12:00:00Z
    Timestamp::from_secs(1_795_348_800)
}

fn open(dir: &Path) -> Result<OwnKeys, ProviderError> {
    OwnKeys::open(dir, None, None, "app.example.com", now())
}

fn why(result: Result<OwnKeys, ProviderError>) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.reason(), "saml_key_unusable");
    error.detail().unwrap().1.to_owned()
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.filter(|name| name != ".lock").collect();
    names.sort();
    names
}

#[expect(clippy::disallowed_methods, reason = "a test looks at what was written")]
fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// A pair as the text of one file.
fn made(name: &str) -> Zeroizing<String> {
    let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    let certificate = certificate(&key, name, now()).unwrap();
    Zeroizing::new(key.serialize_pem() + &certificate)
}

fn write(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn files(path: &Path) -> ClientCertificate {
    ClientCertificate::new(path.to_owned(), path.to_owned())
}

#[test]
fn the_first_start_makes_private_keys_and_the_second_finds_them() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("state/keys");
    OwnKeys::check(&dir, None, None).unwrap();
    assert!(!dir.exists(), "check writes nothing");
    let first = open(&dir).unwrap().published().unwrap();
    assert_eq!(names(&dir), ["saml-decryption.pem", "saml-signing.pem"], "and no temporary file");
    for name in names(&dir) {
        assert_eq!(fs::metadata(dir.join(&name)).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(text(&dir.join(&name)).starts_with("-----BEGIN PRIVATE KEY-----"), "PKCS#8: {name}");
    }
    assert_ne!(first.signing[0], first.encryption, "one key for each use");
    let later = now().plus(Duration::from_secs(86_400 * 365));
    let second = OwnKeys::open(&dir, None, None, "other.example.com", later).unwrap().published().unwrap();
    assert_eq!((second.signing, second.encryption), (first.signing.clone(), first.encryption.clone()));
    OwnKeys::check(&dir, None, None).unwrap();

    let certificate = Certificate::parse(&first.signing[0]).unwrap();
    assert_eq!(certificate.subject(), "CN=app.example.com");
    assert_eq!(certificate.not_after().rfc3339(), "2036-11-21T00:00:00.000Z", "ten years");
    // The ring takes no notice of them, nor they of its keys.
    crate::base::keys::KeyRing::open(&dir, Duration::ZERO, Clock::manual(now())).unwrap();
    assert_eq!(open(&dir).unwrap().published().unwrap().signing, first.signing);
}

#[test]
fn processes_that_start_at_once_end_with_the_same_key() {
    let dir = tempfile::tempdir().unwrap();
    let start = Barrier::new(6);
    let texts: Vec<KeyText> = std::thread::scope(|scope| {
        let open = |i| {
            let (dir, start) = (dir.path(), &start);
            scope.spawn(move || {
                start.wait();
                SIGNING.read_or_make(dir, || Some(Zeroizing::new(format!("key {i}")))).unwrap()
            })
        };
        let handles: Vec<_> = (0..6).map(open).collect();
        handles.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert!(texts.iter().all(|text| *text == texts[0]));
    assert_eq!(text(&dir.path().join("saml-signing.pem")).as_bytes(), texts[0].as_slice());
}

#[test]
fn a_key_is_never_replaced() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "saml-decryption.pem", &made("d"));
    let honest = made("s");
    let (key, certificate) = honest.split_at(honest.find("-----BEGIN CERTIFICATE").unwrap());
    let other = made("other");
    let weak = KeyPair::generate().unwrap();
    let curve = weak.serialize_pem() + &certificate_of(&weak);
    for bad in [
        "",
        "not a key",
        key,
        certificate,
        &honest[..400],
        &format!("{}{certificate}", &other[..other.find("-----BEGIN CERTIFICATE").unwrap()]),
        &curve,
    ] {
        let path = write(dir.path(), "saml-signing.pem", bad);
        let found = why(open(dir.path()));
        assert!(found.contains("saml-signing.pem") && found.contains("never replaces"), "{found}");
        assert_eq!(text(&path), bad);
        assert!(OwnKeys::check(dir.path(), None, None).is_err());
    }
    write(dir.path(), "saml-signing.pem", &honest);
    open(dir.path()).unwrap();
    write(dir.path(), "saml-decryption.pem", &curve);
    assert!(why(open(dir.path())).contains("saml-decryption.pem"));
}

fn certificate_of(key: &KeyPair) -> String {
    CertificateParams::default().self_signed(key).unwrap().pem()
}

#[test]
fn where_a_key_cannot_be_made_the_operator_is_told_how() {
    let dir = tempfile::tempdir().unwrap();
    // A file where the directory should be: no user may write there, not even root.
    let path = write(dir.path(), "keys", "");
    for result in [open(&path.join("below")).map(drop), OwnKeys::check(&path.join("below"), None, None)] {
        let error = result.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert_eq!(error.reason(), "saml_key_unusable");
        assert!(source.contains("keys.dir"), "{source}");
    }
    let error =
        KeyFileError::NotWritable { dir: path, file: SIGNING, source: std::io::ErrorKind::ReadOnlyFilesystem.into() };
    let text = error.to_string();
    assert!(text.contains("openssl req -x509") && text.contains("saml-signing.pem"), "{text}");
}

#[test]
fn files_of_the_settings_stand_in_their_place_and_are_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, decryption) = (made("s"), made("d"));
    let at = write(dir.path(), "operator.pem", &signing);
    let other = write(dir.path(), "operator-decryption.pem", &decryption);
    let keys_dir = dir.path().join("keys");
    let open = || OwnKeys::open(&keys_dir, Some(&files(&at)), Some(&files(&other)), "x", now());
    let keys = open().unwrap();
    assert!(!keys_dir.exists(), "nothing is made that is not needed");
    let before = keys.signing().unwrap();
    assert!(Arc::ptr_eq(&before, &keys.signing().unwrap()), "unchanged files are not parsed again");
    let rolled = made("rolled");
    write(dir.path(), "operator.pem", &rolled);
    let after = keys.signing().unwrap();
    assert_ne!(after.certificate(), before.certificate());
    assert_eq!(keys.published().unwrap().signing, [after.certificate().clone()]);
    write(dir.path(), "operator.pem", "broken");
    assert_eq!(keys.signing().err().unwrap().reason(), "saml_key_unusable");
    assert!(open().is_err() && OwnKeys::check(&keys_dir, Some(&files(&at)), None).is_err());
}

#[test]
fn keys_are_rolled_over_without_a_gap_t47() {
    let dir = tempfile::tempdir().unwrap();
    let (signing, next) = (made("signing"), made("next"));
    let (decryption, old) = (made("decryption"), made("old"));
    write(dir.path(), "saml-signing.pem", &signing);
    write(dir.path(), "saml-signing-next.pem", &next);
    write(dir.path(), "saml-decryption.pem", &decryption);
    write(dir.path(), "saml-decryption-2026.pem", &old);
    write(dir.path(), "saml-signing.pem.bak", "not looked at");
    write(dir.path(), "saml-signing-nextpem", "not looked at");
    let keys = open(dir.path()).unwrap();
    let published = keys.published().unwrap();
    let subject = |der: &CertificateDer<'_>| Certificate::parse(der).unwrap().subject().to_owned();
    let signing: Vec<String> = published.signing.iter().map(subject).collect();
    assert_eq!(signing, ["CN=signing", "CN=next"]);
    assert_eq!(subject(keys.signing().unwrap().certificate()), "CN=signing", "the next one signs nothing yet");
    assert_eq!(subject(&published.encryption), "CN=decryption", "the one before is not shown");
    assert_eq!(format!("{:?}", keys.decryption().unwrap()), "DecryptionKeys(2)", "but opens");

    // From a made key to one of the operator's.
    let at = write(dir.path(), "operator.pem", &made("operator"));
    let keys = OwnKeys::open(dir.path(), None, Some(&files(&at)), "x", now()).unwrap();
    assert_eq!(subject(&keys.published().unwrap().encryption), "CN=operator");
    assert_eq!(format!("{:?}", keys.decryption().unwrap()), "DecryptionKeys(3)");
    write(dir.path(), "saml-decryption-2026.pem", "broken");
    assert!(open(dir.path()).is_err(), "not passed over: somebody would be shut out");
}

#[test]
fn a_name_too_long_for_a_certificate_is_ours() {
    let key = &rsa().key;
    let subject = |name: &str| {
        let pem = certificate(key, name, now()).unwrap();
        Certificate::parse(&CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap().subject().to_owned()
    };
    assert_eq!(subject(&"a".repeat(64)), format!("CN={}", "a".repeat(64)));
    assert_eq!(subject(&"a".repeat(65)), "CN=Anteroom");
    // The same for the same key, name and day.
    let (morning, evening) = (now(), now().plus(Duration::from_secs(3_600)));
    assert_eq!(certificate(key, "x", morning), certificate(key, "x", evening));
}
