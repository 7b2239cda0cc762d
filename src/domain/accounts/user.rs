//! User accounts and their roles.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};
use utoipa::ToSchema;

use super::{email::Email, password::PasswordHash};
use crate::core::{
    clock::Timestamp,
    column::text_columns,
    error::{Error, Result},
    id::UserId,
    text::short_texts,
};

/// The role of an account. Admins may do everything that customers may.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumString, IntoStaticStr,
)]
#[serde(rename_all = "UPPERCASE")]
#[strum(serialize_all = "UPPERCASE")]
pub enum Role {
    Customer,
    Admin,
}

text_columns!(Role);

short_texts! {
    /// A person's name.
    PersonName
}

/// An account as its owner and admins see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct User {
    pub id: UserId,
    pub email: String,
    pub name: String,
    pub role: Role,
    pub is_email_verified: bool,
    /// E.164, e.g. `+919812345678`.
    #[schema(required)]
    pub phone: Option<String>,
    pub is_phone_verified: bool,
    pub created_at: Timestamp,
}

impl User {
    /// Returns the account's email address in its normalized form.
    pub(super) fn parsed_email(&self) -> Result<Email> {
        Email::parse(&self.email).map_err(Error::internal)
    }
}

/// The data of an account to be created.
#[derive(Debug, Clone)]
pub struct NewUser {
    pub email: Email,
    pub name: PersonName,
    pub password: PasswordHash,
    pub role: Role,
    /// Whether the email address counts as verified, e.g. because an admin entered it.
    pub verified: bool,
}
