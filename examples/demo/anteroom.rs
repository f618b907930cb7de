//! The real Anteroom, as a child process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::{interval, timeout};

use crate::args::{Ports, loopback};

/// A debug build under load takes a moment; a start that takes longer is broken.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// Longer than Anteroom needs to finish what is in flight on one person's machine.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Lines of Anteroom's output to show when it died.
const TAIL: usize = 40;

/// What to start, and where it writes.
pub(crate) struct Plan {
    pub(crate) binary: PathBuf,
    pub(crate) config: PathBuf,
    /// Directory for the keys, the database and the log; made if missing.
    pub(crate) state: PathBuf,
    pub(crate) ports: Ports,
}

/// A running Anteroom. Dropping it kills the process.
pub(crate) struct Anteroom {
    child: Child,
    pub(crate) log: PathBuf,
}

impl Plan {
    /// Starts the process; the error is a sentence for the terminal.
    pub(crate) fn start(&self) -> Result<Anteroom, String> {
        if !self.binary.is_file() {
            return Err(format!(
                "There is no Anteroom at {}.\nBuild it (cargo build --bin anteroom), or say where it is: --anteroom FILE.",
                self.binary.display()
            ));
        }
        let log = self.state.join("anteroom.log");
        let file = std::fs::create_dir_all(&self.state)
            .and_then(|()| File::create(&log))
            .map_err(|cause| format!("Cannot write {}: {cause}.", log.display()))?;
        let errors = file.try_clone().map_err(|cause| format!("Cannot write {}: {cause}.", log.display()))?;
        let child = Command::new(&self.binary)
            .arg("serve")
            .arg("--config")
            .arg(&self.config)
            .envs(self.environment())
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(errors)
            .kill_on_drop(true)
            .spawn()
            .map_err(|cause| format!("Cannot start {}: {cause}.", self.binary.display()))?;
        Ok(Anteroom { child, log })
    }

    /// Settings laid over the file: where keys and database go, and the addresses when the demo was moved to other ports.
    fn environment(&self) -> Vec<(&'static str, String)> {
        // In a URL: these two mean something else there.
        let database = self.state.join("anteroom.db").display().to_string().replace('%', "%25").replace('?', "%3F");
        let mut settings = vec![
            ("ANTEROOM__KEYS__DIR", self.state.join("keys").display().to_string()),
            ("ANTEROOM__DIRECTORY__URL", format!("sqlite://{database}")),
        ];
        let ports = self.ports;
        if !ports.is_standard() {
            settings.extend([
                ("ANTEROOM__SERVER__LISTEN", loopback(ports.anteroom()).to_string()),
                ("ANTEROOM__SERVER__PUBLIC_URL", ports.portal_url()),
                ("ANTEROOM__OPS__LISTEN", loopback(ports.ops()).to_string()),
                ("ANTEROOM__APPS__PORTAL__UPSTREAM", format!("http://{}", loopback(ports.app()))),
                ("ANTEROOM__CONNECTORS__ACME_ENTRA__ISSUER", crate::entra::profile(ports).issuer),
                ("ANTEROOM__CONNECTORS__GLOBEX_GOOGLE__ISSUER", crate::google::profile(ports).issuer),
            ]);
        }
        settings
    }
}

impl Anteroom {
    /// Waits until `/readyz` answers 200; the error is text for the terminal, with Anteroom's own words in it.
    pub(crate) async fn ready(&mut self, ops_port: u16) -> Result<(), String> {
        let answers = async {
            let mut tick = interval(Duration::from_millis(100));
            loop {
                tick.tick().await;
                if is_ready(ops_port).await {
                    break;
                }
            }
        };
        tokio::select! {
            ended = self.child.wait() => Err(format!("Anteroom ended ({}).\n{}", words(ended), tail(&self.log).await)),
            within = timeout(READY_LIMIT, answers) => match within {
                Ok(()) => Ok(()),
                Err(_) => Err(format!(
                    "Anteroom was not ready within {} seconds.\n{}",
                    READY_LIMIT.as_secs(),
                    tail(&self.log).await
                )),
            },
        }
    }

    /// Ends only if the process ends by itself; the text says how, and Anteroom's last words.
    pub(crate) async fn ended(&mut self) -> String {
        let ended = self.child.wait().await;
        format!("Anteroom ended ({}).\n{}", words(ended), tail(&self.log).await)
    }

    /// SIGTERM, a bounded wait, then SIGKILL. When this returns the process is gone.
    pub(crate) async fn stop(mut self) {
        // `Child` can only kill. The shell's own `kill` is on every system; the process is not reaped before `wait`,
        // so its id cannot belong to another one.
        if let Some(pid) = self.child.id() {
            let _ = Command::new("/bin/sh")
                .args(["-c", &format!("kill -TERM {pid}")])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .await;
        }
        if timeout(STOP_LIMIT, self.child.wait()).await.is_err() {
            let _ = self.child.kill().await;
        }
    }
}

fn words(ended: std::io::Result<ExitStatus>) -> String {
    ended.map_or_else(|cause| cause.to_string(), |status| status.to_string())
}

/// One question to the operations listener; anything but a quick 200 is a no.
async fn is_ready(port: u16) -> bool {
    let ask = async {
        let stream = TcpStream::connect(loopback(port)).await.ok()?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
        let connection = tokio::spawn(connection);
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.uri_mut() = Uri::from_static("/readyz");
        request.headers_mut().insert(http::header::HOST, http::HeaderValue::from_static("localhost"));
        let status = sender.send_request(request).await.ok().map(|answer| answer.status());
        connection.abort();
        status
    };
    matches!(timeout(Duration::from_secs(2), ask).await, Ok(Some(StatusCode::OK)))
}

/// The end of a log, for the terminal.
async fn tail(log: &Path) -> String {
    let text = tokio::fs::read(log).await.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines.get(lines.len().saturating_sub(TAIL)..).unwrap_or_default();
    if last.is_empty() {
        return format!("It said nothing; its log is {}.", log.display());
    }
    format!("Its last words, from {}:\n  {}", log.display(), last.join("\n  "))
}
