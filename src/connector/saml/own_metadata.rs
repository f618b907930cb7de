//! Our metadata, as an administrator registers it at the provider.
