//! JSON sign-ins, read strictly: no member twice, at any level.

use serde_json::Value;

use super::{Refused, folded};
use crate::base::json;

/// The text at `pointer`.
pub(super) fn user_name(pointer: &[String], body: &[u8]) -> Result<String, Refused> {
    let document = json::parse(body).map_err(|_| Refused::Malformed)?;
    let mut at = &document;
    for part in pointer {
        at = match at {
            Value::Object(members) => {
                // Readers that ignore case would find two.
                let wanted = folded(part);
                if members.keys().any(|name| name != part && folded(name) == wanted) {
                    return Err(Refused::NameTwice);
                }
                members.get(part)
            }
            Value::Array(items) => part.parse::<usize>().ok().and_then(|index| items.get(index)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        }
        .ok_or(Refused::NameMissing)?;
    }
    match at {
        Value::String(text) => Ok(text.clone()),
        // Some number their users.
        Value::Number(number) => Ok(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(Refused::NameMalformed),
    }
}
