//! How messages travel: HTTP-Redirect and HTTP-POST (SAML 2.0 Bindings, sections 3.4 and 3.5).
