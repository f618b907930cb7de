//! The application behind the measured proxies, as cheap as it can be made: one thread, no HTTP library, one read and
//! one write per request. Answers every GET with 1,024 bytes, and `/echo` with the request's head as it arrived, so
//! that the driver can see what a proxy really forwards. It takes requests without a body only.

use std::net::SocketAddr;

use clap::Parser;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::task::spawn_local;

/// The length of an answer's body, in bytes.
const LENGTH: usize = 1024;
/// The longest request head read, in bytes; a longer one ends the connection.
const HEAD: usize = 16 * 1024;

#[derive(Parser)]
struct Flags {
    /// Where proxies connect.
    #[arg(long)]
    listen: SocketAddr,
}

fn main() -> std::io::Result<()> {
    let flags = Flags::parse();
    Builder::new_current_thread().enable_io().build_local(LocalOptions::default())?.block_on(async {
        let listener = TcpListener::bind(flags.listen).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            // An error here is a proxy that closed the connection.
            spawn_local(serve(stream));
        }
    })
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let page = answer("text/html; charset=utf-8", &[b'x'; LENGTH]);
    let mut received = Vec::with_capacity(HEAD);
    loop {
        while let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = received.split_off(end + 4);
            if received.starts_with(b"GET /echo ") {
                stream.write_all(&answer("text/plain", &received)).await?;
            } else if received.starts_with(b"GET ") {
                stream.write_all(&page).await?;
            } else {
                return Ok(());
            }
            received.clear();
            received.extend_from_slice(&rest);
        }
        if received.len() >= HEAD || stream.read_buf(&mut received).await? == 0 {
            return Ok(());
        }
    }
}

/// An answer with the fields that an application's page usually has.
fn answer(content_type: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\n\
         Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n\
         Server: legacy\r\n\
         Content-Type: {content_type}\r\n\
         Content-Length: {}\r\n\
         Cache-Control: private, no-cache\r\n\
         \r\n",
        body.len()
    )
    .into_bytes();
    answer.extend_from_slice(body);
    answer
}
