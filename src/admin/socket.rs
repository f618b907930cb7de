//! The socket's file: made private without a moment in which it is not, never over a living process's, gone at the end.

use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};

use crate::base::app_log::error_chain;
use crate::base::place;
use crate::base::random;
use crate::config::AdminSocket;

/// How long a living process may take to take a connection.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why there is no admin socket. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The system takes no path of that length.
    #[error(
        "{} is too long a path for a Unix socket: at most {} bytes, of which the directory has at most {}; set \
         ops.admin_socket", path.display(), AdminSocket::MAX, AdminSocket::MAX_DIR
    )]
    TooLong { path: PathBuf },
    /// Something that is no socket stands there.
    #[error("{} is there and is no socket: move it away, or set ops.admin_socket", path.display())]
    NotASocket { path: PathBuf },
    /// A process answers there.
    #[error(
        "another process answers at {}: is Anteroom running already? Each process needs an ops.admin_socket of its own",
        path.display()
    )]
    InUse { path: PathBuf },
    /// The system refused.
    #[error("cannot make the admin socket {}: let Anteroom's user write there, or set ops.admin_socket", path.display())]
    Io { path: PathBuf, source: io::Error },
}

/// A listening admin socket. Its file goes with it.
#[derive(Debug)]
pub struct Socket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and number of our file: another's that took its place stays.
    file: (u64, u64),
}

/// Opens the socket that is configured. One in the default place that cannot be made is a warning and `None`: commands
/// will not reach this process, and it runs all the same.
///
/// # Errors
/// One that is written in the configuration cannot be made.
pub async fn open(configured: &AdminSocket) -> Result<Option<Socket>, SocketError> {
    match Socket::bind(&configured.path).await {
        Ok(socket) => Ok(Some(socket)),
        Err(error) if configured.is_written => Err(error),
        Err(error) => {
            tracing::warn!(
                error = error_chain(&error),
                "no admin socket: anteroom's commands cannot reach this process"
            );
            Ok(None)
        }
    }
}

/// Whether [`open`] could make the socket, for `anteroom check`. Writes and asks nothing, so a process that answers
/// there is not seen.
///
/// # Errors
/// Its path or its directory.
pub fn check(configured: &AdminSocket) -> Result<(), SocketError> {
    let path = &configured.path;
    let dir = directory(path)?;
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket { path: path.clone() }),
        Ok(_) | Err(_) => {}
    }
    place::check_writable(dir).map_err(|source| SocketError::Io { path: path.clone(), source })
}

/// The directory of a path that the system takes.
fn directory(path: &Path) -> Result<&Path, SocketError> {
    let dir = path.parent().unwrap_or(Path::new("/"));
    if AdminSocket::fits(path) { Ok(dir) } else { Err(SocketError::TooLong { path: path.to_owned() }) }
}

impl Socket {
    /// Listens at `path`, for its owner alone (0600). Makes the directory (0700) if there is none, and takes the place
    /// of a socket whose process is gone.
    ///
    /// # Errors
    /// See [`SocketError`]; nothing that is there is removed, but for a dead socket.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let dir = directory(path)?;
        let fail = |source| SocketError::Io { path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(fail)?;
        match fs::symlink_metadata(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(fail(error)),
            Ok(found) if !found.file_type().is_socket() => {
                return Err(SocketError::NotASocket { path: path.to_owned() });
            }
            Ok(_) if lives(path).await => return Err(SocketError::InUse { path: path.to_owned() }),
            Ok(_) => {}
        }
        let (listener, file) = listen(dir, path).map_err(fail)?;
        Ok(Self { listener, path: path.to_owned(), file })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes the socket in a directory that nobody else can enter, and moves it to its place when it is as it should be.
fn listen(dir: &Path, path: &Path) -> io::Result<(UnixListener, (u64, u64))> {
    let private = Private(dir.join(format!(".{}", random::token::<6>())));
    DirBuilder::new().mode(0o700).create(&private.0)?;
    let made = private.0.join("s");
    let listener = UnixListener::bind(&made)?;
    fs::set_permissions(&made, Permissions::from_mode(0o600))?;
    let found = fs::symlink_metadata(&made)?;
    fs::rename(&made, path)?;
    Ok((listener, (found.dev(), found.ino())))
}

/// Whether a process takes connections there. Everything but a clear no is a yes.
async fn lives(path: &Path) -> bool {
    match tokio::time::timeout(PATIENCE, UnixStream::connect(path)).await {
        Ok(Err(error)) => !matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::NotFound),
        Ok(Ok(_)) | Err(_) => true,
    }
}

/// A directory that does not outlive its use.
struct Private(PathBuf);

impl Drop for Private {
    fn drop(&mut self) {
        // Empty after the socket moved out. What cannot be removed stays hidden and closed to others.
        let _gone = fs::remove_dir_all(&self.0);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.file);
        if ours {
            // If it stays, the next start sees that nobody answers.
            let _gone = fs::remove_file(&self.path);
        }
    }
}
