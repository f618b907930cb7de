//! Forms that arrived without a good session: kept sealed until their sender has signed in and says that they shall be
//! sent (W04).
//!
//! A record opens only with the secret in the cookie of the browser that sent the form, on the host that it was sent to:
//! the secret is part of what it is sealed for. Knowing the id, from a link or a log, opens nothing.

use std::time::Duration;

use http::HeaderValue;
use http::header::HeaderMap;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::base::random;
use crate::base::return_to::ReturnTo;
use crate::directory::{DirectoryError, KeptKind};
use crate::identity::Identity;
use crate::session::ATTEMPT_LIFETIME;

use super::SignIn;
use super::attempt::{is_id, new_id};

/// How long a form is kept: as long as an attempt may take, and as long again until it is begun.
pub const POST_LIFETIME: Duration = ATTEMPT_LIFETIME.saturating_mul(2);

/// Bytes of all kept forms together, sealed: what strangers send must not fill a disk.
const MAX_KEPT: u64 = 64 * 1024 * 1024;

/// Kept forms of one browser; of more, the oldest is given up.
const MAX_PER_BROWSER: usize = 3;

/// Fields of a form that is kept. Application servers take about as many.
const MAX_FIELDS: usize = 1_000;

/// What a form says: names and values in their order, which may repeat.
pub type Fields = Vec<(String, String)>;

/// A form to be kept.
pub struct UnsentPost<'a> {
    /// Where it was sent: path and query.
    pub target: &'a ReturnTo,
    /// As it arrived.
    pub body: &'a [u8],
    /// Who was signed in, where the session is still good; otherwise the directory may know.
    pub sender: Option<&'a Identity>,
    pub headers: &'a HeaderMap,
    /// The host that it was sent to, lower case.
    pub host: &'a str,
}

/// A form is kept.
pub struct Kept {
    /// For the link to the page that sends it again.
    pub id: String,
    pub cookies: Vec<HeaderValue>,
}

/// Why a form is not kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// A browser would not write it this way, or would send something else for it.
    #[error("the form could not be sent again as it is")]
    NotPlain,
    /// Forms of others fill the room that there is.
    #[error("too many forms are kept")]
    Full,
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

impl NotKept {
    /// A stable code for logs.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NotPlain => "post_not_plain",
            Self::Full => "kept_posts_full",
            Self::Directory(_) => "directory_unavailable",
        }
    }
}

/// A kept form that its sender may look at.
pub struct Waiting {
    pub target: ReturnTo,
    pub fields: Fields,
    /// It was another person's session that had ended; false also where nobody knows.
    pub of_another: bool,
}

/// A browser's claim to a kept form: the id, and the secret of its cookie.
#[derive(Clone, Debug)]
pub struct PostClaim {
    id: String,
    secret: String,
}

impl PostClaim {
    /// The kept form's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn purpose(&self, host: &str) -> String {
        format!("post {host} {} {}", self.id, self.secret)
    }
}

/// As it is kept, sealed.
#[derive(Serialize, Deserialize)]
struct Written {
    target: String,
    body: String,
    sender: Option<Sender>,
}

/// Whose session it was.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Sender {
    connector: String,
    subject: String,
}

impl From<&Identity> for Sender {
    fn from(identity: &Identity) -> Self {
        Self { connector: identity.connector.to_string(), subject: identity.subject.clone() }
    }
}

