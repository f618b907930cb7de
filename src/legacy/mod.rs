//! Moving in: what an application's own sessions and credentials count for here.
