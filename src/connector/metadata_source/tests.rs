use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex as SyncMutex;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use super::*;
use crate::base::outgoing::Settings;
use crate::config::{AcsUrl, AttributeNames, MetadataFrom, PublicUrl, Requirement, SamlPreset};
use crate::connector::saml::certificate::Certificate;
use crate::connector::saml::certificate::fixtures::{Made, rsa};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn clock() -> Clock {
    // 2026-11-22T12:00:00Z
    Clock::manual(Timestamp::from_secs(1_795_348_800))
}

/// A provider's metadata with these certificates; `attributes` of the entity.
pub(super) fn document(certificates: &[&Made], attributes: &str) -> String {
    let keys: String = certificates
        .iter()
        .map(|made| {
            format!(
                "<KeyDescriptor use=\"signing\"><KeyInfo xmlns=\"http://www.w3.org/2000/09/xmldsig#\"><X509Data>\
                 <X509Certificate>{}</X509Certificate></X509Data></KeyInfo></KeyDescriptor>",
                made.base64()
            )
        })
        .collect();
    format!(
        "<EntityDescriptor xmlns=\"urn:oasis:names:tc:SAML:2.0:metadata\" entityID=\"https://idp.acme.com/\" {attributes}>\
         <IDPSSODescriptor protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">{keys}\
         <SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" \
         Location=\"https://idp.acme.com/sso\"/></IDPSSODescriptor></EntityDescriptor>"
    )
}

pub(in crate::connector) fn config(from: MetadataFrom, certificate: Option<PathBuf>) -> SamlConnector {
    let origin = "https://app.example.com";
    let host =
        PublicUrl { origin: origin.into(), host: "app.example.com".into(), port: 443, https: true, loopback: false };
    SamlConnector {
        preset: SamlPreset::Generic,
        name: "Acme".into(),
        metadata: from,
        metadata_certificate: certificate,
        idp_entity_id: None,
        entity_id: origin.into(),
        acs: AcsUrl { url: format!("{origin}/acs"), host, path: "/acs".into() },
        sign_requests: None,
        request_binding: None,
        want_encrypted: false,
        allow_aes_cbc: false,
        allow_idp_initiated: false,
        name_id_format: None,
        attributes: AttributeNames::default(),
        requirement: Requirement::default(),
        signing: None,
        decryption: None,
    }
}

fn source(from: MetadataFrom, certificate: Option<PathBuf>, clock: &Clock) -> MetadataSource {
    let outgoing = Outgoing::new(&Settings::default()).unwrap();
    MetadataSource::new("acme".parse().unwrap(), &config(from, certificate), false, outgoing, clock.clone())
}

fn from_file(path: &Path, clock: &Clock) -> MetadataSource {
    source(MetadataFrom::File(path.to_owned()), None, clock)
}

async fn subjects(source: &MetadataSource) -> Vec<String> {
    let metadata = source.current().await.unwrap();
    metadata.certificates.iter().map(|certificate| certificate.subject().to_owned()).collect()
}

async fn why(source: &MetadataSource) -> &'static str {
    source.current().await.err().map_or("accepted", |e| e.reason())
}

/// A place on loopback with a document, that counts how often it is asked.
struct Server {
    address: SocketAddr,
    answer: Arc<SyncMutex<(StatusCode, String)>>,
    asked: Arc<AtomicU64>,
    /// How far a clock moves while it answers.
    takes: Arc<SyncMutex<Option<(Clock, Duration)>>>,
}