impl SignIn {
    /// Keeps a form for its browser.
    ///
    /// # Errors
    /// It cannot be sent again as it is, there is no room, or the directory is away.
    pub async fn keep_post(&self, post: &UnsentPost<'_>) -> Result<Kept, NotKept> {
        let body = std::str::from_utf8(post.body).map_err(|_| NotKept::NotPlain)?;
        plain_fields(body).ok_or(NotKept::NotPlain)?;
        let sender = match post.sender {
            Some(identity) => Some(Sender::from(identity)),
            None => self.last_sender(post.headers, post.host).await?,
        };
        let written = Written { target: post.target.as_str().to_owned(), body: body.to_owned(), sender };
        let now = self.clock.now();
        let claim = PostClaim { id: new_id(now), secret: random::token::<32>() };
        let plain = Zeroizing::new(serde_json::to_vec(&written).unwrap_or_default());
        let sealed = self.sealer.seal_bytes(&claim.purpose(post.host), &plain);
        let size = u64::try_from(sealed.len()).unwrap_or(u64::MAX);
        if self.directory.kept.bytes(KeptKind::Post).await?.saturating_add(size) > MAX_KEPT {
            return Err(NotKept::Full);
        }
        self.directory.kept.keep(KeptKind::Post, &claim.id, &sealed, now.plus(POST_LIFETIME)).await?;
        let mut cookies = self.give_up_posts(post.headers, MAX_PER_BROWSER - 1);
        cookies.push(self.cookies.set_post(&claim.id, &claim.secret, POST_LIFETIME));
        Ok(Kept { id: claim.id, cookies })
    }

    /// Takes the browser's claims to kept forms back, but for the newest `keep`.
    pub fn give_up_posts(&self, headers: &HeaderMap, keep: usize) -> Vec<HeaderValue> {
        let mut ids: Vec<&str> = self.cookies.posts(headers).map(|(id, _)| id).filter(|id| is_id(id)).collect();
        // Ids sort by time.
        ids.sort_unstable_by(|a, b| b.cmp(a));
        ids.into_iter().skip(keep).map(|id| self.cookies.expire_post(id)).collect()
    }

    /// Whose session the request's cookie led to, as long as the directory remembers it.
    async fn last_sender(&self, headers: &HeaderMap, host: &str) -> Result<Option<Sender>, DirectoryError> {
        let Some(key) = self.session_key(headers, host) else { return Ok(None) };
        let row = self.directory.sessions.by_cookie(key.bytes()).await?;
        Ok(row.map(|(row, _)| Sender::from(&row.identity)))
    }

    /// The claim to the form `id` that comes with a request. Two cookies of one name count as none.
    pub fn post_claim(&self, id: &str, headers: &HeaderMap) -> Option<PostClaim> {
        let mut secrets = self.cookies.posts(headers).filter(|(name, _)| *name == id);
        let (Some((_, secret)), None) = (secrets.next(), secrets.next()) else { return None };
        is_id(id).then(|| PostClaim { id: id.to_owned(), secret: secret.to_owned() })
    }

    /// The form that `claim` is for, as `person` may send it again. It stays where it is: a page that is loaded twice
    /// loses nothing. None: there is none, its time is over, or it is another browser's.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn waiting_post(
        &self,
        claim: &PostClaim,
        host: &str,
        person: &Identity,
    ) -> Result<Option<Waiting>, DirectoryError> {
        let Some(written) = self.open_post(claim, host).await? else { return Ok(None) };
        let target = ReturnTo::path(&written.target, &self.prefix).ok();
        Ok(target.zip(plain_fields(&written.body)).map(|(target, fields)| Waiting {
            target,
            fields,
            of_another: written.sender.is_some_and(|sender| sender != Sender::from(person)),
        }))
    }

    /// Forgets a form that was sent again. False: it was not there.
    ///
    /// # Errors
    /// The directory is away.
    pub async fn forget_post(&self, claim: &PostClaim, host: &str) -> Result<bool, DirectoryError> {
        if self.open_post(claim, host).await?.is_none() {
            return Ok(false);
        }
        Ok(self.directory.kept.take(KeptKind::Post, &claim.id, self.clock.now()).await?.is_some())
    }

    async fn open_post(&self, claim: &PostClaim, host: &str) -> Result<Option<Written>, DirectoryError> {
        let sealed = self.directory.kept.peek(KeptKind::Post, &claim.id, self.clock.now()).await?;
        let plain = sealed.and_then(|sealed| self.sealer.open_bytes(&claim.purpose(host), &sealed));
        Ok(plain.map(Zeroizing::new).and_then(|plain| serde_json::from_slice(&plain).ok()))
    }
}

