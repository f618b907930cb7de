//! What only a database can do wrong.

mod durability;
mod postgres;
mod sqlite;

use std::error::Error;

use crate::directory::{DirectoryError, OpenError};

/// An error with everything that a log could print of it.
fn in_full(error: &(dyn Error + 'static)) -> String {
    let mut text = format!("{error:?}");
    let mut next = Some(error);
    while let Some(error) = next {
        text.push_str(&format!("\n{error}"));
        next = error.source();
    }
    text
}

fn assert_unavailable<T: std::fmt::Debug>(result: Result<T, DirectoryError>, because: &str) {
    match result {
        Err(error @ DirectoryError::Unavailable(_)) => assert!(in_full(&error).contains(because), "{error:?}"),
        other => panic!("not unavailable: {other:?}"),
    }
}

fn assert_unreadable<T: std::fmt::Debug>(result: Result<T, DirectoryError>, what: &str) {
    match result {
        Err(DirectoryError::Unreadable(text)) => assert!(text.contains(what), "{text}"),
        other => panic!("not unreadable: {other:?}"),
    }
}

fn refused<T>(opened: Result<T, OpenError>) -> OpenError {
    opened.err().expect("it must not open")
}
