//! Native identities and their cookies, in memory.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;

use super::Memory;
use crate::base::clock::Timestamp;
use crate::base::id::Id;
use crate::directory::{DirectoryError, NativeCookie, NativeIdentity, NativeKind, Natives};

/// Cookies at most; beyond it the one used longest ago is forgotten.
const MAX_COOKIES: usize = 100_000;

/// The records of the area.
#[derive(Default)]
pub(super) struct NativeRecords {
    identities: BTreeMap<(Id, NativeKind, String), NativeIdentity>,
    cookies: HashMap<[u8; 32], NativeCookie>,
}

impl NativeRecords {
    fn note(&mut self, seen: &NativeIdentity) {
        let key = (seen.app.clone(), seen.kind, seen.name.clone());
        let Some(kept) = self.identities.get_mut(&key) else {
            self.identities.insert(key, seen.clone());
            return;
        };
        kept.first = kept.first.min(seen.first);
        kept.count = kept.count.saturating_add(seen.count);
        if seen.last >= kept.last {
            kept.last = seen.last;
            kept.source = seen.source;
        }
    }

    fn remember(&mut self, cookie: &NativeCookie) {
        if let Some(kept) = self.cookies.get_mut(&cookie.key) {
            if kept.user_name != cookie.user_name || kept.until <= kept.last_used {
                kept.until = kept.last_used;
            } else {
                *kept = cookie.clone();
            }
            return;
        }
        if self.cookies.len() >= MAX_COOKIES {
            let oldest = self.cookies.values().min_by_key(|kept| kept.last_used).map(|kept| kept.key);
            oldest.map(|key| self.cookies.remove(&key));
        }
        self.cookies.insert(cookie.key, cookie.clone());
    }
}

fn gone(before: usize, after: usize) -> u64 {
    u64::try_from(before - after).unwrap_or(u64::MAX)
}

#[async_trait]
impl Natives for Memory {
    async fn note(&self, uses: &[NativeIdentity]) -> Result<(), DirectoryError> {
        let mut state = self.state();
        uses.iter().for_each(|seen| state.natives.note(seen));
        Ok(())
    }

    async fn list(&self, app: Option<&Id>, limit: u32) -> Result<Vec<NativeIdentity>, DirectoryError> {
        let state = self.state();
        let of_app = state.natives.identities.values().filter(|kept| app.is_none_or(|app| kept.app == *app));
        let mut found: Vec<NativeIdentity> = of_app.cloned().collect();
        found.sort_by_key(|kept| std::cmp::Reverse(kept.last));
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(found)
    }

    async fn purge(&self, before: Timestamp, max: u64) -> Result<u64, DirectoryError> {
        let mut state = self.state();
        let all = &mut state.natives.identities;
        let count = all.len();
        all.retain(|_, kept| kept.last >= before);
        let mut ages: Vec<_> = all.iter().map(|(key, kept)| (kept.last, key.clone())).collect();
        ages.sort();
        let excess = ages.len().saturating_sub(usize::try_from(max).unwrap_or(usize::MAX));
        for (_, key) in ages.iter().take(excess) {
            all.remove(key);
        }
        Ok(gone(count, all.len()))
    }

    async fn remember(&self, cookies: &[NativeCookie]) -> Result<(), DirectoryError> {
        let mut state = self.state();
        cookies.iter().for_each(|cookie| state.natives.remember(cookie));
        Ok(())
    }

    async fn cookies(&self, keys: &[[u8; 32]]) -> Result<Vec<NativeCookie>, DirectoryError> {
        let state = self.state();
        Ok(keys.iter().filter_map(|key| state.natives.cookies.get(key).cloned()).collect())
    }

    async fn cookies_used(&self, uses: &[([u8; 32], Timestamp)]) -> Result<(), DirectoryError> {
        let mut state = self.state();
        for (key, at) in uses {
            if let Some(kept) = state.natives.cookies.get_mut(key).filter(|kept| kept.until > kept.last_used) {
                kept.last_used = kept.last_used.max(*at);
            }
        }
        Ok(())
    }

    async fn purge_cookies(&self, used_before: Timestamp, now: Timestamp) -> Result<u64, DirectoryError> {
        let mut state = self.state();
        let all = &mut state.natives.cookies;
        let count = all.len();
        all.retain(|_, kept| kept.last_used >= used_before && (kept.until > now || kept.until == kept.last_used));
        Ok(gone(count, all.len()))
    }
}
