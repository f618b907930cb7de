//! The provider's status codes, in words.
