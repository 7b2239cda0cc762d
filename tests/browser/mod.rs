//! Runs the stories in `tests/browser/*.js`: people who use the console, the API reference and the other pages in
//! headless Chromium. Without Chromium or the npm packages of `tests/node`, a test is skipped with a warning, or fails if
//! `SHOP_TEST_REQUIRE_CHROMIUM=1` or `SHOP_TEST_REQUIRE_NODE_MODULES=1`.

use std::{path::PathBuf, process::Stdio};

use tokio::process::Command;

use crate::support::{
    Process, Site,
    node::{Chromium, chromium, node_modules},
    sqlite_test, storage_test,
};

/// The stories.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

struct Browser {
    chromium: Chromium,
    modules: PathBuf,
}

impl Browser {
    /// Returns `None` if the test is skipped.
    async fn installed() -> Option<Browser> {
        Some(Browser {
            modules: node_modules()?,
            chromium: chromium().await?,
        })
    }

    /// Runs the stories of these files, with these variables.
    async fn run(&self, files: &[&str], variables: &[(&str, &str)]) {
        let ended = Command::new("node")
            .current_dir(FOLDER)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .args(["--test", "--test-reporter=spec"])
            .args(files)
            .envs(variables.iter().copied())
            .env("SHOP_TEST_CHROMIUM", &self.chromium.program)
            .env("NODE_PATH", &self.modules)
            .output()
            .await
            .unwrap();
        let report = String::from_utf8_lossy(&ended.stdout);
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{report}\n{errors}");
    }
}

/// Returns the sign-in link that a demo printed for an account.
fn link_of<'a>(demo: &'a Process, account: &str) -> &'a str {
    let label = format!("{account}  ");
    let mut links = demo
        .printed
        .iter()
        .filter_map(|line| line.strip_prefix(&*label));
    links.next().unwrap_or_else(|| panic!("{:?}", demo.printed))
}

/// Runs stories on a new demo.
async fn run_on_demo(site: &Site, files: &[&str]) {
    let Some(browser) = Browser::installed().await else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let demo = site.start_demo(directory.path());
    let variables = [
        ("SHOP_URL", &*demo.url),
        ("SHOP_CUSTOMER_LINK", link_of(&demo, "customer")),
        ("SHOP_ADMIN_LINK", link_of(&demo, "admin")),
    ];
    browser.run(files, &variables).await;
}

storage_test! {
    async fn customers_buy_and_pay_without_a_terminal(site: Site) {
        run_on_demo(&site, &["customer.js"]).await;
    }
}

sqlite_test! {
    async fn admins_run_a_demo_without_a_terminal(site: Site) {
        run_on_demo(&site, &["admin.js"]).await;
    }

    async fn every_view_and_page_of_a_demo_is_accessible_and_its_links_work(site: Site) {
        run_on_demo(&site, &["views.js", "docs.js"]).await;
    }

    async fn the_owner_of_a_new_shop_starts_with_the_printed_link(site: Site) {
        let Some(browser) = Browser::installed().await else { return };
        let mut shop = site.start_with(&[("SHOP_CONSOLE", "on")]);
        let prefix = format!("{}/first-admin#", shop.url);
        let link = shop.stdout_lines().find(|line| line.trim().starts_with(&prefix)).unwrap();
        let variables = [("SHOP_URL", &*shop.url), ("SHOP_FIRST_ADMIN_LINK", link.trim())];
        browser.run(&["owner.js"], &variables).await;
    }
}
