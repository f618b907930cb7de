//! What a provider says of a request that it was sent (SAML 2.0 Core, section 3.2.2), reduced to known words: codes of
//! the specification, and Microsoft's number. Messages for people are left out, since they name persons.

use super::xml::{Element, SAMLP};
use crate::connector::error::microsoft_number;
use crate::connector::{ProviderError, Reason};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal;)*) => {
        /// A code of section 3.2.2.2.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code.
            pub(crate) const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Its name: what follows `urn:oasis:names:tc:SAML:2.0:status:`.
            pub(crate) const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

codes! {
    Success = "Success";
    /// Our request was at fault.
    Requester = "Requester";
    /// The provider was at fault, or will not say.
    Responder = "Responder";
    VersionMismatch = "VersionMismatch";
    /// The person did not prove who they are.
    AuthnFailed = "AuthnFailed";
    InvalidAttrNameOrValue = "InvalidAttrNameOrValue";
    /// The provider has no name of the format that we want.
    InvalidNameIdPolicy = "InvalidNameIDPolicy";
    /// The provider cannot sign in the way that we want.
    NoAuthnContext = "NoAuthnContext";
    NoAvailableIdp = "NoAvailableIDP";
    /// The person would have to be asked, and we asked for nothing to be asked.
    NoPassive = "NoPassive";
    NoSupportedIdp = "NoSupportedIDP";
    /// Not every session could be ended.
    PartialLogout = "PartialLogout";
    ProxyCountExceeded = "ProxyCountExceeded";
    /// The provider will not.
    RequestDenied = "RequestDenied";
    RequestUnsupported = "RequestUnsupported";
    RequestVersionDeprecated = "RequestVersionDeprecated";
    RequestVersionTooHigh = "RequestVersionTooHigh";
    RequestVersionTooLow = "RequestVersionTooLow";
    ResourceNotRecognized = "ResourceNotRecognized";
    TooManyResponses = "TooManyResponses";
    UnknownAttrProfile = "UnknownAttrProfile";
    /// The provider does not know the person.
    UnknownPrincipal = "UnknownPrincipal";
    UnsupportedBinding = "UnsupportedBinding";
}

/// Before the name of each code.
const PREFIX: &str = "urn:oasis:names:tc:SAML:2.0:status:";

impl Code {
    pub(crate) fn uri(self) -> String {
        format!("{PREFIX}{}", self.name())
    }

    fn read(uri: &str) -> Option<Self> {
        let name = uri.strip_prefix(PREFIX)?;
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

/// What a response says of its request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// None: a code that the specification does not have.
    pub(crate) top: Option<Code>,
    /// None: no sub-code, or one that the specification does not have.
    pub(crate) sub: Option<Code>,
    /// `AADSTS` and digits, out of the message.
    pub(crate) microsoft: Option<String>,
}

impl Status {
    /// Reads the one status of a response, of any kind.
    ///
    /// # Errors
    /// `saml_structure` where there is no status, or more than one.
    pub(crate) fn read(response: Element<'_>) -> Result<Self, ProviderError> {
        let missing = |what| ProviderError::new(Reason::SamlStructure).saying(what, "none");
        let status = response.only_child(SAMLP, "Status")?.ok_or_else(|| missing("one Status"))?;
        let code = status.only_child(SAMLP, "StatusCode")?.ok_or_else(|| missing("one StatusCode"))?;
        let value = |code: Element<'_>| {
            code.attribute("Value").map(Code::read).ok_or_else(|| missing("a StatusCode with a Value"))
        };
        let message = status.only_child(SAMLP, "StatusMessage")?.map(Element::text);
        Ok(Self {
            top: value(code)?,
            sub: code.only_child(SAMLP, "StatusCode")?.map(value).transpose()?.flatten(),
            microsoft: message.as_deref().and_then(microsoft_number).map(str::to_owned),
        })
    }

    /// Success, and nothing that takes from it: a sub-code of success only says how far it went.
    pub(crate) fn is_success(&self) -> bool {
        self.top == Some(Code::Success)
    }

    /// Whether some sessions went on. Providers put it below any top code.
    pub(crate) fn is_partial_logout(&self) -> bool {
        [self.top, self.sub].contains(&Some(Code::PartialLogout))
    }

    /// The code that says most: the sub-code where it is known.
    pub(crate) fn code(&self) -> Option<Code> {
        self.sub.or(self.top)
    }

    /// `saml_status`, unless the status is success. `found` is `NoPassive: Responder AADSTS50058`, so that what stands
    /// before the colon chooses the words of the page.
    ///
    /// # Errors
    /// `saml_status` (S23).
    pub(crate) fn demand_success(&self) -> Result<(), ProviderError> {
        if self.is_success() {
            return Ok(());
        }
        let name = |code: Option<Code>| code.map_or("unknown", Code::name);
        let mut found = format!("{}: {}", name(self.code()), name(self.top));
        if let Some(number) = &self.microsoft {
            found.push(' ');
            found.push_str(number);
        }
        Err(ProviderError::new(Reason::SamlStatus).saying("Success", found))
    }
}

#[cfg(test)]
mod tests;
