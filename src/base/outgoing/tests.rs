use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// Answers every connection with the same bytes, once it has read a request's head; keeps what it was sent.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `then_hang`: the connection stays open after the bytes.
    async fn start(answer: impl Into<Vec<u8>>, then_hang: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, heads) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, kept, answer) = (Arc::clone(&connections), Arc::clone(&heads), answer.into());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let (kept, answer) = (Arc::clone(&kept), answer.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        match stream.read_u8().await {
                            Ok(byte) => head.push(byte),
                            Err(_) => return,
                        }
                    }
                    kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                    // A client that has read enough hangs up: not this server's concern.
                    let _ = stream.write_all(&answer).await;
                    if then_hang {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        Self { address, connections, heads }
    }

    async fn with_body(headers: &str, body: &str) -> Self {
        Self::start(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len()), false).await
    }

    fn url(&self) -> String {
        format!("http://{}/x?secret", self.address)
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

const LIMITS: Limits = Limits { time: Duration::from_secs(10), body: 100 };

fn outgoing() -> Outgoing {
    Outgoing::new(&Settings::default()).unwrap()
}

async fn get(outgoing: &Outgoing, url: &str) -> Result<Answer, OutgoingError> {
    outgoing.get(url, "application/json", LIMITS).await
}

#[tokio::test]
async fn an_honest_answer_is_read_whole() {
    let server = Server::with_body("Content-Type: Application/JSON; charset=utf-8\r\n", "{}").await;
    let answer = get(&outgoing(), &server.url()).await.unwrap();
    assert_eq!((answer.status, &answer.body[..], answer.from), (StatusCode::OK, &b"{}"[..], AddressClass::Loopback));
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    let head = server.heads.lock().unwrap()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /x?secret http/1.1\r\n") && !head.contains("accept-encoding"));
}

#[tokio::test]
async fn localhost_names_are_this_machine_whatever_the_resolver_says() {
    let server = Server::with_body("", "ok").await;
    for host in ["localhost", "idp.localhost", "a.b.LOCALHOST"] {
        let answer = get(&outgoing(), &format!("http://{host}:{}/", server.address.port())).await.unwrap();
        assert_eq!(answer.from, AddressClass::Loopback, "{host}");
    }
}

#[tokio::test]
async fn a_public_document_leads_to_no_inner_address_o34() {
    let server = Server::with_body("", "ok").await;
    let port = server.address.port();
    let from_public = outgoing().reaching(Reach::NamedFrom(AddressClass::Public));
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "idp.localhost"] {
        let result = get(&from_public, &format!("http://{host}:{port}/")).await;
        assert!(matches!(result, Err(OutgoingError::AddressRefused { .. })), "{host}: {result:?}");
    }
    // Not plain addresses to us; some resolvers read them as 127.0.0.1.
    for host in ["2130706433", "0x7f.1", "017700000001"] {
        assert!(get(&from_public, &format!("http://{host}:{port}/")).await.is_err(), "{host}");
    }
    assert_eq!(server.connections(), 0, "judged before anything is sent");
    let from_loopback = outgoing().reaching(Reach::NamedFrom(AddressClass::Loopback));
    assert!(get(&from_loopback, &server.url()).await.is_ok());
}

#[tokio::test]
async fn an_open_connection_does_not_carry_a_call_that_may_not_go_there_o34() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok";
    let server = Server::start(answer, true).await;
    let written = outgoing();
    assert!(get(&written, &server.url()).await.is_ok());
    let named = written.reaching(Reach::NamedFrom(AddressClass::Public));
    let refused = get(&named, &server.url()).await.unwrap_err();
    assert!(matches!(refused, OutgoingError::AddressRefused { class: AddressClass::Loopback, .. }), "{refused:?}");
}

#[tokio::test]
async fn redirects_are_answers_and_nobody_follows_them_o27() {
    let target = Server::with_body("", "ok").await;
    let redirect = format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", target.url());
    let server = Server::start(redirect, false).await;
    assert_eq!(get(&outgoing(), &server.url()).await.unwrap().status, StatusCode::FOUND);
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn a_large_a_compressed_and_a_broken_answer_are_refused_o27() {
    let exact = Server::with_body("", &"x".repeat(100)).await;
    assert!(get(&outgoing(), &exact.url()).await.is_ok());
    let large = Server::with_body("", &"x".repeat(101)).await;
    assert!(matches!(get(&outgoing(), &large.url()).await, Err(OutgoingError::TooLarge { .. })));
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1_000));
    let endless = Server::start(endless, true).await;
    assert!(matches!(get(&outgoing(), &endless.url()).await, Err(OutgoingError::TooLarge { .. })));
    let gzip = Server::with_body("Content-Encoding: gzip\r\n", "bomb").await;
    assert!(matches!(get(&outgoing(), &gzip.url()).await, Err(OutgoingError::Encoded { .. })));
    let identity = Server::with_body("Content-Encoding: identity\r\n", "plain").await;
    assert!(get(&outgoing(), &identity.url()).await.is_ok());
    let broken = Server::start("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhalf", false).await;
    assert!(matches!(get(&outgoing(), &broken.url()).await, Err(OutgoingError::BrokenOff { .. })));
}

#[tokio::test]
async fn a_drip_without_end_ends_in_time_o27() {
    let limits = Limits { time: Duration::from_millis(100), body: 100 };
    let body = Server::start("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nx", true).await;
    let error = outgoing().get(&body.url(), "*/*", limits).await.unwrap_err();
    assert!(matches!(error, OutgoingError::TimedOut { answered: true, .. }) && error.answered(), "{error:?}");
    let silent = Server::start("", true).await;
    let error = outgoing().get(&silent.url(), "*/*", limits).await.unwrap_err();
    assert!(matches!(error, OutgoingError::TimedOut { answered: false, .. }) && !error.answered(), "{error:?}");
}

