//! `shop admin user …`.

use std::{io::Read, sync::Arc};

use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use crate::{
    app::App,
    cli::output::{Output, escape},
    core::{
        clock::Timestamp,
        error::{Error, Result},
        pagination::{List, ListRequest, PageRequest},
    },
    domain::{
        accounts::{self, Email, NewPassword, NewUser, PasswordHash, PersonName, Role},
        orders::{self, Filters},
    },
    infra::db::Tx,
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum User {
    /// Make a verified account
    Add {
        /// The address to sign in with
        #[arg(long)]
        email: String,
        /// The person's name
        #[arg(long)]
        name: String,
        /// What the account may do
        #[arg(long, value_enum, ignore_case = true, default_value = "CUSTOMER")]
        role: RoleName,
        /// Read the password from stdin; without it a link to set one is printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// List all accounts
    List,
    /// Show an account: its state, its orders, and where it is signed in
    Show { email: String },
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

/// An account with what support asks for.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Shown {
    #[serde(flatten)]
    user: accounts::User,
    is_disabled: bool,
    disabled_at: Option<Timestamp>,
    orders: Orders,
    sessions: Vec<accounts::Session>,
}

#[derive(Debug, Serialize)]
struct Orders {
    total: i64,
    /// The number of the newest.
    newest: Option<String>,
}

const NEWEST: PageRequest = PageRequest { page: 1, limit: 1 };

impl User {
    pub(in crate::cli) async fn run(self, app: &Arc<App>, output: Output) -> Result<()> {
        match self {
            User::Add {
                email,
                name,
                role,
                password_stdin,
            } => {
                let email = parse_email("--email", &email)?;
                let name =
                    PersonName::try_from(name).map_err(|e| Error::field("--name", "invalid", e))?;
                let given = password_stdin.then(|| read_password(&email)).transpose()?;
                let rng = app.rng.clone();
                let hash = move |memory: &mut _| match given {
                    Some(password) => password.hash(memory, &rng),
                    None => PasswordHash::of_nothing(memory, &rng),
                };
                let password = app.hash_pool.run_with(hash).await?;
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
                let users = app.db.long_read("accounts.all", accounts::all).await?;
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
            User::Show { email } => show(app, output, &email).await,
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

async fn show(app: &Arc<App>, output: Output, email: &str) -> Result<()> {
    let (shop, email) = (Arc::clone(app), parse_email("EMAIL", email)?);
    let find = move |tx: &mut Tx<'_>| {
        let user = accounts::user_by_email(tx, &email)?;
        let of_user = Filters {
            user: Some(user.id),
            ..Filters::default()
        };
        let List::Page(orders) = orders::list(tx, &shop, &of_user, &ListRequest::Page(NEWEST))?
        else {
            return Err(Error::internal("a page was asked for"));
        };
        let disabled_at = accounts::disabled_at(tx, user.id)?;
        Ok(Shown {
            is_disabled: disabled_at.is_some(),
            disabled_at,
            sessions: accounts::sessions(tx, user.id)?,
            orders: Orders {
                total: orders.total,
                newest: orders.data.first().map(|order| order.number.to_string()),
            },
            user,
        })
    };
    let shown = app.db.long_read("accounts.show", find).await?;
    output.one(&shown, &shown.words())
}

impl Shown {
    fn words(&self) -> String {
        let user = &self.user;
        let yes = |is: bool| if is { "yes" } else { "no" };
        let phone = match (&user.phone, user.is_phone_verified) {
            (None, _) => "none".to_owned(),
            (Some(phone), true) => format!("{phone}, verified"),
            (Some(phone), false) => format!("{phone}, not verified"),
        };
        let disabled = self.disabled_at.map(|at| format!("since {at}"));
        let orders = match &self.orders.newest {
            None => self.orders.total.to_string(),
            Some(newest) => format!("{}, the newest {newest}", self.orders.total),
        };
        let about = format!(
            "{}\nid: {}\nname: {}\nrole: {}\ncreated: {}\nemail verified: {}\nphone: {phone}\n\
             disabled: {}\norders: {orders}\nsessions: {}",
            escape(&user.email),
            user.id,
            escape(&user.name),
            user.role.as_str(),
            user.created_at,
            yes(user.is_email_verified),
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
        let lines: Vec<_> = [about].into_iter().chain(sessions).collect();
        lines.join("\n")
    }
}

/// Does something to the account of that address.
async fn change<T: Send + 'static>(
    app: &App,
    email: &str,
    mut work: impl FnMut(&mut Tx<'_>, accounts::User) -> Result<T> + Send + 'static,
) -> Result<T> {
    let email = parse_email("EMAIL", email)?;
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

fn parse_email(argument: &str, text: &str) -> Result<Email> {
    Email::parse(text).map_err(|e| Error::field(argument, "invalid", e))
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
