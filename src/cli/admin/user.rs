//! `shop admin user …`.

use std::{io::Read, sync::Arc};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::validator::Validator;
use crate::{
    app::App,
    cli::{
        output::{Output, escape, yes_or_no},
        write::write,
    },
    core::{
        clock::Timestamp,
        error::{Error, Result},
        pagination::{List, ListRequest, PageRequest},
    },
    domain::{
        accounts::{
            self, Email, LinkPurpose, NewPassword, NewUser, PasswordHash, PersonName, Role,
        },
        orders::{self, Filters},
    },
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum User {
    /// Create a verified user
    Add {
        /// Email address to sign in with
        #[arg(long)]
        email: String,
        /// Name of the user
        #[arg(long)]
        name: String,
        /// Role of the user
        #[arg(long, value_enum, ignore_case = true, default_value = "CUSTOMER")]
        role: RoleName,
        /// Read the password from stdin; without it, a link to set the password is printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all users
    List,
    /// Show a user with sessions and orders
    Show {
        /// Email address of the user
        email: String,
    },
    /// Change the role of a user and end the user's sessions
    Role {
        /// Email address of the user
        email: String,
        /// New role
        #[arg(value_enum, ignore_case = true)]
        role: RoleName,
    },
    /// Disable a user: end the user's sessions and refuse further sign-ins
    Disable {
        /// Email address of the user
        email: String,
    },
    /// Enable a disabled user
    Enable {
        /// Email address of the user
        email: String,
    },
    /// End all sessions of a user
    Logout {
        /// Email address of the user
        email: String,
    },
    /// Print a link for the user to set a new password; it works once, within an hour
    ResetPassword {
        /// Email address of the user
        email: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "UPPERCASE")]
pub(in crate::cli) enum RoleName {
    Customer,
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Customer => Role::Customer,
            RoleName::Admin => Role::Admin,
        }
    }
}

/// A user with a link to set the password.
#[derive(Debug, Serialize)]
struct UserWithLink {
    #[serde(flatten)]
    user: accounts::User,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// A user with the state that only operators see.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UserWithState {
    #[serde(flatten)]
    user: accounts::User,
    is_disabled: bool,
}

/// A user with what support needs to know.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct UserDetails {
    #[serde(flatten)]
    user: accounts::User,
    is_disabled: bool,
    disabled_at: Option<Timestamp>,
    orders: OrderSummary,
    sessions: Vec<accounts::Session>,
}

#[derive(Debug, Serialize)]
struct OrderSummary {
    total: i64,
    /// Number of the newest order.
    newest: Option<String>,
}

const NEWEST_ORDER: PageRequest = PageRequest { page: 1, limit: 1 };

impl User {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            User::Add {
                email,
                name,
                role,
                password_stdin,
            } => {
                let created = add(app, &email, name, role.into(), password_stdin).await?;
                let user = &created.user;
                let summary = format!("created {} ({})", user.email, user.role.as_str());
                output.value(&created, &with_link(summary, created.link.as_deref()))
            }
            User::List => list(app, output).await,
            User::Show { email } => show(app, output, &email).await,
            User::Role { email, role } => {
                let user = update(app, &email, move |tx, user| {
                    accounts::set_role(tx, user.id, role.into())
                })
                .await?;
                let summary = format!("{} now has the role {}", user.email, user.role.as_str());
                output.value(&user, &summary)
            }
            User::Disable { email } => {
                let updated = set_disabled(app, &email, true).await?;
                output.value(&updated, &format!("disabled {}", updated.user.email))
            }
            User::Enable { email } => {
                let updated = set_disabled(app, &email, false).await?;
                output.value(&updated, &format!("enabled {}", updated.user.email))
            }
            User::Logout { email } => {
                let user = update(app, &email, |tx, user| {
                    accounts::log_out(tx, user.id).map(|()| user)
                })
                .await?;
                output.value(&user, &format!("ended all sessions of {}", user.email))
            }
            User::ResetPassword { email } => {
                let updated = update(app, &email, move |tx, user| {
                    let link = Some(accounts::reset_link(tx, user.id)?);
                    Ok(UserWithLink { user, link })
                })
                .await?;
                let summary = format!("password reset of {}", updated.user.email);
                output.value(&updated, &with_link(summary, updated.link.as_deref()))
            }
        }
    }
}

async fn add(
    app: &Arc<App>,
    email: &str,
    name: String,
    role: Role,
    password_stdin: bool,
) -> Result<UserWithLink> {
    let mut args = Validator::default();
    let email = args.check("--email", Email::parse(email));
    let name = args.check("--name", PersonName::try_from(name));
    let (email, name) = args.finish(email.zip(name))?;
    let password = password_stdin.then(|| read_password(&email)).transpose()?;
    let rng = app.rng.clone();
    let hash = move |memory: &mut _| match password {
        Some(password) => password.hash(memory, &rng),
        None => PasswordHash::unusable(memory, &rng),
    };
    let password = app.hash_pool.run_with(hash).await?;
    let new = NewUser {
        email,
        name,
        password,
        role,
        verified: true,
    };
    write(app, "accounts.add", move |tx| {
        let user = accounts::register(tx, &new)?;
        let link = (!password_stdin)
            .then(|| accounts::new_link(tx, user.id, LinkPurpose::Reset))
            .transpose()?;
        Ok(UserWithLink { user, link })
    })
    .await
}

