//! Which attributes of which product say what.
