//! The directory: reading it, and adding to it without ever replacing anything.

use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::key::{AssertionKey, SealingKey};
use super::plan::KeyTimes;
use crate::base::clock::Timestamp;
use crate::base::{place, random};

/// No key file is near this long.
const MAX_FILE: u64 = 16 * 1024;

/// The kinds of keys in `keys.dir`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// `sealing-<unix seconds>.key`
    Sealing,
    /// `assertion-<unix seconds>.pem`
    Assertion,
}

impl KeyKind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sealing, Self::Assertion];

    const fn affixes(self) -> (&'static str, &'static str) {
        match self {
            Self::Sealing => ("sealing-", ".key"),
            Self::Assertion => ("assertion-", ".pem"),
        }
    }

    fn file_name(self, created: Timestamp) -> String {
        let (prefix, suffix) = self.affixes();
        format!("{prefix}{}{suffix}", created.secs())
    }

    /// The text of a new key's file.
    fn make(self) -> Result<Zeroizing<String>, KeysError> {
        match self {
            Self::Sealing => Ok(SealingKey::make()),
            Self::Assertion => AssertionKey::make().map_err(|_| KeysError::Make),
        }
    }

    /// How an operator makes one by hand.
    const fn recipe(self) -> &'static str {
        match self {
            Self::Sealing => "openssl rand -base64 32 > sealing-$(date +%s).key",
            Self::Assertion => {
                "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out assertion-$(date +%s).pem"
            }
        }
    }
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sealing => "sealing",
            Self::Assertion => "assertion",
        })
    }
}

/// Why `keys.dir` cannot be used. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The directory or a file in it cannot be read.
    #[error("cannot read {} (keys.dir): let Anteroom's user read it", path.display())]
    Read { path: PathBuf, source: io::Error },
    /// A file has a key's name and is not a key.
    #[error(
        "{} is damaged: {what}. Anteroom never replaces a key: restore the file from a backup, or, if it is lost, \
         move it away, and what it sealed or signed is refused from then on",
        path.display()
    )]
    Damaged { path: PathBuf, what: &'static str },
    /// A file looks like a key, but its name has no time.
    #[error(
        "{} has no creation time in its name: call it sealing-<unix seconds>.key or assertion-<unix seconds>.pem, \
         or move it out of keys.dir",
        path.display()
    )]
    Name { path: PathBuf },
    /// A key must be made and the directory does not allow it.
    #[error(
        "{} (keys.dir) cannot be written, and a new {kind} key is needed: let Anteroom's user write there, or put \
         one there: {}", dir.display(), kind.recipe()
    )]
    NotWritable { dir: PathBuf, kind: KeyKind, source: io::Error },
    /// The directory had keys at start-up and has none now.
    #[error("{} (keys.dir) has no {kind} key any more: is the volume still mounted?", dir.display())]
    Gone { dir: PathBuf, kind: KeyKind },
    /// The crypto library could not make a key.
    #[error("cannot make a key: the crypto library failed")]
    Make,
}

/// What `anteroom check` says about `keys.dir`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeysReport {
    /// Sealing keys there.
    pub sealing: usize,
    /// Assertion keys there.
    pub assertion: usize,
    /// What the first start will make.
    pub will_make: Vec<KeyKind>,
    /// Key files that every user of the machine can read: worth a warning.
    pub readable_by_others: Vec<PathBuf>,
}

/// The keys in the directory, each list oldest first.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) sealing: Vec<SealingKey>,
    pub(super) assertion: Vec<AssertionKey>,
    pub(super) readable_by_others: Vec<PathBuf>,
}

impl Files {
    /// The kinds of which there is no key.
    pub(super) fn missing(&self) -> impl Iterator<Item = KeyKind> {
        KeyKind::ALL.into_iter().filter(|kind| match kind {
            KeyKind::Sealing => self.sealing.is_empty(),
            KeyKind::Assertion => self.assertion.is_empty(),
        })
    }

    fn times(&self, kind: KeyKind) -> Vec<KeyTimes> {
        match kind {
            KeyKind::Sealing => self.sealing.iter().map(SealingKey::times).collect(),
            KeyKind::Assertion => self.assertion.iter().map(AssertionKey::times).collect(),
        }
    }
}

/// Reads every key. A directory that does not exist holds none. Files with other names are not ours to judge.
pub(super) fn read(dir: &Path) -> Result<Files, KeysError> {
    let fail = |path: &Path| {
        let path = path.to_owned();
        move |source| KeysError::Read { path, source }
    };
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Files::default()),
        entries => entries.map_err(fail(dir))?,
    };
    let mut files = Files::default();
    for entry in entries {
        let name = entry.map_err(fail(dir))?.file_name();
        let path = dir.join(&name);
        let Some((kind, stem)) = name.to_str().and_then(key_name) else { continue };
        let digits = !stem.is_empty() && stem.bytes().all(|b| b.is_ascii_digit());
        let created = stem.parse::<i64>().ok().filter(|_| digits).map(Timestamp::from_secs);
        let created = created.ok_or_else(|| KeysError::Name { path: path.clone() })?;
        let (text, mode) = read_file(&path).map_err(fail(&path))?;
        if mode & 0o004 != 0 {
            files.readable_by_others.push(path.clone());
        }
        let damaged = |what| KeysError::Damaged { path: path.clone(), what };
        if text.is_empty() {
            return Err(damaged("it is empty"));
        }
        match kind {
            KeyKind::Sealing => files.sealing.push(SealingKey::parse(created, &text).map_err(damaged)?),
            KeyKind::Assertion => files.assertion.push(AssertionKey::parse(created, &text).map_err(damaged)?),
        }
    }
    files.sealing.sort_by_key(|key| key.times().created);
    files.assertion.sort_by_key(|key| key.times().created);
    files.readable_by_others.sort();
    Ok(files)
}

