//! A response, judged.
