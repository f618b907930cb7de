//! Forms (`application/x-www-form-urlencoded`), read as every framework would.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::{Refused, folded};

/// The value of `field`, if it is there once.
pub(super) fn user_name(field: &str, body: &[u8]) -> Result<String, Refused> {
    let mut value = None;
    for piece in body.split(|b| *b == b'&') {
        let (name, found) = split(piece);
        // Older parsers end a field at a semicolon too: whatever they would find behind one is looked at as well.
        for (i, part) in piece.split(|b| *b == b';').enumerate() {
            let (name, _) = split(part);
            if escapes_are_broken(name) {
                return Err(Refused::Malformed);
            }
            if i > 0 && resembles(&decoded(name), field) {
                return Err(Refused::NameTwice);
            }
        }
        let name = decoded(name);
        if !resembles(&name, field) {
            continue;
        }
        if value.is_some() || name != field {
            return Err(Refused::NameTwice);
        }
        if escapes_are_broken(found) || found.contains(&b';') {
            return Err(Refused::NameMalformed);
        }
        let bytes = plus_is_space(found);
        let text = percent_decode(&bytes).decode_utf8().map_err(|_| Refused::NameMalformed)?;
        value = Some(text.into_owned());
    }
    value.ok_or(Refused::NameMissing)
}

/// The names of a form's or query's fields, as leniently as anybody reads them.
pub(super) fn names(text: &[u8]) -> impl Iterator<Item = String> {
    text.split(|b| *b == b'&' || *b == b';').map(|piece| decoded(split(piece).0))
}

/// Whether some framework would take the field `name` for `field`: in other case, with PHP's marks for a list, behind
/// blanks, or cut at a NUL.
pub(super) fn resembles(name: &str, field: &str) -> bool {
    let (name, field) = (lenient(name), lenient(field));
    name == field || name.strip_prefix(&field).is_some_and(|rest| rest.starts_with('['))
}

fn lenient(name: &str) -> String {
    let name = name.split('\0').next().unwrap_or_default().trim();
    let same = |c| if matches!(c, '.' | ' ') { '_' } else { c };
    folded(name).chars().map(same).collect()
}

fn split(piece: &[u8]) -> (&[u8], &[u8]) {
    let at = piece.iter().position(|b| *b == b'=').unwrap_or(piece.len());
    let (name, rest) = piece.split_at_checked(at).unwrap_or((piece, &[]));
    (name, rest.get(1..).unwrap_or_default())
}

fn decoded(bytes: &[u8]) -> String {
    percent_decode(&plus_is_space(bytes)).decode_utf8_lossy().into_owned()
}

fn plus_is_space(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.contains(&b'+') {
        true => bytes.iter().map(|b| if *b == b'+' { b' ' } else { *b }).collect(),
        false => Cow::Borrowed(bytes),
    }
}

/// Whether a `%` stands before something else than two hexadecimal digits: readers differ on what that is.
fn escapes_are_broken(bytes: &[u8]) -> bool {
    bytes.split(|b| *b == b'%').skip(1).any(|rest| {
        let digits = rest.get(..2).unwrap_or_default();
        digits.len() < 2 || !digits.iter().all(u8::is_ascii_hexdigit)
    })
}
