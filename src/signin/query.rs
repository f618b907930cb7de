//! The parameters of an authorization response (RFC 6749, section 4.1.2; RFC 9207).

/// What the provider sent back with the browser.
#[derive(Default)]
pub(super) struct Response {
    pub(super) code: Option<String>,
    pub(super) state: Option<String>,
    pub(super) iss: Option<String>,
    pub(super) error: Option<String>,
    pub(super) error_description: Option<String>,
}

/// Bytes of a query that are read.
const MAX_QUERY: usize = 16 * 1024;

/// What only the front channel of other flows carries: here it is somebody's injection (O25).
const FOREIGN: [&str; 5] = ["id_token", "access_token", "token_type", "expires_in", "SAMLResponse"];

impl Response {
    /// Reads the query of a callback.
    ///
    /// # Errors
    /// The reason code: a security parameter given twice (O19), one that does not belong here, or both an error and a
    /// code (O25).
    pub(super) fn parse(query: &str) -> Result<Self, &'static str> {
        if query.len() > MAX_QUERY {
            return Err("response_too_large");
        }
        let mut response = Self::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "code" => &mut response.code,
                "state" => &mut response.state,
                "iss" => &mut response.iss,
                "error" => &mut response.error,
                "error_description" => &mut response.error_description,
                foreign if FOREIGN.contains(&foreign) => return Err("unexpected_parameter"),
                _ => continue,
            };
            if slot.is_some() {
                return Err("duplicate_parameter");
            }
            *slot = Some(value.into_owned());
        }
        if response.code.is_some() && response.error.is_some() {
            return Err("unexpected_parameter");
        }
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason(query: &str) -> Option<&'static str> {
        Response::parse(query).err()
    }

    /// O19
    #[test]
    fn a_security_parameter_given_twice_is_refused() {
        assert_eq!(reason("code=a&state=b&iss=c"), None);
        for twice in ["code=a&code=a&state=b", "state=b&state=c&code=a", "iss=a&code=c&iss=a", "%63ode=a&code=b"] {
            assert_eq!(reason(twice), Some("duplicate_parameter"), "{twice}");
        }
        assert_eq!(reason("code=a&state=b&session_state=1&session_state=2"), None, "not ours to judge");
    }

    /// O25
    #[test]
    fn parameters_of_other_flows_are_refused() {
        for bad in ["code=a&error=b", "code=a&id_token=x", "state=s&access_token=x", "code=a&token_type=bearer"] {
            assert_eq!(reason(bad), Some("unexpected_parameter"), "{bad}");
        }
        assert_eq!(reason("error=access_denied&state=s&error_description=no"), None);
    }
}