#[tokio::test]
async fn plain_http_stays_on_this_machine_unless_the_operator_says_otherwise() {
    let proxy = Server::with_body("", "ok").await;
    let settings =
        Settings { proxy: Some(format!("http://{}", proxy.address).parse().unwrap()), ..Settings::default() };
    let refused = get(&Outgoing::new(&settings).unwrap(), "http://idp.example.com/").await;
    assert!(matches!(refused, Err(OutgoingError::PlainHttp { .. })));
    assert_eq!(proxy.connections(), 0);
    let insecure = Outgoing::new(&Settings { insecure_http: true, ..settings }).unwrap();
    assert!(get(&insecure, "http://idp.example.com/").await.is_ok());
    for bad in ["ftp://idp.example.com/", "/path", "idp.example.com", "file:///etc/passwd"] {
        assert!(matches!(get(&insecure, bad).await, Err(OutgoingError::Url)), "{bad}");
    }
}

#[tokio::test]
async fn the_proxy_gets_absolute_form_for_http_and_connect_for_https() {
    let proxy = Server::with_body("", "ok").await;
    let url = format!("http://me:word@{}", proxy.address).parse().unwrap();
    let settings = Settings { proxy: Some(url), insecure_http: true, ..Settings::default() };
    let outgoing = Outgoing::new(&settings).unwrap();
    get(&outgoing, "http://idp.example.com/a?b").await.unwrap();
    // The "tunnel" then speaks no TLS.
    assert!(get(&outgoing, "https://idp.example.com/a?b").await.is_err());
    let heads: Vec<String> = proxy.heads.lock().unwrap().iter().map(|h| h.to_ascii_lowercase()).collect();
    assert!(heads[0].starts_with("get http://idp.example.com/a?b http/1.1\r\n"), "{}", heads[0]);
    assert!(heads[1].starts_with("connect idp.example.com:443 http/1.1\r\n"), "{}", heads[1]);
    assert!(heads.iter().all(|h| h.contains("proxy-authorization: basic ")));

    let direct = Server::with_body("", "ok").await;
    get(&outgoing, &direct.url()).await.unwrap();
    assert_eq!((proxy.connections(), direct.connections()), (2, 1), "this machine is reached directly");
    let named = outgoing.reaching(Reach::NamedFrom(AddressClass::Public));
    let refused = get(&named, "https://10.0.0.1/").await;
    assert!(matches!(refused, Err(OutgoingError::AddressRefused { .. })));
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn errors_name_the_host_and_never_the_query() {
    let error = get(&outgoing(), "http://127.0.0.1:1/x?canary").await.unwrap_err();
    assert!(matches!(error, OutgoingError::Unreachable { .. }));
    assert!(error.to_string().contains("127.0.0.1") && !format!("{error:?}").contains("canary"));
}

#[test]
fn a_certificate_file_that_cannot_be_used_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    let settings = Settings { ca_file: Some(path.clone()), ..Settings::default() };
    let error = |settings: &Settings| Outgoing::new(settings).map(|_| ()).unwrap_err().to_string();
    assert!(error(&settings).contains("ca.pem"));
    std::fs::write(&path, "no certificate\n").unwrap();
    assert!(error(&settings).contains("ca.pem"));
}

/// One TLS connection with a certificate for `idp.localhost` that only its own file vouches for.
fn tls_server() -> (SocketAddr, String) {
    let made = rcgen::generate_simple_self_signed(vec!["idp.localhost".into()]).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut tls =
                rustls::StreamOwned::new(rustls::ServerConnection::new(Arc::clone(&config)).unwrap(), stream.unwrap());
            let mut head = [0; 1_024];
            // A client that does not trust us hangs up within the handshake.
            if std::io::Read::read(&mut tls, &mut head).is_ok() {
                let _ = std::io::Write::write_all(&mut tls, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        }
    });
    (address, made.cert.pem())
}

#[tokio::test]
async fn a_certificate_counts_only_with_its_root_and_for_its_name() {
    let (address, pem) = tls_server();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ca.pem");
    std::fs::write(&path, pem).unwrap();
    let trusting = Outgoing::new(&Settings { ca_file: Some(path), ..Settings::default() }).unwrap();
    let url = |host: &str| format!("https://{host}:{}/", address.port());
    assert_eq!(get(&trusting, &url("idp.localhost")).await.unwrap().body, "ok");
    let stranger = get(&outgoing(), &url("idp.localhost")).await;
    assert!(matches!(stranger, Err(OutgoingError::Unreachable { .. })), "{stranger:?}");
    let other_name = get(&trusting, &url("other.localhost")).await;
    assert!(matches!(other_name, Err(OutgoingError::Unreachable { .. })), "{other_name:?}");
}

#[tokio::test]
async fn an_answer_tells_the_time_of_its_server() {
    let outgoing = Outgoing::new(&Settings::default()).unwrap();
    for (header, expected) in [
        ("Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n", Some(784_111_777)),
        ("", None),
        ("Date: yesterday\r\n", None),
        ("Date: 1994-11-06T08:49:37Z\r\n", None),
    ] {
        let server = Server::with_body(header, "x").await;
        let answer = get(&outgoing, &server.url()).await.unwrap();
        assert_eq!(answer.date, expected.map(Timestamp::from_secs), "{header:?}");
    }
}
