//! Single logout: requests and answers, in both directions (SAML 2.0 Profiles, section 4.4).
