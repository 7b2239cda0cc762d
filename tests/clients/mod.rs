//! What developers of storefronts write, against a running demo: generated clients, the examples, and pages that follow
//! live stock. Without the packages of `tests/node` and of `requirements.txt`, tests are skipped with a warning, or fail if
//! `SHOP_TEST_REQUIRE_NODE_MODULES=1` or `SHOP_TEST_REQUIRE_CLIENTS=1`.

use std::{
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::support::{
    Process, ends,
    node::{chromium, node_modules},
    skip,
};

/// What the stories need from the repository.
const FILES: [&str; 13] = [
    "assets/openapi.json",
    "assets/shop-live.js",
    "examples/buy.mjs",
    "examples/buy.py",
    "examples/product-page/index.html",
    "tests/clients/buy.py",
    "tests/clients/buy.ts",
    "tests/clients/follow.js",
    "tests/clients/openapi-python-client.yml",
    "tests/clients/page.js",
    "tests/clients/tsconfig.json",
    "tests/clients/globals.cjs",
    "tests/clients/wait.js",
];

/// A demo, and a copy of the files next to the installed packages.
struct Stories {
    demo: Process,
    _data: TempDir,
    directory: TempDir,
    /// The interpreter that has the packages.
    python: PathBuf,
}

impl Stories {
    /// Returns `None` if the test is skipped.
    fn new() -> Option<Stories> {
        let modules = node_modules()?;
        let Some(python) = env::var_os("SHOP_TEST_CLIENTS_PYTHON") else {
            let why =
                "no Python packages: set SHOP_TEST_CLIENTS_PYTHON to an interpreter that has them";
            skip("CLIENTS", why);
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        for file in FILES {
            let copy = directory.path().join(file);
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(repository.join(file), copy).unwrap();
        }
        // Before version 22, Node takes a `.js` file for CommonJS without this.
        let package = directory.path().join("package.json");
        fs::write(package, r#"{"type": "module"}"#).unwrap();
        symlink(modules, directory.path().join("node_modules")).unwrap();
        let data = tempfile::tempdir().unwrap();
        Some(Stories {
            demo: Process::start_demo(data.path()),
            _data: data,
            directory,
            python: python.into(),
        })
    }

    /// Returns the email address and the password of the demo's account whose address starts with `name`.
    fn account(&self, name: &str) -> [&str; 2] {
        let line = self.demo.printed.iter().map(|line| line.trim());
        let mut line = line.filter(|line| line.starts_with(name) && line.contains('@'));
        let (email, password) = line.next().unwrap().split_once("  ").unwrap();
        [email, password]
    }

    /// Runs a program that must succeed. Returns what it printed.
    fn run(&self, program: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new(program);
        command.current_dir(self.directory.path()).args(arguments);
        let ended = ends(command);
        let printed = String::from_utf8_lossy(&ended.stdout).into_owned();
        let errors = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{arguments:?}\n{printed}\n{errors}");
        printed
    }

    fn node(&self, arguments: &[&str]) -> String {
        let arguments = [&["--require", "./tests/clients/globals.cjs"], arguments].concat();
        self.run(Path::new("node"), &arguments)
    }

    fn python(&self, arguments: &[&str]) -> String {
        self.run(&self.python, arguments)
    }
}

/// Asserts that a story bought two units, and saw the stock change.
fn assert_bought(printed: &str) {
    let levels = printed
        .lines()
        .filter_map(|line| line.strip_prefix("in stock: "));
    let levels: Vec<i64> = levels.map(|level| level.parse().unwrap()).collect();
    let [before, after] = levels[..] else {
        panic!("{printed}");
    };
    assert_eq!(before - after, 2, "{printed}");
    assert!(printed.trim_end().ends_with(" is PAID"), "{printed}");
}

#[test]
fn a_generated_typescript_client_buys() {
    let Some(stories) = Stories::new() else {
        return;
    };
    stories.node(&[
        "node_modules/openapi-typescript/bin/cli.js",
        "assets/openapi.json",
        "--output",
        "tests/clients/api.d.ts",
    ]);
    stories.node(&[
        "node_modules/typescript/bin/tsc",
        "--project",
        "tests/clients",
    ]);
    let story = "tests/clients/compiled/tests/clients/buy.js";
    assert_bought(&stories.node(&[story, &stories.demo.url]));
}

#[test]
fn a_generated_python_client_buys() {
    let Some(stories) = Stories::new() else {
        return;
    };
    stories.python(&[
        "-m",
        "openapi_python_client",
        "generate",
        "--path",
        "assets/openapi.json",
        "--config",
        "tests/clients/openapi-python-client.yml",
        "--meta",
        "none",
        "--output-path",
        "tests/clients/shop_client",
        "--fail-on-warning",
    ]);
    assert_bought(&stories.python(&["tests/clients/buy.py", &stories.demo.url]));
}

#[test]
fn the_node_example_buys() {
    let Some(stories) = Stories::new() else {
        return;
    };
    assert_bought(&stories.node(&["examples/buy.mjs", &stories.demo.url]));
}

#[test]
fn the_python_example_buys() {
    let Some(stories) = Stories::new() else {
        return;
    };
    assert_bought(&stories.python(&["examples/buy.py", &stories.demo.url]));
}

#[tokio::test]
async fn the_product_page_shows_live_stock_and_fills_a_cart() {
    let Some(chromium) = chromium().await else {
        return;
    };
    let Some(stories) = Stories::new() else {
        return;
    };
    let [email, password] = stories.account("customer");
    let story = "tests/clients/page.js";
    let chromium = chromium.program.to_str().unwrap();
    stories.node(&[story, chromium, &stories.demo.url, email, password]);
}

#[test]
fn shop_live_reconnects_and_misses_no_change() {
    let Some(stories) = Stories::new() else {
        return;
    };
    let [email, password] = stories.account("admin");
    stories.node(&[
        "tests/clients/follow.js",
        &stories.demo.url,
        email,
        password,
    ]);
}
