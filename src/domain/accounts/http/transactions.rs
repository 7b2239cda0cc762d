//! Transactions on behalf of a user. The session is checked in the transaction that does the work, so that a
//! logout cannot happen in between, and no handler can forget the check.

use bytes::Bytes;

use super::Admin;
use crate::{
    app::App,
    core::{error::Result, id::UserId},
    domain::accounts::{
        CurrentUser,
        authenticate::{authenticate, authenticated, queue_authentication, require_admin},
    },
    infra::{
        db::Tx,
        web::{
            idempotency::{self, IdempotencyKey, StoredResponse},
            jwt::Claims,
        },
    },
};

/// Every method also fails with `unauthorized` if the session has ended, and those of admins with `forbidden` if
/// the user is no longer one.
impl App {
    /// Runs a short read for the user of an access token. See [`Db::read`](crate::infra::db::Db::read).
    pub async fn read_as<T, F>(&self, claims: &Claims, name: &'static str, mut work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        let claims = *claims;
        let work = move |tx: &mut Tx<'_>| {
            let user = authenticate(tx, &claims)?;
            work(tx, user)
        };
        self.db.read(name, work).await
    }

    /// Runs a write for the user of an access token. See [`Db::write`](crate::infra::db::Db::write).
    pub async fn write_as<T, F>(
        &self,
        claims: &Claims,
        name: &'static str,
        mut work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        let nothing = |_: &mut Tx<'_>, _| Ok(());
        self.write_queued_as(claims, name, nothing, move |tx, user, ()| work(tx, user))
            .await
    }

    /// Like [`App::write_as`]. The queries that `queue` queues share the round trip of the session check. They run
    /// before its result is known, so `queue` must not write.
    pub async fn write_queued_as<Q, T, W>(
        &self,
        claims: &Claims,
        name: &'static str,
        mut queue: impl FnMut(&mut Tx<'_>, UserId) -> Result<Q> + Send + 'static,
        mut work: W,
    ) -> Result<T>
    where
        T: Send + 'static,
        W: FnMut(&mut Tx<'_>, CurrentUser, Q) -> Result<T> + Send + 'static,
    {
        let claims = *claims;
        let work = move |tx: &mut Tx<'_>| {
            let user = queue_authentication(tx, &claims)?;
            let queued = queue(tx, claims.sub)?;
            let user = authenticated(tx, user)?;
            work(tx, user, queued)
        };
        self.db.write(name, work).await
    }

    /// Like [`App::read_as`], for an admin.
    pub async fn read_as_admin<T, F>(&self, admin: &Admin, name: &'static str, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        self.db.read(name, admin.checked(work)).await
    }

    /// Runs a long read for an admin. See [`Db::long_read`](crate::infra::db::Db::long_read).
    pub async fn long_read_as_admin<T, F>(
        &self,
        admin: &Admin,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        self.db.long_read(name, admin.checked(work)).await
    }

    /// Like [`App::write_as`], for an admin.
    pub async fn write_as_admin<T, F>(
        &self,
        admin: &Admin,
        name: &'static str,
        work: F,
    ) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    {
        self.db.write(name, admin.checked(work)).await
    }

    /// Like [`App::write_as_admin`], once per idempotency key: a repeat replays the first response. `body` is the
    /// body of the request.
    ///
    /// Errors: as [`idempotency::once`].
    pub async fn write_once_as_admin<F>(
        &self,
        admin: &Admin,
        name: &'static str,
        (key, body): (IdempotencyKey, Bytes),
        mut work: F,
    ) -> Result<StoredResponse>
    where
        F: FnMut(&mut Tx<'_>) -> Result<StoredResponse> + Send + 'static,
    {
        self.write_as_admin(admin, name, move |tx, admin| {
            idempotency::once(tx, &key, admin.user, &body, &mut work)
        })
        .await
    }
}

impl Admin {
    /// Returns `work` after a check that the user still is an admin.
    fn checked<T>(
        &self,
        mut work: impl FnMut(&mut Tx<'_>, CurrentUser) -> Result<T> + Send + 'static,
    ) -> impl FnMut(&mut Tx<'_>) -> Result<T> + Send + 'static {
        let Admin(claims) = *self;
        move |tx: &mut Tx<'_>| {
            let admin = require_admin(tx, &claims)?;
            work(tx, admin)
        }
    }
}
