//! An HTTP/1.1 client that sends exactly what it is told, byte by byte.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Nothing in a test takes this long.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A request, header by header in order.
#[derive(Clone, Debug)]
pub struct Ask {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Ask {
    /// A bare request for a path at `app.example.com`: what `curl` sends.
    pub fn get(target: &str) -> Self {
        Self {
            method: "GET".into(),
            target: target.into(),
            headers: vec![("Host".into(), "app.example.com".into())],
            body: vec![],
        }
    }

    /// A top-level navigation of a browser, typed into the address bar.
    pub fn page(target: &str) -> Self {
        Self::get(target)
            .with("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .with("Sec-Fetch-Mode", "navigate")
            .with("Sec-Fetch-Dest", "document")
            .with("Sec-Fetch-Site", "none")
    }

    /// A form that one of our own pages posts.
    pub fn form(target: &str, fields: &[(&str, &str)]) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        Self::page(target)
            .method("POST")
            .without("Sec-Fetch-Site")
            .with("Sec-Fetch-Site", "same-origin")
            .with("Origin", "https://app.example.com")
            .with("Content-Type", "application/x-www-form-urlencoded")
            .body(form.finish())
    }

    /// The same with another method.
    pub fn method(mut self, method: &str) -> Self {
        self.method = method.into();
        self
    }

    /// The same with one more header line.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same without a header.
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        self
    }

    /// The same with a body and its Content-Length.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        let length = self.body.len().to_string();
        self.without("Content-Length").with("Content-Length", &length)
    }

    /// The same for another host.
    pub fn host(self, host: &str) -> Self {
        self.without("Host").with("Host", host)
    }

    /// The same for another target.
    pub fn to(mut self, target: &str) -> Self {
        self.target = target.into();
        self
    }

    /// The bytes on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        let mut out = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        for (name, value) in &self.headers {
            out.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(&self.body);
        out
    }
}

/// An answer.
#[derive(Clone)]
pub struct Answer {
    pub status: u16,
    /// In order, names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = self.text();
        // A page's style sheet tells a reader nothing.
        let body = text.split_once("</style>").map_or(text.as_str(), |(_, body)| body);
        write!(f, "{} {:#?}\n{body}", self.status, self.headers)
    }
}

impl Answer {
    /// The header's value; panics if it is there twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values: Vec<&str> = self.all(name).collect();
        assert!(values.len() < 2, "{name} is there twice: {self:?}");
        values.first().copied()
    }

    /// All values of a header.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers.iter().filter(move |(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `Location`.
    pub fn location(&self) -> &str {
        self.header("location").unwrap_or_else(|| panic!("no Location in {self:?}"))
    }

    /// `X-Anteroom`: why Anteroom answered by itself; empty for an answer of the application.
    pub fn reason(&self) -> &str {
        self.header("x-anteroom").unwrap_or_default()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The `href`s of the page's links, unescaped.
    pub fn links(&self) -> Vec<String> {
        let text = self.text();
        let parts = text.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next());
        parts.map(|href| href.replace("&#38;", "&").replace("&amp;", "&")).collect()
    }

    /// The value of the page's hidden field.
    pub fn field(&self, name: &str) -> Option<String> {
        let text = self.text();
        let at = text.find(&format!("name=\"{name}\""))?;
        let tag = &text[text[..at].rfind('<')?..];
        let tag = &tag[..tag.find('>')?];
        tag.split("value=\"").nth(1)?.split('"').next().map(str::to_owned)
    }
}

/// Sends `bytes` on a connection of its own and gives back every byte until the server closes, half-closing our side
/// only after the answer began. For framing tests.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    tokio::time::timeout(PATIENCE, async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(bytes).await.unwrap();
        let mut out = Vec::new();
        let mut buffer = vec![0; 16 * 1024];
        // The first part shows that the request was read; then nothing more will come from us.
        let first = stream.read(&mut buffer).await.unwrap_or(0);
        out.extend_from_slice(&buffer[..first]);
        stream.shutdown().await.ok();
        while let Ok(count @ 1..) = stream.read(&mut buffer).await {
            out.extend_from_slice(&buffer[..count]);
        }
        out
    })
    .await
    .expect("an answer in time")
}

