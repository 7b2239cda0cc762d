//! The files in `packaging/` match the program: settings, timeouts, copied files.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use shop::infra::config::{Config, Layer, SETTINGS};

fn text(path: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(root.join(path)).unwrap()
}

/// Returns the files of a folder and its subfolders.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Returns the names of the settings that a layer has.
fn names(layer: &Layer) -> BTreeSet<&'static str> {
    let names = SETTINGS.iter().map(|setting| setting.name);
    names.filter(|name| layer.get(name).is_some()).collect()
}

/// Returns the settings of the example file that show their defaults, and those with example values.
fn example() -> (Layer, Layer) {
    let text = text("packaging/shop.example.toml");
    let path = Path::new("shop.example.toml");
    assert!(
        names(&Layer::from_file(path, &text)).is_empty(),
        "everything is commented out"
    );
    let is_key =
        |line: &&str| line.contains(" = ") && line.starts_with('#') && !line.starts_with("# ");
    let has_example = |line: &&str| {
        let name = line.split(" = ").next().unwrap();
        let setting = SETTINGS.iter().find(|setting| setting.name == name);
        setting.is_some_and(|setting| setting.example.is_some())
    };
    let keys = text.lines().filter(is_key).map(|line| &line[1..]);
    let (examples, defaults): (Vec<_>, Vec<_>) = keys.partition(has_example);
    let layer = |lines: Vec<&str>| Layer::from_file(path, &lines.join("\n"));
    (layer(defaults), layer(examples))
}

#[test]
fn the_example_has_every_setting_with_its_default() {
    let (defaults, examples) = example();
    let plain = format!("{:?}", Config::from_layers(&[]).unwrap());
    assert_eq!(
        format!(
            "{:?}",
            Config::from_layers(std::slice::from_ref(&defaults)).unwrap()
        ),
        plain
    );
    Config::from_layers(std::slice::from_ref(&examples)).unwrap();

    let named: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.name).collect();
    assert_eq!(named, &names(&defaults) | &names(&examples));
}

#[test]
fn packages_use_only_known_variables() {
    for path in files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging")) {
        let text = fs::read_to_string(&path).unwrap();
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        for name in words.filter(|word| word.starts_with("SHOP_") && word.len() > 5) {
            let variables = [(name.to_owned(), "/etc/hostname".to_owned())].into();
            let layer = Layer::from_environment(&variables, |_| Ok(String::new()));
            let is_known = layer.errors().is_empty();
            assert!(is_known, "{}: {name}", path.display());
        }
    }
}

#[test]
fn stop_timeouts_exceed_the_shutdown_time() {
    let shutdown = 11; // seconds: `DRAIN_NOTICE` and `SHUTDOWN_TIMEOUT` of `server/accept.rs`
    let seconds = |path: &str, key: &str| -> u64 {
        let text = text(path);
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(key))
            .unwrap();
        let digits = line
            .chars()
            .filter(char::is_ascii_digit)
            .collect::<String>();
        digits.parse().unwrap()
    };
    for (path, key) in [
        ("packaging/shop.service", "TimeoutStopSec"),
        ("packaging/compose.yaml", "stop_grace_period"),
        ("packaging/render.yaml", "maxShutdownDelaySeconds"),
        ("packaging/fly.toml", "kill_timeout"),
    ] {
        assert!(seconds(path, key) > shutdown, "{path}: {key}");
    }
}

#[test]
fn the_dockerfile_copies_existing_files() {
    let dockerfile = text("packaging/Dockerfile");
    let toolchain = "rust:1.95";
    assert!(text("Cargo.toml").contains("rust-version = \"1.95\""));
    assert!(dockerfile.contains(toolchain));
    assert!(
        dockerfile.contains("COPY .cargo .cargo"),
        "it configures how SQLite is compiled"
    );
    let ignored = text(".dockerignore");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for line in dockerfile
        .lines()
        .filter(|line| line.starts_with("COPY ") && !line.contains("--from"))
    {
        let words: Vec<_> = line
            .split(' ')
            .filter(|word| !word.starts_with("--"))
            .collect();
        for source in &words[1..words.len() - 1] {
            assert!(root.join(source).exists(), "{line}");
            assert!(
                !ignored.lines().any(|pattern| pattern == *source),
                "{source} is in .dockerignore"
            );
        }
    }
}

#[test]
fn workflows_have_minimal_permissions_and_pinned_actions() {
    let deploy = text(".github/workflows/deploy.yml");
    assert!(deploy.contains("permissions: {}"));
    let ci = text(".github/workflows/ci.yml");
    let name = ci
        .lines()
        .find_map(|line| line.strip_prefix("name: "))
        .unwrap();
    assert!(deploy.contains(&format!("workflows: [{name}]")), "{name}");
    let release = text(".github/workflows/release.yml");
    assert!(release.contains("permissions: {}"));
    for line in [&deploy, &ci, &release]
        .iter()
        .flat_map(|workflow| workflow.lines())
        .filter(|line| line.contains("uses: "))
    {
        let pin = line.split('@').nth(1).unwrap().split(' ').next().unwrap();
        assert!(
            pin.len() == 40 && pin.chars().all(|c| c.is_ascii_hexdigit()),
            "{line}"
        );
    }
}

#[test]
fn everything_is_built_with_one_version_of_rust() {
    let toolchain = text("rust-toolchain.toml");
    let (_, version) = toolchain.split_once("channel = \"").unwrap();
    let version = version.lines().next().unwrap().trim_end_matches('"');
    for (file, prefix) in [
        (".github/workflows/ci.yml", "rustup toolchain install "),
        (".github/workflows/release.yml", "rustup toolchain install "),
        ("packaging/Dockerfile", "FROM rust:"),
    ] {
        let text = text(file);
        let uses: Vec<_> = text.split(prefix).skip(1).collect();
        assert!(!uses.is_empty(), "{file}");
        for rest in uses {
            assert!(rest.starts_with(version), "{file}: {rest}");
        }
    }
    assert!(version.starts_with(env!("CARGO_PKG_RUST_VERSION")));
}
