//! Accounts: registration, sign-in, sessions, roles, and verification of emails and phones.
//!
//! An access token is a JWT that names a session. Handlers open transactions with
//! [`App::write_as`](crate::app::App::write_as) and its siblings, which check the session first.

mod attempt_limits;
mod authenticate;
mod change_password;
mod cleanup;
mod email;
mod email_links;
mod first_admin;
pub mod http;
mod known_networks;
mod link_purpose;
mod lookup;
mod password;
mod phone;
pub mod problems;
pub mod rate_limit_classes;
mod register;
mod reset_password;
mod secret;
mod session;
mod sign_in;
mod sign_out;
mod store;
mod update;
mod user;
mod verify_phone;

pub use self::{
    attempt_limits::{ATTEMPT_LIMITS, AttemptLimit},
    cleanup::delete_expired,
    email::Email,
    email_links::{new_link, reset_link},
    first_admin::{FIRST_ADMIN_PATH, first_admin_link},
    link_purpose::LinkPurpose,
    lookup::{
        address, admin_addresses, all, disabled_at, has_admin, prefetch_address, sessions,
        user_by_email, user_by_id,
    },
    password::{HashMemory, NewPassword, PasswordHash, SubmittedPassword, hashing_slots},
    register::register,
    session::{CurrentUser, Session, SessionTokens},
    sign_in::{credentials, sign_in},
    sign_out::log_out,
    update::{set_disabled, set_password, set_role},
    user::{NewUser, PersonName, Role, User},
};