impl Server {
    async fn start(document: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(SyncMutex::new((StatusCode::OK, document)));
        let asked = Arc::new(AtomicU64::new(0));
        let takes = Arc::new(SyncMutex::new(None::<(Clock, Duration)>));
        let server =
            Self { address, answer: Arc::clone(&answer), asked: Arc::clone(&asked), takes: Arc::clone(&takes) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, asked, takes) = (Arc::clone(&answer), Arc::clone(&asked), Arc::clone(&takes));
                let service = service_fn(move |_: Request<hyper::body::Incoming>| {
                    asked.fetch_add(1, Ordering::Relaxed);
                    if let Some((clock, by)) = &*takes.lock().unwrap() {
                        clock.advance(*by);
                    }
                    let (status, body) = answer.lock().unwrap().clone();
                    let response = Response::builder().status(status).body(Full::new(Bytes::from(body)));
                    async move { Ok::<_, Infallible>(response.unwrap()) }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        server
    }

    fn from(&self) -> MetadataFrom {
        MetadataFrom::Url(format!("http://{}/metadata", self.address).parse().unwrap())
    }

    fn answer(&self, status: StatusCode, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    fn takes(&self, clock: &Clock, by: Duration) {
        *self.takes.lock().unwrap() = Some((clock.clone(), by));
    }
}

#[tokio::test]
async fn a_document_is_as_old_as_the_beginning_of_its_fetch() {
    let (server, clock) = (Server::start(document(&[&Made::new("a", 2030)], "")).await, clock());
    let source = source(server.from(), None, &clock);
    server.takes(&clock, schedule::URL_EVERY / 2);
    source.refresh().await;
    source.refresh().await;
    assert_eq!(server.asked(), 1, "not before it is due");
    clock.advance(schedule::URL_EVERY / 2);
    source.refresh().await;
    assert_eq!(server.asked(), 2);
}

/// S30: a provider changes its certificate from one moment to the next.
#[tokio::test]
async fn an_unknown_key_is_looked_for_at_once_and_at_most_every_thirty_seconds() {
    let (old, new) = (document(&[&Made::new("old", 2029)], ""), document(&[&Made::new("new", 2030)], ""));
    let (server, clock) = (Server::start(old.clone()).await, clock());
    let source = source(server.from(), None, &clock);
    let known = source.current().await.unwrap();
    let names = |metadata: Option<Arc<IdpMetadata>>| {
        metadata.map(|metadata| metadata.certificates[0].subject().to_owned()).unwrap_or_default()
    };
    assert_eq!((names(source.look_for_key(&known).await), server.asked()), (String::new(), 2), "the same document");
    server.answer(StatusCode::OK, &new);
    clock.advance(UNKNOWN_KEY_FLOOR - Duration::from_millis(1));
    assert_eq!((names(source.look_for_key(&known).await), server.asked()), (String::new(), 2), "not yet again");
    clock.advance(Duration::from_millis(1));
    assert_eq!((names(source.look_for_key(&known).await), server.asked()), ("CN=new".into(), 3));
    // Whoever still has the old one gets it without another look.
    assert_eq!((names(source.look_for_key(&known).await), server.asked()), ("CN=new".into(), 3));
    let known = source.current().await.unwrap();
    clock.advance(UNKNOWN_KEY_FLOOR);
    for (status, body) in [(StatusCode::INTERNAL_SERVER_ERROR, old.as_str()), (StatusCode::OK, "<x/>")] {
        let asked = server.asked();
        server.answer(status, body);
        assert_eq!((names(source.look_for_key(&known).await), server.asked()), (String::new(), asked + 1), "{body}");
        assert_eq!(subjects(&source).await, ["CN=new"], "the last good one stays");
        // A look that failed counts.
        assert_eq!((names(source.look_for_key(&known).await), server.asked()), (String::new(), asked + 1), "{body}");
        clock.advance(UNKNOWN_KEY_FLOOR);
    }
}

#[tokio::test]
async fn a_removed_certificate_is_refused_at_once_after_the_next_read_s30() {
    let dir = tempfile::tempdir().unwrap();
    let (path, clock) = (dir.path().join("metadata.xml"), clock());
    let (old, new) = (Made::new("old", 2029), Made::new("new", 2030));
    fs::write(&path, document(&[&old], "")).unwrap();
    let source = from_file(&path, &clock);
    assert!(source.cached().is_none() && source.expires().is_none(), "nothing is read before it is needed");
    assert_eq!(subjects(&source).await, ["CN=old"]);
    fs::write(&path, document(&[&old, &new], "")).unwrap();
    assert_eq!(subjects(&source).await, ["CN=old"], "not at each use");
    clock.advance(schedule::FILE_EVERY);
    assert_eq!(subjects(&source).await, ["CN=old", "CN=new"], "both, while both are published");
    fs::write(&path, document(&[&new], "")).unwrap();
    clock.advance(schedule::FILE_EVERY);
    assert_eq!(subjects(&source).await, ["CN=new"]);
    assert_eq!(source.expires(), Certificate::parse(&new.der).map(|certificate| certificate.not_after()));
}

#[tokio::test]
async fn a_refused_document_does_not_replace_a_good_one() {
    let dir = tempfile::tempdir().unwrap();
    let (path, clock) = (dir.path().join("metadata.xml"), clock());
    let good = document(&[&Made::new("good", 2030)], "");
    fs::write(&path, &good).unwrap();
    let source = from_file(&path, &clock);
    assert_eq!(why(&source).await, "accepted");
    for (bad, reason) in [
        (document(&[], ""), "saml_no_signing_key"),
        (good.replace("https://idp.acme.com/sso", "http://idp.acme.com/sso"), "saml_metadata_rejected"),
        (document(&[&Made::new("new", 2030)], "validUntil=\"2026-11-22T00:00:00Z\""), "saml_metadata_expired"),
        (String::from("<html></html>"), "saml_metadata_rejected"),
    ] {
        fs::write(&path, &bad).unwrap();
        for _ in 0..3 {
            clock.advance(schedule::FILE_EVERY);
            assert_eq!(subjects(&source).await, ["CN=good"], "{reason}");
        }
        // From the start it makes no working connector.
        assert_eq!(why(&from_file(&path, &clock)).await, reason);
    }
    fs::remove_file(&path).unwrap();
    clock.advance(schedule::FILE_EVERY);
    assert_eq!(subjects(&source).await, ["CN=good"]);
    assert_eq!(why(&from_file(&path, &clock)).await, "saml_metadata_unavailable");
    assert_eq!(why(&from_file(dir.path(), &clock)).await, "saml_metadata_unavailable", "a directory");
    fs::write(&path, document(&[&Made::new("back", 2030)], "")).unwrap();
    clock.advance(schedule::FILE_EVERY);
    assert_eq!(subjects(&source).await, ["CN=back"]);
}

#[tokio::test]
async fn a_document_that_expires_while_in_use_counts_no_more_s29() {
    let dir = tempfile::tempdir().unwrap();
    let (path, clock) = (dir.path().join("metadata.xml"), clock());
    fs::write(&path, document(&[&Made::new("a", 2030)], "validUntil=\"2026-11-22T12:00:03Z\"")).unwrap();
    let source = from_file(&path, &clock);
    assert_eq!(why(&source).await, "accepted");
    clock.advance(2 * SECOND);
    assert_eq!(why(&source).await, "accepted");
    clock.advance(SECOND);
    assert_eq!(why(&source).await, "saml_metadata_expired");
    assert!(source.cached().is_none());
    fs::write(&path, document(&[&Made::new("a", 2030)], "validUntil=\"2027-01-01T00:00:00Z\"")).unwrap();
    clock.advance(schedule::FILE_EVERY);
    assert_eq!(why(&source).await, "accepted");
}

#[tokio::test]
async fn a_url_is_polled_and_a_use_never_waits_for_that() {
    let (old, new) = (Made::new("old", 2029), Made::new("new", 2030));
    let (server, clock) = (Server::start(document(&[&old], "")).await, clock());
    let source = source(server.from(), None, &clock);
    source.refresh().await;
    assert_eq!((subjects(&source).await, server.asked()), (vec!["CN=old".to_owned()], 1));
    server.answer(StatusCode::OK, &document(&[&new], ""));
    clock.advance(schedule::URL_EVERY - 10 * MINUTE);
    source.refresh().await;
    assert_eq!(server.asked(), 1, "not before it is due");
    clock.advance(10 * MINUTE);
    assert_eq!(subjects(&source).await, ["CN=old"], "the one at hand");
    // The fetch behind that use, or this one, brings the new one.
    source.refresh().await;
    drop(source.0.flight.lock().await);
    assert_eq!(subjects(&source).await, ["CN=new"]);
    assert_eq!(server.asked(), 2);
}

/// S30; T63: whoever signs with a key of their own makes nobody fetch again and again.
#[tokio::test]
async fn an_unknown_key_is_looked_for_at_once_and_then_not_for_a_while() {
    let (old, new) = (Made::new("old", 2029), Made::new("new", 2030));
    let (server, clock) = (Server::start(document(&[&old], "")).await, clock());
    let source = source(server.from(), None, &clock);
    let known = source.current().await.unwrap();
    for _ in 0..50 {
        assert!(source.look_for_key(&known).await.is_none());
    }
    assert_eq!(server.asked(), 2, "once for all of them");
    server.answer(StatusCode::OK, &document(&[&old, &new], ""));
    clock.advance(UNKNOWN_KEY_FLOOR);
    let newer = source.look_for_key(&known).await.unwrap();
    assert_eq!((newer.certificates.len(), server.asked()), (2, 3));
    // Whoever judged by the old document a moment ago is given what is at hand.
    assert!(Arc::ptr_eq(&source.look_for_key(&known).await.unwrap(), &newer));
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn the_provider_says_how_often_within_bounds() {
    for (attributes, early, due) in [
        ("cacheDuration=\"PT2H\"", HOUR, 2 * HOUR),
        ("cacheDuration=\"PT1S\"", 4 * MINUTE, 5 * MINUTE),
        ("cacheDuration=\"P30D\"", 20 * HOUR, DAY),
        // It is replaced before it expires.
        ("validUntil=\"2026-11-22T13:00:00Z\"", 20 * MINUTE, 30 * MINUTE),
        ("cacheDuration=\"P1D\" validUntil=\"2026-11-22T12:06:00Z\"", 4 * MINUTE, 5 * MINUTE),
    ] {
        let server = Server::start(document(&[&Made::new("a", 2030)], attributes)).await;
        let clock = clock();
        let source = source(server.from(), None, &clock);
        assert_eq!(why(&source).await, "accepted");
        clock.advance(early);
        source.refresh().await;
        assert_eq!(server.asked(), 1, "{attributes}");
        clock.advance(due - early);
        source.refresh().await;
        assert_eq!(server.asked(), 2, "{attributes}");
    }
}

#[tokio::test]
async fn a_place_that_is_away_is_not_hammered_and_the_last_good_document_stays() {
    let good = document(&[&Made::new("good", 2030)], "validUntil=\"2026-11-24T12:00:00Z\"");
    let (server, clock) = (Server::start(String::new()).await, clock());
    server.answer(StatusCode::BAD_GATEWAY, "");
    let source = source(server.from(), None, &clock);
    for _ in 0..5 {
        assert_eq!(why(&source).await, "saml_metadata_unavailable");
    }
    assert_eq!(server.asked(), 1, "one failure is the answer to everybody");
    clock.advance(5 * SECOND);
    assert_eq!(why(&source).await, "saml_metadata_unavailable");
    clock.advance(5 * SECOND);
    assert_eq!(why(&source).await, "saml_metadata_unavailable");
    assert_eq!(server.asked(), 2, "the second wait is longer");
    server.answer(StatusCode::OK, &good);
    clock.advance(10 * SECOND);
    assert_eq!((why(&source).await, server.asked()), ("accepted", 3), "at once for the first who comes");

    server.answer(StatusCode::NOT_FOUND, "");
    clock.advance(DAY);
    source.refresh().await;
    source.refresh().await;
    assert_eq!((why(&source).await, server.asked()), ("accepted", 4));
    clock.advance(DAY);
    assert_eq!(why(&source).await, "saml_metadata_expired", "to its end and no longer");
    server.answer(StatusCode::OK, &good.replace("11-24", "12-24"));
    clock.advance(10 * MINUTE);
    assert_eq!(why(&source).await, "accepted");
}

#[tokio::test]
async fn a_document_that_expired_between_polls_is_fetched_by_the_use() {
    let dated = |until: &str| document(&[&Made::new("a", 2030)], &format!("validUntil=\"{until}\""));
    let (server, clock) = (Server::start(dated("2026-11-22T12:04:00Z")).await, clock());
    let source = source(server.from(), None, &clock);
    assert_eq!(why(&source).await, "accepted");
    server.answer(StatusCode::OK, &dated("2027-11-22T12:00:00Z"));
    clock.advance(4 * MINUTE);
    assert_eq!((why(&source).await, server.asked()), ("accepted", 2));
}

#[tokio::test]
async fn answers_that_are_no_document_are_refused_s29() {
    let (server, clock) = (Server::start(String::new()).await, clock());
    let large = " ".repeat(5 * 1024 * 1024);
    for (status, body, reason) in [
        (StatusCode::OK, "<html></html>", "saml_metadata_rejected"),
        (StatusCode::FOUND, "", "saml_metadata_rejected"),
        (StatusCode::NOT_FOUND, "", "saml_metadata_rejected"),
        (StatusCode::TOO_MANY_REQUESTS, "", "saml_metadata_unavailable"),
        (StatusCode::INTERNAL_SERVER_ERROR, "", "saml_metadata_unavailable"),
        (StatusCode::OK, &large, "saml_metadata_rejected"),
    ] {
        server.answer(status, body);
        assert_eq!(why(&source(server.from(), None, &clock)).await, reason, "{status}");
    }
    let plain = MetadataFrom::Url("http://idp.invalid/metadata".parse().unwrap());
    assert_eq!(why(&source(plain, None, &clock)).await, "saml_metadata_rejected", "plain http off loopback");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = MetadataFrom::Url(format!("http://{nobody}/").parse().unwrap());
    assert_eq!(why(&source(nobody, None, &clock)).await, "saml_metadata_unavailable");
}

#[tokio::test]
async fn a_pinned_certificate_is_read_from_its_file_s29() {
    use crate::connector::saml::dsig::{SigningKey, sign};
    let dir = tempfile::tempdir().unwrap();
    let (path, pinned, clock) = (dir.path().join("metadata.xml"), dir.path().join("pinned"), clock());
    let made = rsa();
    let pem = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", made.base64());
    let key = SigningKey::from_pem(pem.as_bytes(), made.key.serialize_pem().as_bytes()).unwrap();
    let signed = sign(&document(&[&Made::new("a", 2030)], "ID=\"_m\""), "_m", &key).unwrap();
    fs::write(&path, &signed).unwrap();
    let source = || source(MetadataFrom::File(path.clone()), Some(pinned.clone()), &clock);
    assert_eq!(why(&source()).await, "saml_metadata_unavailable", "no such file");
    for (content, reason) in [
        (pem.clone().into_bytes(), "accepted"),
        (made.der.to_vec(), "accepted"),
        ([Made::new("other", 2030).der.to_vec()].concat(), "saml_metadata_rejected"),
        (b"no certificate".to_vec(), "saml_metadata_rejected"),
        (Vec::new(), "saml_metadata_rejected"),
    ] {
        fs::write(&pinned, &content).unwrap();
        assert_eq!(why(&source()).await, reason);
    }
    // Another pin judges the same document anew, and one that is refused does not replace what was accepted.
    fs::write(&pinned, &pem).unwrap();
    let source = source();
    assert_eq!(why(&source).await, "accepted");
    fs::write(&pinned, &Made::new("other", 2030).der).unwrap();
    clock.advance(schedule::FILE_EVERY);
    source.refresh().await;
    assert_eq!(source.0.flight.lock().await.failed.as_ref().unwrap().reason(), "saml_metadata_rejected");
    assert_eq!(why(&source).await, "accepted");
}

#[tokio::test]
async fn an_expired_certificate_is_trusted_as_long_as_the_metadata_has_it_t47() {
    let dir = tempfile::tempdir().unwrap();
    let (path, clock) = (dir.path().join("metadata.xml"), clock());
    fs::write(&path, document(&[&Made::new("soon", 2026), &Made::new("later", 2030)], "")).unwrap();
    let source = from_file(&path, &clock);
    clock.advance(40 * DAY);
    assert_eq!(subjects(&source).await, ["CN=soon", "CN=later"]);
    assert!(source.expires().unwrap() < clock.now(), "for the metric");
}
