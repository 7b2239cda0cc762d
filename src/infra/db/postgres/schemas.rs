//! Replaces the schema of a database by another that was filled beside it.

use postgres::Client;

use super::{Target, errors::failure, exclusive::lock};
use crate::core::error::{Error, Result};

/// The prefix of schemas that are being filled. One that an interrupted restore has left is dropped by the next.
const PREFIX: &str = "shop_restore_";

/// A schema that is filled beside the current one. Unless it replaces that one, it is dropped.
pub(in crate::infra::db) struct NewSchema {
    target: Target,
    name: String,
    is_current: bool,
}

impl NewSchema {
    /// Creates the schema, and drops those that interrupted restores have left.
    ///
    /// Errors: `unavailable` if a server or a command uses the database, or the role may not create schemas.
    pub(in crate::infra::db) fn create(target: &Target, suffix: &str) -> Result<NewSchema> {
        let name = format!("{PREFIX}{suffix}");
        let mut guard = lock(target)?;
        let leftovers = guard
            .query(
                "SELECT nspname::text AS name FROM pg_namespace WHERE starts_with(nspname::text, $1)",
                &[&PREFIX],
            )
            .map_err(|error| failure(&error))?;
        for row in leftovers {
            let drop = format!("DROP SCHEMA {} CASCADE", quoted(row.get("name")));
            run(&mut guard, &drop, target)?;
        }
        run(
            &mut guard,
            &format!("CREATE SCHEMA {}", quoted(&name)),
            target,
        )?;
        Ok(NewSchema {
            target: target.clone(),
            name,
            is_current: false,
        })
    }

    /// Returns the database with this schema as its current one.
    pub(in crate::infra::db) fn target(&self) -> Target {
        let mut target = self.target.clone();
        let set = format!("-c search_path={}", self.name);
        let options = match target.config.get_options() {
            Some(others) => format!("{others} {set}"),
            None => set,
        };
        target.config.options(options);
        target
    }

    /// Renames the current schema to `aside` and this one to its name, in one transaction.
    ///
    /// Errors: `unavailable` if a server or a command uses the database, or the role does not own the schema.
    pub(in crate::infra::db) fn replace_current(mut self, aside: &str) -> Result<()> {
        let mut guard = lock(&self.target)?;
        let current: String = guard
            .query_one("SELECT current_schema()::text AS name", &[])
            .map_err(|error| failure(&error))?
            .get("name");
        let (current, aside, name) = (quoted(&current), quoted(aside), quoted(&self.name));
        let swap = format!(
            "BEGIN; ALTER SCHEMA {current} RENAME TO {aside}; ALTER SCHEMA {name} RENAME TO {current}; COMMIT"
        );
        run(&mut guard, &swap, &self.target)?;
        self.is_current = true;
        Ok(())
    }
}

impl Drop for NewSchema {
    fn drop(&mut self) {
        if self.is_current {
            return;
        }
        let drop = format!("DROP SCHEMA IF EXISTS {} CASCADE", quoted(&self.name));
        let dropped = lock(&self.target).and_then(|mut guard| run(&mut guard, &drop, &self.target));
        if let Err(error) = dropped {
            let name = &self.name;
            tracing::warn!(name, %error, "cannot drop the schema of a failed restore; the next restore will");
        }
    }
}

fn run(client: &mut Client, sql: &str, target: &Target) -> Result<()> {
    client.batch_execute(sql).map_err(|error| {
        let user = target.config.get_user().unwrap_or_default();
        let why = error
            .as_db_error()
            .map_or_else(|| error.to_string(), |error| error.message().to_owned());
        Error::unavailable(format!(
            "cannot replace the schema of the database {}: {why}; `{user}` must own the schema and may need `GRANT \
             CREATE ON DATABASE`",
            target.name()
        ))
    })
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
