//! Keys of other modules in the same directory, each in a file with a name of its own, made by the rules of the ring:
//! once, whole, by whichever process is first, and never replaced.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::dir;
use crate::base::place;

/// A file of keys, by its name.
#[derive(Clone, Copy, Debug)]
pub struct KeyFile {
    /// Without a directory.
    pub name: &'static str,
    /// How an operator makes one by hand.
    pub recipe: &'static str,
}

/// Why such a file cannot be used. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// The directory or the file cannot be read.
    #[error("cannot read {} (keys.dir): let Anteroom's user read it", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file must be made and the directory does not allow it.
    #[error(
        "{} (keys.dir) cannot be written, and {} is needed: let Anteroom's user write there, or put the file there: {}",
        dir.display(), file.name, file.recipe
    )]
    NotWritable {
        dir: PathBuf,
        file: KeyFile,
        #[source]
        source: io::Error,
    },
    /// The crypto library could not make a key.
    #[error("cannot make {}: the crypto library failed", file.name)]
    Make { file: KeyFile },
}

/// The text of a file of keys.
pub type KeyText = Zeroizing<Vec<u8>>;

impl KeyFile {
    /// The file's text; None: there is no such file, or no such directory.
    ///
    /// # Errors
    /// It cannot be read, is no regular file or over 16 KB.
    pub fn read(self, dir: &Path) -> Result<Option<KeyText>, KeyFileError> {
        read(&dir.join(self.name))
    }

    /// The file's text; made by `make` (0600, its directory 0700) if there is no such file. Processes that start at
    /// once end with the same one. Blocks on the file system, and on another process that is making keys.
    ///
    /// # Errors
    /// It cannot be read, or not made.
    pub fn read_or_make(
        self,
        dir: &Path,
        make: impl FnOnce() -> Option<Zeroizing<String>>,
    ) -> Result<KeyText, KeyFileError> {
        if let Some(text) = self.read(dir)? {
            return Ok(text);
        }
        let not_writable = |source| KeyFileError::NotWritable { dir: dir.to_owned(), file: self, source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(not_writable)?;
        let _lock = dir::lock(dir).map_err(not_writable)?;
        // Again, under the lock: another process may have been first.
        if let Some(text) = self.read(dir)? {
            return Ok(text);
        }
        let text = make().ok_or(KeyFileError::Make { file: self })?;
        dir::publish(dir, self.name, text.as_bytes()).map_err(not_writable)?;
        let path = dir.join(self.name);
        read(&path)?.ok_or_else(|| KeyFileError::Read { path, source: ErrorKind::NotFound.into() })
    }

    /// Whether [`read_or_make`](Self::read_or_make) would work. Writes nothing. True: the file would be made.
    ///
    /// # Errors
    /// Those of [`read_or_make`](Self::read_or_make).
    pub fn check(self, dir: &Path) -> Result<bool, KeyFileError> {
        let missing = self.read(dir)?.is_none();
        if missing {
            let not_writable = |source| KeyFileError::NotWritable { dir: dir.to_owned(), file: self, source };
            place::check_writable(dir).map_err(not_writable)?;
        }
        Ok(missing)
    }

    /// The files that stand beside this one while a key is rolled over: `saml-signing-*.pem` beside `saml-signing.pem`,
    /// in the order of their names.
    ///
    /// # Errors
    /// One of them cannot be read.
    pub fn read_beside(self, dir: &Path) -> Result<Vec<(PathBuf, KeyText)>, KeyFileError> {
        let (stem, ending) = self.name.rsplit_once('.').unwrap_or((self.name, ""));
        let fail = |source| KeyFileError::Read { path: dir.to_owned(), source };
        let entries = match fs::read_dir(dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fail)?,
        };
        let mut paths = Vec::new();
        for entry in entries {
            let name = entry.map_err(fail)?.file_name();
            let rest = name.to_str().and_then(|name| name.strip_prefix(stem)?.strip_prefix('-'));
            if rest.and_then(|rest| rest.strip_suffix(ending)).is_some_and(|rest| rest.ends_with('.')) {
                paths.push(dir.join(name));
            }
        }
        paths.sort();
        let text = |path: PathBuf| Ok(read(&path)?.map(|text| (path, text)));
        paths.into_iter().filter_map(|path| text(path).transpose()).collect()
    }
}

fn read(path: &Path) -> Result<Option<KeyText>, KeyFileError> {
    match dir::read_file(path) {
        Ok((text, mode)) => {
            if mode & 0o004 != 0 {
                tracing::warn!(file = %path.display(), "key file is readable by every user of this machine; make it 0600");
            }
            Ok(Some(text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(KeyFileError::Read { path: path.to_owned(), source }),
    }
}
