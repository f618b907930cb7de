//! `[keys]`: where the keys live that Anteroom makes itself.

use std::path::PathBuf;

use super::parse::Context;
use super::read::{At, section};

/// `[keys]`
#[derive(Clone, Debug)]
pub struct Keys {
    /// Sealing and assertion keys, absolute. Made on first start where it is writable.
    pub dir: PathBuf,
}

section! {
    /// Where the keys live that Anteroom makes itself.
    RawKeys {
        /// Directory of the sealing and assertion keys. They are made on first start where the directory can be
        /// written; a missing key in a directory that cannot is a refused start, and none is ever replaced silently.
        #[schemars(extend("default" = "keys"))]
        dir: String,
    }
}

impl RawKeys {
    pub(super) fn resolve(raw: At<Self>, cx: &mut Context<'_>) -> Option<Keys> {
        let default = cx.file_dir.join("keys");
        Some(Keys { dir: cx.path(raw.value.dir).or(default)? })
    }
}
