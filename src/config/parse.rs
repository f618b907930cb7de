//! Parsers that several sections share. Each answers what is wrong in words: what was found, what is allowed.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use url::Url;

use super::problem::{Report, Source, quoted};
use super::read::{At, Field};
use super::words::Word;
use crate::base::net::is_loopback_host;
use crate::base::path;
use crate::base::pattern::PathPattern;

/// What resolving needs beside the raw sections.
pub(super) struct Context<'a> {
    pub(super) report: &'a mut Report,
    /// Relative paths in the file count from here.
    pub(super) file_dir: PathBuf,
    /// Relative paths from the environment and from flags count from here.
    pub(super) working_dir: PathBuf,
}

impl Context<'_> {
    /// An absolute path. Symbolic links stay, so that a swapped mount is seen.
    pub(super) fn path(&mut self, field: Field<String>) -> Field<PathBuf> {
        let base = match field.set().map(|at| &at.place.source) {
            Some(Source::Environment(_) | Source::Flag(_)) => self.working_dir.clone(),
            Some(Source::File { .. } | Source::Nowhere) | None => self.file_dir.clone(),
        };
        field.parse(self.report, |text| {
            if text.trim().is_empty() || text.contains('\0') {
                return Err(wrong(text, "allowed: a path"));
            }
            Ok(base.join(Path::new(text)))
        })
    }
}

/// `found "…"; ` and what is allowed.
pub(super) fn wrong(found: &str, allowed: &str) -> String {
    format!("found {}; {allowed}", quoted(found))
}

/// A switch that carries its warning in its value.
#[derive(Clone, Copy, Debug)]
pub(super) struct Insecure;

impl Word for Insecure {
    const WORDS: &'static [(&'static str, Self)] = &[("yes-for-testing-only", Self)];
}

/// An address to listen on.
pub(super) fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| wrong(text, "allowed: an IP address and a port, such as 0.0.0.0:4180 or [::]:4180"))
}

/// An `http` or `https` URL without user information, query or fragment. Spellings that a URL parser would repair
/// (backslashes, missing slashes, blanks) are refused, so that what is read is what was written.
pub(super) fn web_url(text: &str, allowed: &str) -> Result<Url, String> {
    let fail = || wrong(text, allowed);
    let lower = text.to_ascii_lowercase();
    let rest = lower.strip_prefix("https://").or_else(|| lower.strip_prefix("http://")).ok_or_else(fail)?;
    let clean = !rest.starts_with('/') && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\');
    let url = Url::parse(text).map_err(|_| fail())?;
    if !url.username().is_empty()
        || url.password().is_some()
        || rest.split('/').next().unwrap_or_default().contains('@')
    {
        return Err(format!("found a URL with user information; {allowed}"));
    }
    let bare = url.query().is_none() && url.fragment().is_none() && url.host_str().is_some_and(|h| !h.ends_with('.'));
    if clean && bare { Ok(url) } else { Err(fail()) }
}

/// Whether a URL is plain http to another machine.
pub(super) fn is_plain_http_off_loopback(url: &Url) -> bool {
    url.scheme() == "http" && !url.host_str().is_some_and(is_loopback_host)
}

/// A path in normal form that is no pattern, and not `/`.
pub(super) fn fixed_path(text: &str) -> Result<(), String> {
    let allowed = "allowed: a path such as /logout, in normal form, without '*', query or fragment";
    match text.parse::<PathPattern>() {
        Ok(_) if text == "/" => {
            Err(wrong(text, &format!("the application's home page stays the application's; {allowed}")))
        }
        // It is compared with the normal form of what is asked for: any other spelling would never be met.
        Ok(_) if !text.contains('*') && path::normalize(text).is_ok_and(|normal| normal == text) => Ok(()),
        Ok(_) | Err(_) => Err(wrong(text, allowed)),
    }
}

/// A length of time: a number and a unit, or several (`90s`, `1h 30m`, `7d`, ISO 8601 `PT5M`); a day has 24 hours.
pub(super) fn duration(text: &str, min: Duration, max: Duration) -> Result<Duration, String> {
    let fail = || {
        let (min, max) = (shown(min), shown(max));
        wrong(text, &format!("allowed: a length of time such as 90s, 30m, 24h or 7d, from {min} to {max}"))
    };
    let span: jiff::Span = text.trim().parse().map_err(|_| fail())?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(|_| fail())?;
    let length = Duration::try_from(length).map_err(|_| fail())?;
    if (min..=max).contains(&length) { Ok(length) } else { Err(fail()) }
}

/// A length of time in its largest whole unit.
pub(super) fn shown(length: Duration) -> String {
    let secs = length.as_secs();
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    units
        .into_iter()
        .find(|(unit, _)| secs >= *unit && secs.is_multiple_of(*unit))
        .map_or_else(|| format!("{secs}s"), |(unit, name)| format!("{}{name}", secs / unit))
}

/// The second of two equal items of a list, and their text.
pub(super) fn duplicate<T: PartialEq>(items: &[At<T>]) -> Option<&At<T>> {
    items
        .iter()
        .enumerate()
        .find_map(|(i, item)| items.iter().take(i).any(|earlier| earlier.value == item.value).then_some(item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_has_a_unit() {
        let read = |text| duration(text, Duration::from_secs(1), Duration::from_secs(31_536_000));
        for (text, secs) in [("24h", 86_400), ("7d", 604_800), ("60s", 60), ("1h 30m", 5_400), ("PT5M", 300)] {
            assert_eq!(read(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for bad in ["", "60", "1 month", "-1h", "0s", "9999d", "soon"] {
            assert!(read(bad).unwrap_err().contains("from 1s to 365d"), "{bad}");
        }
    }

    #[test]
    fn p09_a_fixed_path_is_spelled_as_it_is_compared() {
        for good in ["/logout", "/saml2/idpresponse", "/a/", "/a%40b"] {
            assert_eq!(fixed_path(good), Ok(()), "{good}");
        }
        for bad in ["/", "", "a", "/a%63s", "/a//b", "/a/../b", "/a/*", "/a/**", "/ä", "/a?x", "/a;x"] {
            assert!(fixed_path(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn urls_are_taken_as_written_or_not_at_all() {
        assert!(web_url("https://app.example.com:8443/x", "").is_ok());
        for bad in [
            "https:app.example.com",
            "https:///app.example.com",
            "https:\\\\app.example.com",
            "https://a b",
            "ftp://a",
            "https://a/?x",
            "https://a/#",
            "//a",
            "https://a./",
            "https://",
            "",
        ] {
            assert!(web_url(bad, "").is_err(), "{bad}");
        }
        let error = web_url("https://bob:canary@a/", "allowed").unwrap_err();
        assert!(!error.contains("canary"), "{error}");
        assert!(web_url("https://@a/", "").is_err());
    }
}
