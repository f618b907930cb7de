//! `[ops]`: for those who run Anteroom: probes, metrics, the admin socket.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::parse::{Context, socket};
use super::problem::Place;
use super::read::{At, section};

/// `[ops]`
#[derive(Clone, Debug)]
pub struct Ops {
    /// `/livez`, `/readyz`, `/metrics`; never on the data listener.
    pub listen: SocketAddr,
    /// Where commands reach the running process.
    pub admin_socket: AdminSocket,
}

/// The Unix socket of the commands that ask or change a running process.
#[derive(Clone, Debug)]
pub struct AdminSocket {
    /// Absolute. One that was written is at most [`AdminSocket::MAX`] bytes long.
    pub path: PathBuf,
    /// Whether it was written. A default place that cannot be used is no reason not to start.
    pub is_written: bool,
}

impl AdminSocket {
    /// The longest path of a Unix socket in bytes (unix(7): `sun_path` has 108, with its end).
    pub const MAX: usize = 107;
    /// The longest path of its directory in bytes: the socket is made in a private directory inside it, whose name and
    /// file take the rest.
    pub const MAX_DIR: usize = 95;
    /// Its name in the default place.
    const FILE: &'static str = "anteroom.sock";

    /// Whether the system takes the path, and the one at which the socket is made.
    pub fn fits(path: &Path) -> bool {
        let length = |path: &Path| path.as_os_str().len();
        length(path) <= Self::MAX && path.parent().is_none_or(|dir| length(dir) <= Self::MAX_DIR)
    }
}

section! {
    /// For those who run Anteroom: probes, metrics, the admin socket.
    RawOps {
        /// Address and port of `/livez`, `/readyz` and `/metrics`. Never the data listener.
        #[schemars(extend("default" = "127.0.0.1:9090"))]
        listen: String,
        /// The Unix socket over which commands such as `anteroom session list` reach the running process; at most 107
        /// bytes, of which its directory has at most 95. Only Anteroom's user and root may use it. Default: `anteroom.sock` beside the SQLite file of
        /// directory.url, or with PostgreSQL in keys.dir. Each process needs one of its own.
        admin_socket: String,
    }
}

impl RawOps {
    /// The section, and where its address stands. `default_dir` is where the admin socket is if it is not written; its
    /// outer `None` was reported.
    pub(super) fn resolve(raw: At<Self>, default_dir: Option<&Path>, cx: &mut Context<'_>) -> Option<At<Ops>> {
        let At { value: raw, place } = raw;
        let listen_place: Place = raw.listen.set().map_or_else(|| place.child("listen"), |at| at.place.clone());
        let listen = raw.listen.parse(cx.report, |text| socket(text)).or(SocketAddr::from(([127, 0, 0, 1], 9090)));
        let written = cx.path(raw.admin_socket).parse(cx.report, |path| {
            if AdminSocket::fits(path) {
                return Ok(path.clone());
            }
            let (length, path, max, dir) =
                (path.as_os_str().len(), path.display(), AdminSocket::MAX, AdminSocket::MAX_DIR);
            Err(format!("{path} has {length} bytes; allowed: at most {max}, of which the directory has at most {dir}"))
        });
        let admin_socket = match written.optional()? {
            Some(path) => AdminSocket { path, is_written: true },
            None => AdminSocket { path: default_dir?.join(AdminSocket::FILE), is_written: false },
        };
        Some(At { value: Ops { listen: listen?, admin_socket }, place: listen_place })
    }
}
