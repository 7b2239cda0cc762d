//! Runs the stories in `tests/browser/*.js`: people who use the console, the API reference and the other pages in
//! headless Chromium. Without Node, Chromium or the npm packages of the stories, a test is skipped with a warning, or
//! fails if `SHOP_TEST_REQUIRE_BROWSER=1`.

use std::{env, path::Path, process::Stdio};

use tokio::process::Command;

use crate::support::{Process, Site, skip, sqlite_test, storage_test};

/// The stories, and their npm packages unless `NODE_PATH` has them.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// Chromium, unless `SHOP_TEST_CHROMIUM` names another program.
const CHROMIUM: &str = "/usr/bin/chromium";

struct Browser {
    chromium: String,
}

impl Browser {
    /// Returns `None` if the test is skipped.
    async fn installed() -> Option<Browser> {
        let chromium = env::var("SHOP_TEST_CHROMIUM").unwrap_or_else(|_| CHROMIUM.to_owned());
        if !Path::new(&chromium).exists() {
            skip(
                "BROWSER",
                "no chromium: install it, or set SHOP_TEST_CHROMIUM to the program",
            );
            return None;
        }
        let packages = "require.resolve('playwright-core'); require.resolve('axe-core')";
        let found = node().args(["--eval", packages]).output().await;
        if !found.is_ok_and(|found| found.status.success()) {
            skip(
                "BROWSER",
                "no packages: install nodejs, and run `npm ci` in tests/browser",
            );
            return None;
        }
        Some(Browser { chromium })
    }

    /// Runs the stories of these files, with these variables.
    async fn run(&self, files: &[&str], variables: &[(&str, &str)]) {
        let ended = node()
            .args(["--test", "--test-reporter=spec"])
            .args(files)
            .envs(variables.iter().copied())
            .env("SHOP_TEST_CHROMIUM", &self.chromium)
            .output()
            .await
            .unwrap();
        let report = String::from_utf8_lossy(&ended.stdout);
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{report}\n{errors}");
    }
}

fn node() -> Command {
    let mut command = Command::new("node");
    command
        .current_dir(FOLDER)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
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
