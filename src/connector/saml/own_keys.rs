//! Our own keys: to sign requests with, and for assertions that are encrypted to us.
