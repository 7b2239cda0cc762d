//! Checks of the external services, and of the public URL.

use std::time::Duration;

use crate::{
    app::App,
    core::error::chain,
    server::checks::{Check, CheckStatus},
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

async fn within_timeout(check: impl Future<Output = Result<(), String>>) -> Result<(), String> {
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