/// `sealing-1700000000.key` → the kind and what should be the time.
fn key_name(name: &str) -> Option<(KeyKind, &str)> {
    KeyKind::ALL.into_iter().find_map(|kind| {
        let (prefix, suffix) = kind.affixes();
        Some((kind, name.strip_prefix(prefix)?.strip_suffix(suffix)?))
    })
}

/// The content and the permission bits. Links are followed: mounted secrets are links.
pub(super) fn read_file(path: &Path) -> io::Result<(Zeroizing<Vec<u8>>, u32)> {
    let invalid = |why| io::Error::new(ErrorKind::InvalidData, why);
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Err(invalid("it is not a regular file"));
    }
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode();
    let mut text = Zeroizing::new(Vec::with_capacity(1024));
    file.take(MAX_FILE + 1).read_to_end(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(invalid("the file is larger than 16 KB"));
    }
    Ok((text, mode))
}

/// Makes the directory and the keys that are missing, then reads it.
pub(super) fn make_missing(dir: &Path, now: Timestamp) -> Result<Files, KeysError> {
    let kind = read(dir)?.missing().next().unwrap_or(KeyKind::Sealing);
    let not_writable = |kind| move |source| KeysError::NotWritable { dir: dir.to_owned(), kind, source };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(not_writable(kind))?;
    let _lock = lock(dir).map_err(not_writable(kind))?;
    // Again, under the lock: another process may have been first.
    for kind in read(dir)?.missing() {
        publish(dir, &kind.file_name(now), kind.make()?.as_bytes()).map_err(not_writable(kind))?;
    }
    read(dir)
}

/// Makes a key of each of `kinds` for which `wanted` says so once nobody else can be making one, then reads the
/// directory.
pub(super) fn make_if(
    dir: &Path,
    kinds: &[KeyKind],
    now: Timestamp,
    wanted: impl Fn(&[KeyTimes]) -> bool,
) -> Result<Files, KeysError> {
    let not_writable = |kind| move |source| KeysError::NotWritable { dir: dir.to_owned(), kind, source };
    let _lock = lock(dir).map_err(not_writable(KeyKind::Assertion))?;
    let files = read(dir)?;
    for &kind in kinds {
        let times = files.times(kind);
        if wanted(&times) {
            // After the newest, whatever the clock says: the order of the names is the order of the keys.
            let after = times.last().map_or(now, |key| key.created.plus(Duration::from_secs(1)));
            publish(dir, &kind.file_name(now.max(after)), kind.make()?.as_bytes()).map_err(not_writable(kind))?;
        }
    }
    read(dir)
}

/// Waits until no other process adds keys to `dir`. The operating system lets go of the lock when its holder ends,
/// however it ends. The file stays; it is empty.
pub(super) fn lock(dir: &Path) -> io::Result<File> {
    let path = dir.join(".lock");
    let file = File::options().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Makes the file appear whole and durable, or not at all. A file of that name that is there already stays as it is,
/// and that is no error: the caller reads it.
pub(super) fn publish(dir: &Path, name: &str, text: &[u8]) -> io::Result<()> {
    let to = dir.join(name);
    let temp = Temp(dir.join(format!(".{name}.{}.tmp", random::token::<12>())));
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&temp.0)?;
    file.write_all(text)?;
    file.sync_all()?;
    match fs::hard_link(&temp.0, &to) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        // A file system without hard links (SMB, some FUSE): the lock alone keeps others away.
        Err(error) if matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::PermissionDenied) => {
            if !fs::exists(&to)? {
                fs::rename(&temp.0, &to)?;
            }
        }
        linked => linked?,
    }
    drop(temp);
    File::open(dir)?.sync_all()
}

/// A temporary file that does not outlive its use.
struct Temp(PathBuf);

impl Drop for Temp {
    fn drop(&mut self) {
        // Gone already after a rename. If it cannot be removed it stays as a hidden file that nobody reads.
        let _gone = fs::remove_file(&self.0);
    }
}

/// Whether keys could be made in `dir`: it, or the nearest directory above it that exists, can be written.
pub(super) fn check_writable(dir: &Path) -> Result<(), KeysError> {
    let kind = read(dir)?.missing().next().unwrap_or(KeyKind::Sealing);
    place::check_writable(dir).map_err(|source| KeysError::NotWritable { dir: dir.to_owned(), kind, source })
}
