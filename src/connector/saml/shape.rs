//! What a message may look like, before any of its signatures is computed.
