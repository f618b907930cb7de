//! The request that starts a sign-in (SAML 2.0 Core, section 3.4.1).
