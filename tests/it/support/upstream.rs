//! An application that records every byte of every request, and answers as a test tells it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::http::{Connection, PATIENCE};

/// One request as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recorded {
    pub method: String,
    pub target: String,
    /// In order, names as sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came on.
    pub connection: usize,
}

impl Recorded {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str()).collect()
    }

    /// The header's value; panics if it is there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there twice: {self:?}");
        all.first().copied()
    }
}

type Reply = Arc<dyn Fn(&Recorded) -> Vec<u8> + Send + Sync>;

/// An application; it ends with the test's runtime.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
    reply: Arc<Mutex<Reply>>,
}

impl Upstream {
    /// Answers `200` with the body `the application`.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reply: Reply = Arc::new(|_| answer(200, &[("Content-Type", "text/plain")], "the application"));
        let upstream = Self { address, requests: Arc::default(), reply: Arc::new(Mutex::new(reply)) };
        let serving = upstream.clone();
        tokio::spawn(async move {
            let mut number = 0;
            while let Ok((stream, _)) = listener.accept().await {
                number += 1;
                tokio::spawn(serving.clone().serve(stream, number));
            }
        });
        upstream
    }

    /// Answers with these bytes from now on; an empty answer closes the connection.
    pub fn reply(&self, reply: impl Fn(&Recorded) -> Vec<u8> + Send + Sync + 'static) {
        *self.reply.lock().unwrap() = Arc::new(reply);
    }

    /// The requests so far.
    pub fn requests(&self) -> Vec<Recorded> {
        self.requests.lock().unwrap().clone()
    }

    /// How many requests there were.
    pub fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }

    /// The last request.
    pub fn last(&self) -> Recorded {
        self.requests().pop().expect("a request reached the application")
    }

    async fn serve(self, mut stream: TcpStream, connection: usize) {
        let mut buffer = Vec::new();
        while let Some(recorded) = read(&mut stream, &mut buffer, connection).await {
            let reply = self.reply.lock().unwrap().clone();
            let bytes = reply(&recorded);
            self.requests.lock().unwrap().push(recorded);
            if bytes.is_empty() || stream.write_all(&bytes).await.is_err() {
                return;
            }
        }
    }
}

/// An HTTP/1.1 answer with its Content-Length.
pub fn answer(status: u16, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut out = format!("HTTP/1.1 {status} Whatever\r\n");
    for (name, value) in headers {
        out.push_str(&format!("{name}: {value}\r\n"));
    }
    out.push_str(&format!("Content-Length: {}\r\n\r\n{body}", body.len()));
    out.into_bytes()
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>, connection: usize) -> Option<Recorded> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    // Latin-1, so that every byte is kept.
    let head: String = head.iter().map(|b| char::from(*b)).collect();
    let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
    let mut first = lines.next()?.splitn(3, ' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.strip_prefix(' ').unwrap_or(value).to_owned()))
        .collect();
    let mut recorded = Recorded { method, target, headers, body: vec![], connection };
    if recorded.all("transfer-encoding") == ["chunked"] {
        loop {
            let line = line(stream, buffer).await?;
            let size = usize::from_str_radix(line.trim(), 16).ok()?;
            recorded.body.extend(exactly(stream, buffer, size).await?);
            if size == 0 {
                // Trailers, if any, are recorded as headers with a mark.
                loop {
                    let trailer = self::line(stream, buffer).await?;
                    match trailer.split_once(':') {
                        Some((name, value)) => {
                            recorded.headers.push((format!("trailer {name}"), value.trim().to_owned()));
                        }
                        None => break,
                    }
                }
                break;
            }
            self::line(stream, buffer).await?;
        }
    } else if let Some(length) = recorded.header("content-length").map(str::to_owned) {
        recorded.body = exactly(stream, buffer, length.parse().ok()?).await?;
    }
    Some(recorded)
}

async fn line(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = buffer.windows(2).position(|w| w == b"\r\n") {
            let line: Vec<u8> = buffer.drain(..end + 2).collect();
            return Some(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn exactly(stream: &mut TcpStream, buffer: &mut Vec<u8>, count: usize) -> Option<Vec<u8>> {
    while buffer.len() < count {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    Some(buffer.drain(..count).collect())
}

/// An application whose every byte a test writes by hand.
pub struct Backend {
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Backend {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { address: listener.local_addr().unwrap(), listener }
    }

    /// The next connection.
    pub async fn accept(&self) -> Connection {
        let accepted = tokio::time::timeout(PATIENCE, self.listener.accept()).await;
        Connection::of(accepted.expect("a connection in time").unwrap().0)
    }

    /// Whether nobody has connected since the last [`Backend::accept`].
    pub async fn is_alone(&self) -> bool {
        futures_util::poll!(std::pin::pin!(self.listener.accept())).is_pending()
    }
}
