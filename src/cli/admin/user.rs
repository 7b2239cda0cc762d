//! `shop admin user …`.

use std::{io::Read, sync::Arc};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::{
    accounts::{self, Email, NewPassword, NewUser, PasswordHash, PersonName, Role},
    cli::output::Output,
    db::Tx,
    error::{Error, Result},
    web::App,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum User {
    /// Make a verified account
    Add {
        #[arg(long)]
        email: String,
        #[arg(long)]
        name: String,
        #[arg(long, value_enum, ignore_case = true, default_value = "CUSTOMER")]
        role: RoleName,
        /// Read the password from stdin; without it a link to set one is printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all accounts
    List,
    /// Give an account a role; its sessions end at their next request
    Role {
        email: String,
        #[arg(value_enum, ignore_case = true)]
        role: RoleName,
    },
    /// Let an account sign in no more; its sessions end at their next request
    Disable { email: String },
    /// Let a disabled account sign in again
    Enable { email: String },
    /// End the sessions of an account
    Logout { email: String },
    /// Print a link, good once and for an hour, by which the account's owner sets a new password
    ResetPassword { email: String },
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

/// An account and what its owner sets a password with.
#[derive(Debug, Serialize)]
struct Linked {
    #[serde(flatten)]
    user: accounts::User,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// An account as the list shows it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Listed {
    #[serde(flatten)]
    user: accounts::User,
    is_disabled: bool,
}

impl User {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            User::Add {
                email,
                name,
                role,
                password_stdin,
            } => {
                let email = parse_email(&email)?;
                let name =
                    PersonName::try_from(name).map_err(|e| Error::field("--name", "invalid", e))?;
                let given = password_stdin.then(|| read_password(&email)).transpose()?;
                let chance = app.chance.clone();
                let hash = move |memory: &mut _| match given {
                    Some(password) => password.hash(memory, &chance),
                    None => PasswordHash::of_nothing(memory, &chance),
                };
                let password = app.hashing.run_with(hash).await?;
                let new = NewUser {
                    email,
                    name,
                    password,
                    role: role.into(),
                    verified: true,
                };
                let shop = Arc::clone(app);
                let made = app
                    .db
                    .write("accounts.add", move |tx| {
                        let user = accounts::register(tx, &new)?;
                        let link = (!password_stdin)
                            .then(|| accounts::reset_link(tx, &shop, user.id))
                            .transpose()?;
                        Ok(Linked { user, link })
                    })
                    .await?;
                let words = format!("made {} ({})", made.user.email, made.user.role.as_str());
                output.one(&made, &with_link(words, made.link.as_deref()))
            }
            User::List => {
                let users = app.db.scan("accounts.all", accounts::all).await?;
                let users: Vec<_> = users
                    .into_iter()
                    .map(|(user, is_disabled)| Listed { user, is_disabled })
                    .collect();
                let head = ["email", "name", "role", "verified", "disabled", "created"];
                let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
                output.table(&head, &users, |Listed { user, is_disabled }| {
                    vec![
                        user.email.clone(),
                        user.name.clone(),
                        user.role.as_str().to_owned(),
                        yes(user.is_email_verified),
                        yes(*is_disabled),
                        user.created_at.to_string(),
                    ]
                })
            }
            User::Role { email, role } => {
                let user = change(app, &email, move |tx, user| {
                    accounts::set_role(tx, user.id, role.into())
                })
                .await?;
                output.one(
                    &user,
                    &format!("{} is {} now", user.email, user.role.as_str()),
                )
            }
            User::Disable { email } => {
                let listed = set_disabled(app, &email, true).await?;
                let words = format!("{} cannot sign in any more", listed.user.email);
                output.one(&listed, &words)
            }
            User::Enable { email } => {
                let listed = set_disabled(app, &email, false).await?;
                let words = format!("{} can sign in again", listed.user.email);
                output.one(&listed, &words)
            }
            User::Logout { email } => {
                let user = change(app, &email, |tx, user| {
                    accounts::sign_out_everywhere(tx, user.id).map(|()| user)
                })
                .await?;
                output.one(&user, &format!("{} is signed out everywhere", user.email))
            }
            User::ResetPassword { email } => {
                let shop = Arc::clone(app);
                let linked = change(app, &email, move |tx, user| {
                    let link = Some(accounts::reset_link(tx, &shop, user.id)?);
                    Ok(Linked { user, link })
                })
                .await?;
                let words = format!("for {}", linked.user.email);
                output.one(&linked, &with_link(words, linked.link.as_deref()))
            }
        }
    }
}

/// Does something to the account of that address.
async fn change<T: Send + 'static>(
    app: &App,
    email: &str,
    mut work: impl FnMut(&mut Tx<'_>, accounts::User) -> Result<T> + Send + 'static,
) -> Result<T> {
    let email = parse_email(email)?;
    app.db
        .write("accounts.change", move |tx| {
            let user = accounts::user_by_email(tx, &email)?;
            work(tx, user)
        })
        .await
}

async fn set_disabled(app: &App, email: &str, is_disabled: bool) -> Result<Listed> {
    change(app, email, move |tx, user| {
        accounts::set_disabled(tx, user.id, is_disabled)?;
        Ok(Listed { user, is_disabled })
    })
    .await
}

fn with_link(words: String, link: Option<&str>) -> String {
    match link {
        None => words,
        Some(link) => {
            format!("{words}\nset the password, once and within 60 minutes, at\n  {link}")
        }
    }
}

fn parse_email(text: &str) -> Result<Email> {
    Email::parse(text).map_err(|e| Error::field("--email", "invalid", e))
}

fn read_password(email: &Email) -> Result<NewPassword> {
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|e| Error::unavailable(format!("cannot read the password from stdin: {e}")))?;
    let text = text.trim_end_matches(['\r', '\n']).to_owned();
    let password = NewPassword::try_from(text)
        .map_err(|e| Error::field("--password-stdin", "invalid", format!("the password {e}")))?;
    password.check_against(email, "--password-stdin")?;
    Ok(password)
}
