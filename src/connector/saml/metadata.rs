//! The provider's metadata (SAML 2.0 Metadata).
