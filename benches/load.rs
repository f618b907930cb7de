//! The load generator: N keep-alive connections, each sending its next request when its last answer is complete (closed
//! loop), or when its time has come (`--rate`). Raw HTTP/1.1 on one thread, so that it costs less than what it measures. Every answer must have the expected
//! status and length: a refusal, a redirect to the sign-in page or a cut-off body ends its connection and fails the run,
//! instead of counting as speed. Prints one line of JSON.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

/// The longest answer head read, in bytes.
const HEAD: usize = 16 * 1024;

#[derive(Parser)]
struct Flags {
    /// The proxy.
    #[arg(long)]
    target: SocketAddr,
    /// The Host field.
    #[arg(long)]
    host: String,
    /// The path and query of every request.
    #[arg(long, default_value = "/reports/2024/overview?page=3")]
    path: String,
    #[arg(long, default_value_t = 64)]
    connections: usize,
    /// How long to send, in seconds; requests under way are still finished.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Requests a second of all connections together, at even distances; as many as there are answers if it is left out.
    /// A request that has to wait for the answer to the one before is late, and its latency counts from when it should
    /// have been sent.
    #[arg(long)]
    rate: Option<f64>,
    /// A file with one session cookie, `name=value`, a line.
    #[arg(long)]
    cookies: PathBuf,
    /// Use only this many of them, from the top.
    #[arg(long)]
    first: usize,
    /// Which one a request carries.
    #[arg(long, value_enum)]
    pick: Pick,
    /// The status that every answer must have.
    #[arg(long, default_value_t = 200)]
    status: u16,
    /// The Content-Length that every answer must have.
    #[arg(long, default_value_t = 1024)]
    length: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Pick {
    RoundRobin,
    Random,
}

/// What is printed. Latencies are in microseconds, from the first byte written to the last byte read.
#[derive(Serialize)]
struct Summary {
    requests: usize,
    seconds: f64,
    requests_per_second: f64,
    p50_us: f64,
    p99_us: f64,
    max_us: f64,
    errors: usize,
    first_error: Option<String>,
}

type Problem = Box<dyn std::error::Error>;

#[expect(clippy::disallowed_methods, reason = "reads its cookies and times its requests; no part of the product")]
fn main() -> Result<std::process::ExitCode, Problem> {
    let flags = Flags::parse();
    let file = std::fs::read_to_string(&flags.cookies)?;
    let cookies: Vec<String> = file.lines().take(flags.first).map(str::to_owned).collect();
    if cookies.len() < flags.first {
        return Err(format!("{} has {} cookies, not {}", flags.cookies.display(), cookies.len(), flags.first).into());
    }
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
    let plan = Rc::new(Plan::new(&flags, cookies));
    let (latencies, errors, seconds) = runtime.block_on(async {
        let mut streams = Vec::new();
        for _ in 0..flags.connections {
            let stream = TcpStream::connect(flags.target).await?;
            stream.set_nodelay(true)?;
            streams.push(stream);
        }
        let start = Instant::now();
        let until = start + Duration::from_secs_f64(flags.seconds);
        let every = flags.rate.map(|rate| Duration::from_secs_f64(1.0 / rate));
        let tasks: Vec<_> = (0..)
            .zip(streams)
            .map(|(turn, stream)| {
                let pace =
                    every.map(|every| Pace { next: start + every * turn, every: every * count(flags.connections) });
                spawn_local(connection(stream, Rc::clone(&plan), pace, until))
            })
            .collect();
        let mut latencies = Vec::new();
        let mut errors = Vec::new();
        for task in tasks {
            let mut outcome = task.await?;
            latencies.append(&mut outcome.latencies);
            errors.extend(outcome.error);
        }
        Ok::<_, Problem>((latencies, errors, start.elapsed().as_secs_f64()))
    })?;
    let summary = summarise(latencies, errors, seconds);
    serde_json::to_writer(std::io::stdout(), &summary)?;
    Ok(if summary.errors == 0 { std::process::ExitCode::SUCCESS } else { std::process::ExitCode::FAILURE })
}

#[expect(clippy::cast_precision_loss, reason = "counts and nanoseconds of a short run")]
fn summarise(mut latencies: Vec<u32>, errors: Vec<String>, seconds: f64) -> Summary {
    latencies.sort_unstable();
    let requests = latencies.len();
    let rank = |share: usize| latencies.get((requests * share / 100).min(requests.saturating_sub(1)));
    let micros = |nanos: Option<&u32>| nanos.map_or(0.0, |&nanos| f64::from(nanos) / 1000.0);
    Summary {
        requests,
        seconds,
        requests_per_second: requests as f64 / seconds,
        p50_us: micros(rank(50)),
        p99_us: micros(rank(99)),
        max_us: micros(latencies.last()),
        errors: errors.len(),
        first_error: errors.into_iter().next(),
    }
}

/// What one connection has to tell: nanoseconds per request, exact, and what ended it early.
struct Outcome {
    latencies: Vec<u32>,
    error: Option<String>,
}

fn count(connections: usize) -> u32 {
    u32::try_from(connections).unwrap_or(u32::MAX)
}

/// When a connection sends.
struct Pace {
    next: Instant,
    every: Duration,
}

impl Pace {
    /// Waits for the next turn. When that request began: now, or when it should have.
    #[expect(clippy::disallowed_methods, reason = "times its requests; no part of the product")]
    async fn turn(&mut self) -> Instant {
        let turn = self.next;
        self.next += self.every;
        if Instant::now() >= turn {
            return turn;
        }
        // Some tenths of a millisecond late: the timer's fault and not the proxy's.
        tokio::time::sleep_until(turn.into()).await;
        Instant::now()
    }
}

#[expect(clippy::disallowed_methods, reason = "times its requests; no part of the product")]
async fn connection(mut stream: TcpStream, plan: Rc<Plan>, mut pace: Option<Pace>, until: Instant) -> Outcome {
    let mut outcome = Outcome { latencies: Vec::with_capacity(64 * 1024), error: None };
    let (mut request, mut answer) = (Vec::with_capacity(HEAD), Vec::with_capacity(HEAD));
    let mut begun = Instant::now();
    while begun < until {
        if let Some(pace) = &mut pace {
            begun = pace.turn().await;
            if begun >= until {
                break;
            }
        }
        plan.write_next(&mut request);
        if let Err(error) = exchange(&mut stream, &request, &mut answer, &plan).await {
            outcome.error = Some(format!("after {} answers: {error}", outcome.latencies.len()));
            break;
        }
        let ended = Instant::now();
        outcome.latencies.push(u32::try_from((ended - begun).as_nanos()).unwrap_or(u32::MAX));
        begun = ended;
    }
    outcome
}

/// Sends one request and reads one whole answer.
async fn exchange(stream: &mut TcpStream, request: &[u8], answer: &mut Vec<u8>, plan: &Plan) -> Result<(), String> {
    stream.write_all(request).await.map_err(|error| error.to_string())?;
    answer.clear();
    let mut expected = None;
    loop {
        if stream.read_buf(answer).await.map_err(|error| error.to_string())? == 0 {
            return Err("the connection was closed in mid-answer".into());
        }
        if expected.is_none() {
            expected = plan.check_head(answer)?;
        }
        match expected {
            Some(whole) if answer.len() == whole => return Ok(()),
            Some(whole) if answer.len() > whole => return Err("more was answered than asked".into()),
            _ => {}
        }
    }
}

/// The requests to send and the answers to expect; shared by all connections.
struct Plan {
    before_cookie: Vec<u8>,
    after_cookie: Vec<u8>,
    cookies: Vec<String>,
    pick: Pick,
    /// The position in the round, or the state of a xorshift generator: the same sequence in every run.
    turn: RefCell<u64>,
    status: u16,
    length: usize,
}

impl Plan {
    /// Eleven request header fields, as Chromium sends them on a navigation within a site.
    fn new(flags: &Flags, cookies: Vec<String>) -> Self {
        let Flags { host, path, .. } = flags;
        let before_cookie = format!(
            "GET {path} HTTP/1.1\r\n\
             Host: {host}\r\n\
             Connection: keep-alive\r\n\
             User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n\
             Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n\
             Sec-Fetch-Site: same-origin\r\n\
             Sec-Fetch-Mode: navigate\r\n\
             Sec-Fetch-Dest: document\r\n\
             Referer: http://{host}/reports\r\n\
             Accept-Encoding: gzip, deflate, br, zstd\r\n\
             Accept-Language: en-GB,en;q=0.9,de;q=0.8\r\n\
             Cookie: theme=dark; "
        );
        let after_cookie = "; LEGACYSESSID=4f1c0a5be2d94c7f8a63b1d27e905c38\r\n\r\n";
        Self {
            before_cookie: before_cookie.into(),
            after_cookie: after_cookie.into(),
            cookies,
            pick: flags.pick,
            turn: RefCell::new(0x9E37_79B9_7F4A_7C15),
            status: flags.status,
            length: flags.length,
        }
    }

