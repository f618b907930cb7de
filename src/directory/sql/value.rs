//! Values that go into a statement and come out of a row: the few types that both engines share.

use sqlx::postgres::PgRow;
use sqlx::query::Query;
use sqlx::sqlite::SqliteRow;
use sqlx::{Database, Decode, Encode, Postgres, Row as _, Sqlite, Type};

use super::error::Fault;

/// A value of a statement.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    MaybeText(Option<&'a str>),
    Int(i64),
    MaybeInt(Option<i64>),
    Bytes(&'a [u8]),
    MaybeBytes(Option<&'a [u8]>),
}

/// An engine that takes our values.
pub(super) trait Engine: Database<Arguments: sqlx::IntoArguments<Self>> {
    /// Binds `values` in their order.
    fn bind<'q>(query: Query<'q, Self, Self::Arguments>, values: &[Value<'_>]) -> Query<'q, Self, Self::Arguments>;
}

impl<DB> Engine for DB
where
    DB: Database<Arguments: sqlx::IntoArguments<DB>>,
    for<'t> &'t str: Encode<'t, DB> + Type<DB>,
    for<'t> Option<&'t str>: Encode<'t, DB> + Type<DB>,
    for<'t> &'t [u8]: Encode<'t, DB> + Type<DB>,
    for<'t> Option<&'t [u8]>: Encode<'t, DB> + Type<DB>,
    for<'t> i64: Encode<'t, DB> + Type<DB>,
    for<'t> Option<i64>: Encode<'t, DB> + Type<DB>,
{
    fn bind<'q>(query: Query<'q, Self, Self::Arguments>, values: &[Value<'_>]) -> Query<'q, Self, Self::Arguments> {
        values.iter().fold(query, |query, value| match *value {
            Value::Text(text) => query.bind(text),
            Value::MaybeText(text) => query.bind(text),
            Value::Int(int) => query.bind(int),
            Value::MaybeInt(int) => query.bind(int),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::MaybeBytes(bytes) => query.bind(bytes),
        })
    }
}

/// A row of an answer.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    /// The value in column `index`.
    pub(super) fn get<'r, T>(&'r self, index: usize) -> Result<T, Fault>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite> + Decode<'r, Postgres> + Type<Postgres>,
    {
        let value = match self {
            Self::Sqlite(row) => row.try_get(index),
            Self::Postgres(row) => row.try_get(index),
        };
        Ok(value?)
    }
}
