//! Sample users. Their passwords never depend on the seed.

use super::{
    random::pick,
    vocabulary::{FIRST_NAMES, LAST_NAMES},
};
use crate::{
    app::App,
    core::{
        error::{Error, Result},
        id::UserId,
        rng::Rng,
    },
    domain::accounts::{self, Email, NewPassword, NewUser, PasswordHash, PersonName, Role},
    infra::db::Tx,
};

/// The characters of generated passwords: without those that look alike, such as `l` and `1`.
const PASSWORD_CHARS: &[u8] = b"abcdefghijkmnpqrstuvwxyz23456789";

const PASSWORD_LEN: usize = 16;

/// Customers with one password.
pub(super) struct NewCustomers {
    pub(super) ids: Vec<UserId>,
    pub(super) emails: Vec<String>,
    pub(super) password: String,
}

/// Creates customers, numbered from the last one of earlier seeds. Returns `None` if `count` is 0.
pub(super) async fn create_customers(app: &App, count: u32) -> Result<Option<NewCustomers>> {
    if count == 0 {
        return Ok(None);
    }
    let (password, hash) = generate_password(app).await?;
    let last = app
        .db
        .long_read("seed.last_customer", last_customer_number)
        .await?;
    let (mut ids, mut emails) = (Vec::new(), Vec::new());
    for number in (1..=count).map(|number| last + u64::from(number)) {
        let email = format!("customer{number}@example.com");
        let name = format!(
            "{} {}",
            pick(&app.rng, FIRST_NAMES),
            pick(&app.rng, LAST_NAMES)
        );
        ids.push(create_user(app, &email, &name, Role::Customer, hash.clone()).await?);
        emails.push(email);
    }
    Ok(Some(NewCustomers {
        ids,
        emails,
        password,
    }))
}

/// Returns the highest number of a sample customer, or 0 if there is none.
fn last_customer_number(tx: &mut Tx<'_>) -> Result<u64> {
    let number = |user: &accounts::User| {
        let digits = user.email.strip_prefix("customer")?;
        let number: u32 = digits.strip_suffix("@example.com")?.parse().ok()?;
        Some(u64::from(number))
    };
    let users = accounts::all(tx)?;
    let numbers = users.iter().filter_map(|(user, _)| number(user));
    Ok(numbers.max().unwrap_or(0))
}

/// Returns a random password and its hash, from the system's random number generator.
pub(super) async fn generate_password(app: &App) -> Result<(String, PasswordHash)> {
    let text = Rng::system().text(PASSWORD_CHARS, PASSWORD_LEN);
    let password = NewPassword::try_from(text.clone()).map_err(Error::internal)?;
    Ok((text, hash_password(app, password).await?))
}

/// Returns the password that these random bytes determine.
pub(super) fn password_of(bytes: [u8; 32]) -> String {
    let letter = |byte: u8| char::from(PASSWORD_CHARS[usize::from(byte) % PASSWORD_CHARS.len()]);
    bytes.into_iter().take(PASSWORD_LEN).map(letter).collect()
}

pub(super) async fn hash_password(app: &App, password: NewPassword) -> Result<PasswordHash> {
    let hash = move |memory: &mut _| password.hash(memory, &Rng::system());
    app.hash_pool.run_with(hash).await
}

/// Creates a verified user.
pub(super) async fn create_user(
    app: &App,
    email: &str,
    name: &str,
    role: Role,
    password: PasswordHash,
) -> Result<UserId> {
    let new = NewUser {
        email: Email::parse(email).map_err(Error::internal)?,
        name: PersonName::try_from(name.to_owned()).map_err(Error::internal)?,
        password,
        role,
        verified: true,
    };
    let user = app
        .db
        .write("seed.user", move |tx| accounts::register(tx, &new))
        .await?;
    Ok(user.id)
}
