//! Judging a place on disk before anything is written there, for `anteroom check`.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use rustix::fs::{Access, access};

/// Whether files could be made in `dir`: it, or where it is missing the nearest directory above it, can be written.
///
/// # Errors
/// Why not.
pub fn check_writable(dir: &Path) -> io::Result<()> {
    let mut existing = dir;
    let found = loop {
        match fs::metadata(existing) {
            Ok(found) => break found,
            Err(error) if error.kind() == ErrorKind::NotFound => existing = existing.parent().ok_or(error)?,
            Err(error) => return Err(error),
        }
    };
    if !found.is_dir() {
        return Err(ErrorKind::NotADirectory.into());
    }
    Ok(access(existing, Access::WRITE_OK | Access::EXEC_OK)?)
}
