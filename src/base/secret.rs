//! Secrets: never printed, wiped when dropped, read again from their file at each use.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};

/// A configured secret: written in place, or in a file that is read at each use, so that a rotated file (Kubernetes
/// swaps a symlink) takes effect without a restart. `Debug` never shows the value.
#[derive(Clone, Debug)]
pub enum Secret {
    /// The value itself (`x = "…"`).
    Value(SecretString),
    /// The file that holds it (`x_file = "…"`), absolute; a trailing line break is not part of the secret.
    File(PathBuf),
}

/// The secret's file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the secret file {}", path.display())]
pub struct SecretError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl Secret {
    /// The secret as it is now.
    ///
    /// # Errors
    /// The file cannot be read, is over 64 KB, is not UTF-8 or is empty.
    #[expect(clippy::disallowed_methods, reason = "a few bytes from a mounted file, only at a sign-in")]
    pub fn read(&self) -> Result<SecretString, SecretError> {
        match self {
            Self::Value(value) => Ok(SecretString::from(value.expose_secret())),
            Self::File(path) => {
                let fail = |source| SecretError { path: path.clone(), source };
                let invalid = |why| fail(std::io::Error::new(std::io::ErrorKind::InvalidData, why));
                if std::fs::metadata(path).map_err(fail)?.len() > 65_536 {
                    return Err(invalid("the file is larger than 64 KB"));
                }
                let text = std::fs::read_to_string(path).map_err(fail)?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                let text = text.strip_suffix('\r').unwrap_or(text);
                if text.is_empty() {
                    return Err(invalid("the file is empty"));
                }
                Ok(SecretString::from(text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rotated_file_is_seen_at_the_next_use() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        std::fs::write(&path, "one\n").unwrap();
        let secret = Secret::File(path.clone());
        assert_eq!(secret.read().unwrap().expose_secret(), "one");
        std::fs::write(&path, "two").unwrap();
        assert_eq!(secret.read().unwrap().expose_secret(), "two");
        std::fs::write(&path, "\n").unwrap();
        let error = secret.read().unwrap_err();
        assert!(error.to_string().contains("secret"));
    }

    #[test]
    fn debug_hides_the_value() {
        let secret = Secret::Value(SecretString::from("canary-value"));
        assert!(!format!("{secret:?}").contains("canary-value"));
    }
}
