//! A database that one program has to itself: nobody serves it, and nobody can begin to.

use postgres::Client;

use super::{
    Setup,
    publisher::{FIND_OTHER, NUMBER},
    session::{Session, failure},
};
use crate::{
    core::error::{Error, Result},
    infra::db::migrate::MIGRATING,
};

pub(in crate::infra::db) struct Lone {
    pub(in crate::infra::db) session: Session,
    /// Holds the lock that everyone takes who opens the database.
    guard: Client,
}

impl Lone {
    pub(in crate::infra::db) fn open(setup: &Setup) -> Result<Lone> {
        let failed = |error: postgres::Error| failure(&error);
        let mut guard = setup.target.connect()?;
        let free: bool = guard
            .query_one("SELECT pg_try_advisory_lock($1)", &[&MIGRATING])
            .map_err(failed)?
            .get(0);
        let served = guard
            .query_opt(FIND_OTHER, &[&[0_u32; 0].as_slice()])
            .map_err(failed)?;
        if !free || served.is_some() {
            return Err(Error::unavailable(format!(
                "the database {} is in use by a server or a command; stop them first",
                setup.target.name()
            )));
        }
        Ok(Lone {
            session: Session::open(setup)?,
            guard,
        })
    }

    /// Gives every committed event its number.
    pub(in crate::infra::db) fn number_events(&mut self) -> Result<()> {
        let numbered = self.guard.batch_execute(NUMBER);
        numbered.map_err(|error| failure(&error))
    }

    pub(in crate::infra::db) fn analyze(&mut self) -> Result<()> {
        let analyzed = self.guard.batch_execute("ANALYZE");
        analyzed.map_err(|error| failure(&error))
    }
}
