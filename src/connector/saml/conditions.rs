//! When, for whom and where an assertion counts (SAML 2.0 Profiles, section 4.1.4.3).