/// A keep-alive connection.
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub async fn open(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: vec![] }
    }

    /// Sends a request and reads its whole answer.
    pub async fn send(&mut self, ask: &Ask) -> Answer {
        self.write(&ask.bytes()).await;
        self.read(ask.method == "HEAD").await
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        // A server that has answered and closed already is not an error of the test's.
        self.stream.write_all(bytes).await.ok();
    }

    /// Reads one answer.
    pub async fn read(&mut self, head_only: bool) -> Answer {
        tokio::time::timeout(PATIENCE, self.read_answer(head_only)).await.expect("an answer in time")
    }

    async fn read_answer(&mut self, head_only: bool) -> Answer {
        let end = loop {
            if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            assert!(self.fill().await > 0, "closed within a head: {:?}", String::from_utf8_lossy(&self.buffer));
        };
        let head: Vec<u8> = self.buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        let mut lines = head.split("\r\n").filter(|line| !line.is_empty());
        let status: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap())
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        let mut answer = Answer { status, headers, body: vec![] };
        if head_only || status == 204 || status == 304 || status < 200 {
            return answer;
        }
        if answer.header("transfer-encoding") == Some("chunked") {
            answer.body = self.chunked().await;
        } else if let Some(length) = answer.header("content-length") {
            answer.body = self.exactly(length.parse().unwrap()).await;
        } else {
            while self.fill().await > 0 {}
            answer.body = std::mem::take(&mut self.buffer);
        }
        answer
    }

    async fn chunked(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = self.line().await;
            let size = usize::from_str_radix(line.split(';').next().unwrap().trim(), 16).unwrap();
            body.extend(self.exactly(size).await);
            self.line().await;
            if size == 0 {
                return body;
            }
        }
    }

    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|w| w == b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return String::from_utf8_lossy(&line[..end]).into_owned();
            }
            assert!(self.fill().await > 0, "closed within a body");
        }
    }

    /// Exactly this many bytes more.
    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.buffer.len() < count {
            assert!(self.fill().await > 0, "closed within a body: {} of {count}", self.buffer.len());
        }
        self.buffer.drain(..count).collect()
    }

    /// Whether the server closes the connection without sending anything more.
    pub async fn is_closed(&mut self) -> bool {
        self.buffer.is_empty() && tokio::time::timeout(PATIENCE, self.fill()).await.expect("a close in time") == 0
    }

    async fn fill(&mut self) -> usize {
        self.stream.read_buf(&mut self.buffer).await.unwrap_or(0)
    }
}

impl Connection {
    /// The other side of a connection, or one that was opened elsewhere.
    pub fn of(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![] }
    }

    /// One head, as text: a request's or an answer's.
    pub async fn head(&mut self) -> String {
        tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(end) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                    let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                    return String::from_utf8_lossy(&head).into_owned();
                }
                assert!(self.fill().await > 0, "closed within a head: {:?}", String::from_utf8_lossy(&self.buffer));
            }
        })
        .await
        .expect("a head in time")
    }

    /// Exactly these bytes.
    pub async fn expect(&mut self, bytes: &[u8]) {
        let read = tokio::time::timeout(PATIENCE, self.exactly(bytes.len())).await;
        assert_eq!(String::from_utf8_lossy(&read.expect("bytes in time")), String::from_utf8_lossy(bytes));
    }

    /// Everything until the other side closes or breaks off.
    pub async fn rest(&mut self) -> Vec<u8> {
        tokio::time::timeout(PATIENCE, async { while self.fill().await > 0 {} }).await.expect("an end in time");
        std::mem::take(&mut self.buffer)
    }

    /// Ends our side; the other may still send.
    pub async fn finish(&mut self) {
        self.stream.shutdown().await.ok();
    }

    /// Whether the other side has neither sent nor closed yet.
    pub fn is_quiet(&mut self) -> bool {
        let read = self.stream.try_read_buf(&mut self.buffer);
        self.buffer.is_empty() && matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }
}

impl Ask {
    /// A form that a page of the site at `origin` posts to us.
    pub fn posted_from(origin: &str, target: &str, fields: &[(&str, &str)]) -> Self {
        Self::form(target, fields)
            .without("Origin")
            .with("Origin", origin)
            .without("Sec-Fetch-Site")
            .with("Sec-Fetch-Site", "cross-site")
    }
}
