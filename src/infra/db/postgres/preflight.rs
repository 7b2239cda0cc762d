//! Preflight checks: whether the shop can use a database.

use postgres::{Client, error::SqlState};

use super::{Target, errors::failure};
use crate::core::error::{Error, Result};

/// The minimum `server_version_num`: Postgres 14.
const MIN_VERSION: i32 = 140_000;

impl Target {
    /// Checks server version, encoding, permissions, and that the database is writable and does not belong to
    /// another program. Changes nothing. Returns the version of the shop's schema, or `None` if there is none.
    ///
    /// Errors: `unavailable` with the reason and a remedy.
    pub(in crate::infra::db) fn check(&self, client: &mut Client) -> Result<Option<u32>> {
        let name = self.name();
        let failed = |error: postgres::Error| failure(&error);
        let row = client
            .query_one(
                "SELECT current_setting('server_version_num')::int AS version_number,
                        pg_is_in_recovery() AS is_replica,
                        getdatabaseencoding()::text AS encoding, current_schema()::text AS schema,
                        coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
                        to_regclass('refinery_schema_history') IS NOT NULL AS has_history,
                        current_setting('server_version') AS version,
                        current_setting('transaction_read_only') AS read_only",
                &[],
            )
            .map_err(failed)?;
        let reject = |why: String| Err(Error::unavailable(format!("the database {name} {why}")));
        if row.get::<_, i32>("version_number") < MIN_VERSION {
            let version: String = row.get("version");
            return reject(format!("is Postgres {version}; 14 or later is needed"));
        }
        if row.get("is_replica") {
            return reject("is a read-only replica; use the primary".to_owned());
        }
        if row.get::<_, &str>("read_only") == "on" {
            return reject("is read-only (`default_transaction_read_only`)".to_owned());
        }
        let encoding: String = row.get("encoding");
        if encoding != "UTF8" {
            return reject(format!(
                "has the encoding {encoding}; create it with `createdb -E UTF8 -T template0`"
            ));
        }
        let user = self.config.get_user().unwrap_or_default();
        if !row.get::<_, bool>("has_history") {
            // Relations of an extension do not count. The schema is checked again, because another instance
            // may have created it since the first query.
            let others = client
                .query(
                    "SELECT c.relname::text AS name FROM pg_class c
                     JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
                     WHERE to_regclass('refinery_schema_history') IS NULL AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS (
                         SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
                     ORDER BY 1 LIMIT 3",
                    &[],
                )
                .map_err(failed)?;
            if !others.is_empty() {
                let tables: Vec<_> = others
                    .iter()
                    .map(|row| row.get::<_, &str>("name"))
                    .collect();
                return reject(format!(
                    "belongs to another program (it contains `{}`); use a separate database",
                    tables.join("`, `")
                ));
            }
            if row.get::<_, Option<String>>("schema").is_none() || !row.get::<_, bool>("may_create")
            {
                return reject(format!(
                    "does not allow `{user}` to create tables; run `GRANT CREATE, USAGE ON SCHEMA public TO \
                     {user}` there, or make `{user}` its owner"
                ));
            }
            return Ok(None);
        }
        let history = client.query_one(
            "SELECT max(version) AS version,
                    (SELECT name FROM refinery_schema_history WHERE version = 1) AS first
             FROM refinery_schema_history",
            &[],
        );
        let history = match history {
            Err(error) if error.code() == Some(&SqlState::INSUFFICIENT_PRIVILEGE) => {
                return reject(format!(
                    "contains a shop owned by another role; use that role in the URL, or make `{user}` a \
                     member of it"
                ));
            }
            Err(error) if error.code() == Some(&SqlState::UNDEFINED_COLUMN) => {
                return reject(
                    "belongs to another program (its `refinery_schema_history` has other columns); \
                     use a separate database"
                        .to_owned(),
                );
            }
            history => history.map_err(failed)?,
        };
        match history.get::<_, Option<String>>("first") {
            Some(name) if name != "accounts" => reject(format!(
                "belongs to another program (its first migration is `{name}`); use a separate database"
            )),
            None => Ok(None),
            Some(_) => {
                let version: Option<i32> = history.get("version");
                Ok(version.and_then(|version| version.try_into().ok()))
            }
        }
    }
}
