//! Encrypted assertions.
