//! Connectors: the corporate identity providers.
