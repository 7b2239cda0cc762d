//! Converts parameters and result columns between the storage layer's types and the wire format of Postgres.

use bytes::BytesMut;
use postgres::{
    Row as PgRow,
    types::{FromSql, IsNull, ToSql, Type, to_sql_checked},
};

use crate::{
    core::error::{Error, Result},
    infra::db::{Cell, Cells, Value},
};

/// Rewrites the placeholders `?1` to `$1`, except in quoted strings.
pub(super) fn with_dollar_placeholders(sql: &str) -> String {
    let mut is_quoted = false;
    sql.chars()
        .map(|c| match c {
            '\'' => {
                is_quoted = !is_quoted;
                c
            }
            '?' if !is_quoted => '$',
            _ => c,
        })
        .collect()
}

impl Cells for PgRow {
    fn cell(&self, index: usize) -> Result<Cell<'_>> {
        self.try_get(index).map_err(Error::internal)
    }

    fn name(&self, index: usize) -> Option<&str> {
        self.columns().get(index).map(tokio_postgres::Column::name)
    }
}

impl<'a> FromSql<'a> for Cell<'a> {
    fn from_sql(
        kind: &Type,
        raw: &'a [u8],
    ) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(match *kind {
            Type::INT8 => Cell::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Cell::Int(i32::from_sql(kind, raw)?.into()),
            Type::BOOL => Cell::Int(bool::from_sql(kind, raw)?.into()),
            // The binary format of a UUID is its 16 bytes.
            Type::BYTEA | Type::UUID => Cell::Blob(raw),
            _ => Cell::Text(<&str>::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Cell::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::INT8 | Type::INT4 | Type::BOOL | Type::BYTEA | Type::UUID
        ) || <&str as FromSql>::accepts(kind)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match (self, kind) {
            (Value::Null, _) => Ok(IsNull::Yes),
            (Value::Int(value), &Type::INT8) => value.to_sql(kind, out),
            (Value::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(kind, out),
            (Value::Text(value), _) if <&str as ToSql>::accepts(kind) => value.to_sql(kind, out),
            (Value::Id(value), &Type::UUID | &Type::BYTEA) => {
                out.extend_from_slice(value.as_bytes());
                Ok(IsNull::No)
            }
            (Value::Blob(value), &Type::BYTEA) => value.to_sql(kind, out),
            (Value::Blob(value), &Type::UUID) if value.len() == 16 => {
                out.extend_from_slice(value);
                Ok(IsNull::No)
            }
            _ => Err(format!("{self:?} does not match the parameter type {kind}").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
