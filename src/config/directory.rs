//! `[directory]`: the database of what must outlive a process.

use std::io;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use secrecy::ExposeSecret as _;
use url::Url;

use super::parse::Context;
use super::problem::{Place, Report, Source};
use super::read::{At, section};
use super::secrets::{self, SecretText};
use crate::base::net::is_loopback_host;
use crate::base::secret::Secret;

/// `[directory]`
#[derive(Clone, Debug)]
pub struct Directory {
    pub location: DirectoryLocation,
}

/// Where the directory database is.
#[derive(Clone, Debug)]
pub enum DirectoryLocation {
    /// The absolute path of a SQLite file, for one process. Made at the first start; its directory is not.
    Sqlite(PathBuf),
    /// A `postgres://` URL, for one or more processes.
    Postgres(Secret),
}

section! {
    /// The database of sessions and of everything else that must outlive a process.
    RawDirectory {
        /// `sqlite://` and a path, for one process (three slashes: an absolute path; a relative one counts from the
        /// configuration file), or `postgres://user:password@host/database` for several.
        #[schemars(extend("default" = "sqlite://anteroom.db"))]
        url: SecretText,
        /// A file that holds the URL of a PostgreSQL database; read again at each connection, so that the password can
        /// be rotated. Never beside url.
        url_file: String,
    }
}

const DEFAULT: &str = "anteroom.db";
const SQLITE: &str =
    "allowed: \"sqlite://\" and the path of a file, such as \"sqlite:///var/lib/anteroom/anteroom.db\"";
const POSTGRES: &str = "allowed: \"postgres://user:password@host/database\"";

impl RawDirectory {
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Option<Directory> {
        let At { value: raw, place } = raw;
        let at = |field: Option<&Place>, key| field.cloned().unwrap_or_else(|| place.child(key));
        let url_place = at(raw.url.set().map(|at| &at.place), "url");
        let file_place = at(raw.url_file.set().map(|at| &at.place), "url_file");
        let base = match &url_place.source {
            Source::Environment(_) | Source::Flag(_) => cx.working_dir.clone(),
            Source::File { .. } | Source::Nowhere => cx.file_dir.clone(),
        };
        let location = match secrets::resolve("url", raw.url, raw.url_file, cx)? {
            None => DirectoryLocation::Sqlite(cx.file_dir.join(DEFAULT)),
            Some(secret @ Secret::File(_)) => {
                let url = secret.read().ok()?;
                postgres(url.expose_secret(), &file_place, cx.report)?;
                DirectoryLocation::Postgres(secret)
            }
            Some(Secret::Value(url)) => {
                let text = url.expose_secret();
                match text.strip_prefix("sqlite:") {
                    Some(path) => DirectoryLocation::Sqlite(base.join(sqlite(path, &url_place, cx.report)?)),
                    None => {
                        postgres(text, &url_place, cx.report)?;
                        DirectoryLocation::Postgres(Secret::Value(url))
                    }
                }
            }
        };
        Some(Directory { location })
    }
}

/// The path of a SQLite URL, read as sqlx reads it; `path` is what follows the scheme.
fn sqlite(path: &str, place: &Place, report: &mut Report) -> Option<PathBuf> {
    let path = path.strip_prefix("//").unwrap_or(path);
    if path.contains('?') {
        report.problem(place, format!("found parameters after '?'; {SQLITE}"));
        return None;
    }
    if path == ":memory:" {
        let text = "found a database in memory; allowed: a file, or for tests sessions.store = \"memory\"";
        report.problem(place, text);
        return None;
    }
    let decoded = percent_decode_str(path).decode_utf8().ok().filter(|p| !p.is_empty() && !p.ends_with('/'));
    let path = decoded.filter(|path| !path.contains('\0'));
    if path.is_none() {
        report.problem(place, format!("found no path; {SQLITE}"));
    }
    Some(PathBuf::from(&*path?))
}

/// Judges the URL of a PostgreSQL database; no message shows any of it.
fn postgres(text: &str, place: &Place, report: &mut Report) -> Option<()> {
    let text = text.trim();
    if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) {
        let more =
            if text.starts_with("sqlite:") { " (a file's path is no secret: it stands in directory.url)" } else { "" };
        report.problem(place, format!("found another kind of URL{more}; {SQLITE}, or {POSTGRES}"));
        return None;
    }
    let Ok(url) = Url::parse(text) else {
        report.problem(
            place,
            format!("found no URL (write '%', '@', '/' and ':' of a password as %25, %40, %2F, %3A); {POSTGRES}"),
        );
        return None;
    };
    // A socket's directory may stand in `host` instead.
    let given = |key: &str| url.query_pairs().find(|(k, _)| k == key).map(|(_, value)| value.into_owned());
    let host = given("host").or_else(|| url.host_str().filter(|h| !h.is_empty()).map(str::to_owned));
    let Some(host) = host else {
        report.problem(place, format!("found no host; {POSTGRES}"));
        return None;
    };
    if url.path().len() < 2 && given("dbname").is_none() {
        report.problem(place, format!("found no name of a database; {POSTGRES}"));
        return None;
    }
    let here = host.starts_with('/') || host.starts_with("%2F") || is_loopback_host(&host);
    let verified =
        given("sslmode").or_else(|| given("ssl-mode")).is_some_and(|m| m == "verify-full" || m == "verify-ca");
    if !here && !verified {
        let text = "the database is on another machine, and sslmode is neither verify-full nor verify-ca: somebody on \
                    the way could take its place";
        report.warn(place, text);
    }
    Some(())
}

/// A SQLite file that could not be used.
#[derive(Debug, thiserror::Error)]
#[error("{} (directory.url): {what}", path.display())]
pub struct DirectoryPathError {
    path: PathBuf,
    what: &'static str,
    #[source]
    source: Option<io::Error>,
}

impl DirectoryLocation {
    /// Whether a SQLite file could be opened or made, for `anteroom check`. Opens and writes nothing; of PostgreSQL
    /// nothing is asked.
    ///
    /// # Errors
    /// The file's directory is not there or cannot be written, or the file is no file or cannot be written.
    pub fn check(&self) -> Result<(), DirectoryPathError> {
        use rustix::fs::{Access, access};
        let Self::Sqlite(file) = self else { return Ok(()) };
        let dir = file.parent().unwrap_or(Path::new("/"));
        let fail =
            |path: &Path, what, source: Option<io::Error>| DirectoryPathError { path: path.to_owned(), what, source };
        match std::fs::metadata(dir) {
            Ok(found) if found.is_dir() => {}
            Ok(_) => return Err(fail(dir, "it is no directory", None)),
            Err(error) => return Err(fail(dir, "there is no such directory; make it, or name another", Some(error))),
        }
        // SQLite also makes files beside the database.
        if let Err(errno) = access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK) {
            return Err(fail(dir, "let Anteroom's user write there, or name another place", Some(errno.into())));
        }
        match std::fs::metadata(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(fail(file, "it cannot be looked at", Some(error))),
            Ok(found) if !found.is_file() => Err(fail(file, "it is no file", None)),
            Ok(_) => access(file, Access::READ_OK | Access::WRITE_OK)
                .map_err(|errno| fail(file, "let Anteroom's user read and write it", Some(errno.into()))),
        }
    }
}
