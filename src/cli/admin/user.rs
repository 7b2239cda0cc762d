//! `shop admin user …`.

use std::{io::Read, sync::Arc};

use clap::{Subcommand, ValueEnum};

use crate::{
    accounts::{self, Email, NewPassword, NewUser, PersonName, Role},
    cli::output::Output,
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
        /// Read the password from stdin
        #[arg(long, required = true)]
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

impl User {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            User::Add {
                email, name, role, ..
            } => {
                let email = parse_email(&email)?;
                let name =
                    PersonName::try_from(name).map_err(|e| Error::field("--name", "invalid", e))?;
                let password = read_password(&email)?;
                let new = NewUser {
                    email,
                    name,
                    password: password.hash(&app.chance)?,
                    role: role.into(),
                    verified: true,
                };
                let user = app
                    .db
                    .write("accounts.add", move |tx| accounts::register(tx, &new))
                    .await?;
                output.one(
                    &user,
                    &format!("made {} ({})", user.email, user.role.as_str()),
                )
            }
            User::List => {
                let users = app.db.scan("accounts.list", accounts::list).await?;
                output.table(&["email", "name", "role", "created"], &users, |user| {
                    vec![
                        user.email.clone(),
                        user.name.clone(),
                        user.role.as_str().to_owned(),
                        user.created_at.to_string(),
                    ]
                })
            }
            User::Role { email, role } => {
                let email = parse_email(&email)?;
                let user = app
                    .db
                    .write("accounts.role", move |tx| {
                        let user = accounts::user_by_email(tx, &email)?;
                        accounts::set_role(tx, user.id, role.into())
                    })
                    .await?;
                output.one(
                    &user,
                    &format!("{} is {} now", user.email, user.role.as_str()),
                )
            }
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
