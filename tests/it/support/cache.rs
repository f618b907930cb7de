//! A real shared cache in front: nginx, set up to keep everything for ten minutes that its answer does not forbid.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::http::PATIENCE;

/// nginx, which ends with this value.
pub struct SharedCache {
    /// Where it listens.
    pub address: SocketAddr,
    nginx: Child,
    _dir: tempfile::TempDir,
}

impl SharedCache {
    /// In front of `origin`. The answer's `X-Cache` says whether it came from the cache: `HIT` or `MISS`.
    pub async fn start(origin: SocketAddr) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("nginx.sock");
        std::fs::write(dir.path().join("nginx.conf"), configuration(dir.path(), &socket, origin)).unwrap();
        let nginx = Command::new(program())
            .arg("-p")
            .arg(dir.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("nginx does not start ({error}): `ci/install test` installs it"));
        // It listens on a socket in its own directory, so that no two of them want one port; this one is the port.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let begin = tokio::time::Instant::now();
        while UnixStream::connect(&socket).await.is_err() {
            assert!(begin.elapsed() < PATIENCE, "nginx does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(relay(client, socket.clone()));
            }
        });
        Self { address, nginx, _dir: dir }
    }
}

impl Drop for SharedCache {
    fn drop(&mut self) {
        self.nginx.kill().ok();
        self.nginx.wait().ok();
    }
}

/// Debian keeps servers out of a user's path.
fn program() -> &'static str {
    if Path::new("/usr/sbin/nginx").exists() { "/usr/sbin/nginx" } else { "nginx" }
}

async fn relay(mut client: TcpStream, socket: std::path::PathBuf) {
    if let Ok(mut server) = UnixStream::connect(&socket).await {
        tokio::io::copy_bidirectional(&mut client, &mut server).await.ok();
    }
}

fn configuration(dir: &Path, socket: &Path, origin: SocketAddr) -> String {
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
    let temporary: String = temporary.iter().map(|kind| format!("  {kind}_temp_path {kind};\n")).collect();
    format!(
        "daemon off;\nmaster_process off;\npid nginx.pid;\nevents {{}}\nhttp {{\n  access_log off;\n{temporary}  \
         proxy_cache_path {cache} keys_zone=shared:1m;\n  server {{\n    listen unix:{socket};\n    location / {{\n      \
         proxy_pass http://{origin};\n      proxy_http_version 1.1;\n      proxy_set_header Host $http_host;\n      \
         proxy_set_header Connection \"\";\n      proxy_cache shared;\n      proxy_cache_key $http_host$request_uri;\n      \
         proxy_cache_valid any 10m;\n      add_header X-Cache $upstream_cache_status always;\n    }}\n  }}\n}}\n",
        cache = dir.join("cache").display(),
        socket = socket.display(),
    )
}