/// The fields of a form that a browser sends again byte for byte when it finds them in a page's hidden inputs. None for
/// everything else: whatever a page would change on the way is not kept (URL Standard, section 5; HTML, "constructing
/// entry list").
fn plain_fields(body: &str) -> Option<Fields> {
    let fields: Fields = url::form_urlencoded::parse(body.as_bytes()).into_owned().take(MAX_FIELDS + 1).collect();
    if fields.len() > MAX_FIELDS || !fields.iter().all(|(name, value)| survives(name) && survives(value)) {
        return None;
    }
    // Browsers write the encoding's name into a hidden field of this name.
    if fields.iter().any(|(name, value)| name.eq_ignore_ascii_case("_charset_") && value != "UTF-8") {
        return None;
    }
    let again = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
    (again == body).then_some(fields)
}

/// Whether a text comes out of a hidden input as it went in: forms make every line end a CR LF, and HTML has no NUL.
fn survives(text: &str) -> bool {
    let alone = text.replace("\r\n", "");
    !alone.contains(['\r', '\n', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(body: &str) -> Option<Vec<(String, String)>> {
        plain_fields(body)
    }

    #[test]
    fn a_form_as_browsers_write_it_keeps_its_order_and_its_duplicates() {
        let body = "b=2&a=1&b=3&empty=&=&%C3%BC=%F0%9F%8C%8A&t=a%0D%0Ab+c&q=%22%3E%3Cx&_charset_=UTF-8&s=*-._";
        let found = fields(body).unwrap();
        let pair = |at: usize| found.get(at).map(|(name, value)| (name.as_str(), value.as_str()));
        assert_eq!((pair(0), pair(1), pair(2)), (Some(("b", "2")), Some(("a", "1")), Some(("b", "3"))));
        assert_eq!(pair(5), Some(("ü", "🌊")));
        assert_eq!(pair(6), Some(("t", "a\r\nb c")));
        assert_eq!(fields("").map(|found| found.len()), Some(0), "a button alone");
    }

    #[test]
    fn what_a_browser_would_send_otherwise_is_not_kept() {
        let many = "a=1&".repeat(MAX_FIELDS + 1);
        assert!(fields(many.trim_end_matches('&').trim_start_matches("a=1&")).is_some(), "the honest twin");
        for body in [
            many.trim_end_matches('&'),
            "a",
            "a=1&",
            "&a=1",
            "a=1&&b=2",
            "a=%fc",
            "a=%FC",
            "a=%zz",
            "a=%",
            "a=b c",
            "a=%20",
            "a=%7E%2D",
            "a=%c3%bc",
            "a=ü",
            "a=1=2",
            "a=x%0Ay",
            "a=x%0Dy",
            "a%0A=x",
            "a=x%0D%0D%0Ay",
            "a=%00",
            "_charset_=windows-1252",
            "_Charset_=",
            "{\"a\":1}",
        ] {
            assert!(fields(body).is_none(), "{body:.60}");
        }
    }

    #[test]
    fn a_record_is_sealed_for_one_browser_one_host_and_one_form() {
        let claim = |id: &str, secret: &str| PostClaim { id: id.to_owned(), secret: secret.to_owned() };
        let honest = claim("0123456789abcdef0123", "s").purpose("app.example.com");
        for other in [
            claim("0123456789abcdef0123", "t").purpose("app.example.com"),
            claim("0123456789abcdef0124", "s").purpose("app.example.com"),
            claim("0123456789abcdef0123", "s").purpose("other.example.com"),
        ] {
            assert_ne!(honest, other);
        }
    }
}