async fn list(app: &Arc<App>, output: Output) -> Result<()> {
    let users = app.db.long_read("accounts.all", accounts::all).await?;
    let users: Vec<_> = users
        .into_iter()
        .map(|(user, is_disabled)| UserWithState { user, is_disabled })
        .collect();
    let headings = ["email", "name", "role", "verified", "disabled", "created"];
    output.table(&headings, &users, |UserWithState { user, is_disabled }| {
        vec![
            user.email.clone(),
            user.name.clone(),
            user.role.as_str().to_owned(),
            yes_or_no(user.is_email_verified).to_owned(),
            yes_or_no(*is_disabled).to_owned(),
            user.created_at.to_string(),
        ]
    })
}

async fn show(app: &Arc<App>, output: Output, email: &str) -> Result<()> {
    let email = parse_email("EMAIL", email)?;
    let find = move |tx: &mut Tx<'_>| {
        let user = accounts::user_by_email(tx, &email)?;
        let filters = Filters {
            user: Some(user.id),
            ..Filters::default()
        };
        let request = ListRequest::Page(NEWEST_ORDER);
        let List::Page(orders) = orders::list(tx, &filters, &request)? else {
            return Err(Error::internal("expected a page"));
        };
        let disabled_at = accounts::disabled_at(tx, user.id)?;
        Ok(UserDetails {
            is_disabled: disabled_at.is_some(),
            disabled_at,
            sessions: accounts::sessions(tx, user.id)?,
            orders: OrderSummary {
                total: orders.total,
                newest: orders.data.first().map(|order| order.number.to_string()),
            },
            user,
        })
    };
    let details = app.db.long_read("accounts.show", find).await?;
    output.value(&details, &details.summary())
}

impl UserDetails {
    fn summary(&self) -> String {
        let user = &self.user;
        let phone = match (&user.phone, user.is_phone_verified) {
            (None, _) => "none".to_owned(),
            (Some(phone), true) => format!("{phone}, verified"),
            (Some(phone), false) => format!("{phone}, not verified"),
        };
        let disabled = self.disabled_at.map(|at| format!("since {at}"));
        let orders = match &self.orders.newest {
            None => self.orders.total.to_string(),
            Some(newest) => format!("{}, newest {newest}", self.orders.total),
        };
        let summary = format!(
            "{}\nid: {}\nname: {}\nrole: {}\ncreated: {}\nemail verified: {}\nphone: {phone}\n\
             disabled: {}\norders: {orders}\nsessions: {}",
            escape(&user.email),
            user.id,
            escape(&user.name),
            user.role.as_str(),
            user.created_at,
            yes_or_no(user.is_email_verified),
            disabled.as_deref().unwrap_or("no"),
            self.sessions.len(),
        );
        let sessions = self.sessions.iter().map(|session| {
            let refreshed = session.refreshed_at.map(|at| format!(", refreshed {at}"));
            format!(
                "  signed in {}{}, expires {}",
                session.signed_in_at,
                refreshed.unwrap_or_default(),
                session.expires_at
            )
        });
        let lines: Vec<_> = [summary].into_iter().chain(sessions).collect();
        lines.join("\n")
    }
}

/// Runs a write on the user with this email address.
async fn update<T: Send + 'static>(
    app: &App,
    email: &str,
    mut work: impl FnMut(&mut Tx<'_>, accounts::User) -> Result<T> + Send + 'static,
) -> Result<T> {
    let email = parse_email("EMAIL", email)?;
    write(app, "accounts.change", move |tx| {
        let user = accounts::user_by_email(tx, &email)?;
        work(tx, user)
    })
    .await
}

async fn set_disabled(app: &App, email: &str, is_disabled: bool) -> Result<UserWithState> {
    update(app, email, move |tx, user| {
        accounts::set_disabled(tx, user.id, is_disabled)?;
        Ok(UserWithState { user, is_disabled })
    })
    .await
}

fn with_link(summary: String, link: Option<&str>) -> String {
    match link {
        None => summary,
        Some(link) => format!(
            "{summary}\nopen this link to set the password; it works once, within 60 minutes\n  {link}"
        ),
    }
}

fn parse_email(argument: &str, text: &str) -> Result<Email> {
    Email::parse(text).map_err(|error| Error::field(argument, "invalid", error))
}

fn read_password(email: &Email) -> Result<NewPassword> {
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|error| {
            Error::command_failed(format!("cannot read the password from stdin: {error}"))
        })?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    let password = NewPassword::try_from(text).map_err(|error| {
        Error::field(
            "--password-stdin",
            "invalid",
            format!("the password {error}"),
        )
    })?;
    password.check_against(email, "--password-stdin")?;
    Ok(password)
}
