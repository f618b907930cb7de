//! Signatures over XML: the one place that knows the library (docs/decisions/0015).