    fn write_next(&self, request: &mut Vec<u8>) {
        let mut turn = self.turn.borrow_mut();
        *turn = match self.pick {
            Pick::RoundRobin => turn.wrapping_add(1),
            Pick::Random => {
                let mut x = *turn;
                x ^= x << 13;
                x ^= x >> 7;
                x ^ (x << 17)
            }
        };
        let index = usize::try_from(*turn % (self.cookies.len() as u64)).unwrap_or_default();
        request.clear();
        request.extend_from_slice(&self.before_cookie);
        request.extend_from_slice(self.cookies.get(index).map(String::as_bytes).unwrap_or_default());
        request.extend_from_slice(self.after_cookie.as_slice());
    }

    /// The length of the whole answer, once its head is there; an error if the head is not the expected one.
    fn check_head(&self, answer: &[u8]) -> Result<Option<usize>, String> {
        let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
            return if answer.len() < HEAD { Ok(None) } else { Err("the answer's head is too long".into()) };
        };
        let head = answer.get(..end).and_then(|head| std::str::from_utf8(head).ok()).ok_or("the head is not text")?;
        let mut lines = head.split("\r\n");
        let status_line = lines.next().unwrap_or_default();
        let status = status_line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|s| s.parse().ok());
        let length = lines.find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        if status == Some(self.status) && length == Some(self.length) {
            Ok(Some(end + 4 + self.length))
        } else {
            Err(format!("expected {} with {} bytes, got `{status_line}` with {length:?}", self.status, self.length))
        }
    }
}
