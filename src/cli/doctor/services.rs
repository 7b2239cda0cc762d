//! Checks outside the database: external services, backups, the certificate, the public URL.

use std::time::Duration;

use crate::{
    app::App,
    core::error::{self, chain},
    infra::backup::state::{self, State},
    server::{
        self, DataDir,
        checks::{self, Check, CheckStatus},
    },
};

/// How long a service may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Checks the mail server, the image store and the payment provider.
pub(super) async fn check(app: &App) -> Vec<Check> {
    let mail = async {
        let checked = app.mailer.check().await;
        checked.map_err(|refusal| refusal.why)
    };
    let images = async {
        let checked = app.images.check().await;
        checked.map_err(|error| chain(&error).to_string())
    };
    let payments = async {
        let checked = app.gateway.check().await;
        checked.map_err(|error| error.reason().to_owned())
    };
    let (mail, images, payments) = tokio::join!(
        within_timeout(mail),
        within_timeout(images),
        within_timeout(payments)
    );
    let mail_ok = match app.config.smtp_url {
        Some(_) => "the mail server accepts connections",
        None => "no mail server is configured; emails are written to files in `mail/`",
    };
    let payments_ok = match app.gateway.name() {
        "mock" => "simulated; set the keys of Razorpay to take real payments".to_owned(),
        name => format!("{name} accepts the keys"),
    };
    vec![
        service("mail", mail, mail_ok, "check `SHOP_SMTP_URL`"),
        service(
            "images",
            images,
            "the image store can be reached",
            "check `SHOP_IMAGES_URL` or `CLOUDINARY_URL`, and their credentials",
        ),
        service(
            "payments",
            payments,
            &payments_ok,
            "check `SHOP_RAZORPAY_KEY_ID` and `SHOP_RAZORPAY_KEY_SECRET`",
        ),
    ]
}

/// Checks the age of the newest backup in the place, as it is now, and whether the last scheduled one failed.
pub(super) async fn backup(app: &App) -> Check {
    let name = "backup";
    if app.config.backup_url.is_none() {
        let detail = "no backups are made by themselves; set `SHOP_BACKUP_URL` to a directory on another disk, or to a bucket";
        return Check::new(name, CheckStatus::Warning, detail);
    }
    let checked = async {
        let state = backups(app)
            .await
            .map_err(|error| error.detail().to_owned())?;
        Ok(checks::backup(&app.config, &state, app.clock.now()))
    };
    let checked = within_timeout(checked).await;
    checked.unwrap_or_else(|why| Check::new(name, CheckStatus::Error, why))
}

async fn backups(app: &App) -> error::Result<State> {
    let place = server::backup::place(&app.config)?;
    let newest = place.newest(app.clock.now()).await?;
    let state = app.db.read("doctor.backup", state::read).await?;
    Ok(State {
        newest: newest.map(|newest| newest.created_at),
        ..state
    })
}

/// Checks the certificate that a server uses after its next start. Returns `None` without TLS.
pub(super) async fn certificate(app: &App, data_dir: &DataDir) -> Option<Check> {
    match server::stored_expiry(app, data_dir).await {
        Ok(expiry) => checks::certificate(&app.config, expiry, app.clock.now()),
        Err(error) => Some(Check::new(
            "certificate",
            CheckStatus::Error,
            error.detail(),
        )),
    }
}

async fn within_timeout<T>(check: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    match tokio::time::timeout(TIMEOUT, check).await {
        Ok(checked) => checked,
        Err(_) => Err(format!("no response within {} s", TIMEOUT.as_secs())),
    }
}

fn service(
    name: &'static str,
    checked: Result<(), String>,
    ok: &str,
    remedy: &'static str,
) -> Check {
    match checked {
        Ok(()) => Check::new(name, CheckStatus::Ok, ok),
        Err(why) => Check::new(name, CheckStatus::Error, format!("{why}; {remedy}")),
    }
}

/// Requests the health check at the public URL, as a customer's browser would.
pub(super) async fn public_url(app: &App, is_running: bool) -> Check {
    let name = "public-url";
    let base = &app.settings().public_url;
    let reached = request_health(base).await;
    match reached {
        Ok(()) => Check::new(name, CheckStatus::Ok, format!("{base} leads to the shop")),
        Err(_) if !is_running && app.config.database_url.is_none() => {
            let detail =
                format!("{base} cannot be checked: no server is running on this data directory");
            Check::new(name, CheckStatus::Warning, detail)
        }
        Err(why) => {
            let detail = format!(
                "{base} does not lead to the shop: {why}; check `SHOP_PUBLIC_URL`, the DNS and the proxy"
            );
            Check::new(name, CheckStatus::Error, detail)
        }
    }
}

async fn request_health(base: &str) -> Result<(), String> {
    let client = reqwest::Client::builder().timeout(TIMEOUT).build();
    let client = client.map_err(|error| error.to_string())?;
    let sent = client.get(format!("{base}/healthz")).send().await;
    let response = sent.map_err(|error| chain(&error.without_url()).to_string())?;
    let status = response.status();
    let body = response.bytes().await.unwrap_or_default();
    let health: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    if health["status"] == "ok" {
        Ok(())
    } else {
        Err(format!("it answers {status} from another program"))
    }
}
