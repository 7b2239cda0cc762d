//! Commands without a shop: some create one, the others fail and say what to do.

use std::{
    collections::BTreeSet,
    os::unix::{
        fs::{PermissionsExt, chown},
        process::CommandExt,
    },
    path::PathBuf,
};

use super::*;
use crate::support::{Database, ends, on_a_thread, program_on, skip, storage_test};

/// An id that does not exist.
const ID: &str = "01900000-0000-7000-8000-00000000cafe";

/// Every command that fails without a shop.
const NEED_A_SHOP: [&[&str]; 49] = [
    &[
        "admin",
        "user",
        "add",
        "--email",
        "a@example.com",
        "--name",
        "Ada",
    ],
    &["admin", "user", "list"],
    &["admin", "user", "show", "a@example.com"],
    &["admin", "user", "role", "a@example.com", "ADMIN"],
    &["admin", "user", "disable", "a@example.com"],
    &["admin", "user", "enable", "a@example.com"],
    &["admin", "user", "logout", "a@example.com"],
    &["admin", "user", "reset-password", "a@example.com"],
    &["admin", "category", "add", "Books"],
    &["admin", "category", "rename", "Books", "Novels"],
    &["admin", "category", "delete", "Books"],
    &["admin", "product", "show", ID],
    &["admin", "product", "edit", ID, "--price", "2"],
    &["admin", "product", "delete", ID],
    &["admin", "payments", "resolve", ID, "--note", "paid out"],
    &["admin", "mail", "show", ID],
    &["admin", "mail", "retry", ID],
    &["admin", "mail", "drop", ID],
    &["admin", "audit"],
    &["admin", "audit", "--verify"],
    &["admin", "jobs", "list"],
    &["admin", "jobs", "retry", ID],
    &["admin", "jobs", "drop", ID],
    &["admin", "category", "list"],
    &[
        "admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "1",
    ],
    &[
        "admin", "product", "add", "--name", "Cup", "--price", "1", "--stock", "1", "--image",
        "a.png",
    ],
    &["admin", "product", "list"],
    &["admin", "product", "stock", ID, "1", "--reason", "found"],
    &["admin", "product", "import", "all.csv"],
    &["admin", "product", "export"],
    &["admin", "product", "export", "all.csv"],
    &["admin", "order", "list"],
    &["admin", "order", "show", "7K3M-9QXD"],
    &["admin", "order", "status", "7K3M-9QXD", "SHIPPED"],
    &["admin", "order", "refund", "7K3M-9QXD"],
    &["admin", "payments", "list"],
    &["admin", "payments", "reconcile"],
    &["admin", "mail", "list"],
    &["admin", "mail", "show", ID],
    &["admin", "mail", "retry", ID],
    &["admin", "pay", "7K3M-9QXD"],
    &["verify"],
    &["verify", "--repair"],
    &["migrate"],
    &["migrate", "--check"],
    &["backup"],
    &["backup", "all.tar.gz"],
    &["backup", "list"],
    &["backup", "keys", "keys.toml"],
];

/// Returns the relative paths of all files and directories in a directory.
pub(super) fn files_in(directory: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![directory.to_owned()];
    while let Some(path) = left.pop() {
        for entry in fs::read_dir(&path).unwrap() {
            let entry = entry.unwrap().path();
            if entry.is_dir() {
                left.push(entry.clone());
            }
            found.insert(entry.strip_prefix(directory).unwrap().to_owned());
        }
    }
    found
}

pub(super) fn in_directory(
    here: &Path,
    database: Option<&Database>,
    arguments: &[&str],
) -> Command {
    let mut command = program_on(database);
    command
        .args(arguments)
        .current_dir(here)
        .stdin(Stdio::null());
    command
}

#[test]
fn a_mistyped_data_directory_is_named_and_not_created() {
    let here = tempfile::tempdir().unwrap();
    let place = here.path().canonicalize().unwrap().join("typo");
    for arguments in NEED_A_SHOP {
        let mut command = in_directory(here.path(), None, arguments);
        let error = failure_of(&command.args(["--data-dir", "typo"]).output().unwrap());
        let words = [
            "shop not found: ",
            place.to_str().unwrap(),
            "--data-dir",
            "SHOP_DATA_DIR",
            "shop serve",
        ];
        for word in words {
            assert!(error.contains(word), "{arguments:?}: {word}: {error}");
        }
        assert!(files_in(here.path()).is_empty(), "{arguments:?}");
    }
    let mut command = in_directory(
        here.path(),
        None,
        &["transfer", "--to", "sqlite:new/shop.db"],
    );
    let error = failure_of(&command.output().unwrap());
    assert!(
        error.contains("shop not found: ") && error.contains("shop-data/shop.db"),
        "{error}"
    );
    assert!(files_in(here.path()).is_empty());
    for arguments in [
        &["config"][..],
        &["openapi"],
        &["completions", "bash"],
        &["--help"],
        &["--version"],
    ] {
        let output = in_directory(here.path(), None, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?} needs no shop");
        assert!(files_in(here.path()).is_empty(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_database_stays_empty() {
    let Some(database) = Database::empty() else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    for arguments in NEED_A_SHOP {
        let mut command = in_directory(here.path(), Some(&database), arguments);
        let error = failure_of(&command.output().unwrap());
        for word in ["shop not found: ", "SHOP_DATABASE_URL", "shop serve"] {
            assert!(error.contains(word), "{arguments:?}: {word}: {error}");
        }
    }
    assert!(files_in(here.path()).is_empty());
    let tables: i64 = on_a_thread(|| {
        let count = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
        database.admin().query_one(count, &[]).unwrap().get(0)
    });
    assert_eq!(tables, 0, "no schema was created");
}

#[test]
fn a_directory_without_a_shop_stays_as_it_is() {
    let here = tempfile::tempdir().unwrap();
    let data_dir = here.path().join("shop-data");
    fs::create_dir(&data_dir).unwrap();
    // This is what a server leaves if it is killed while it starts.
    fs::write(data_dir.join("shop.db"), "").unwrap();
    let before = files_in(here.path());
    let error = failure_of(
        &in_directory(here.path(), None, &["verify"])
            .output()
            .unwrap(),
    );
    assert!(error.contains("shop not found: "), "{error}");
    assert_eq!(files_in(here.path()), before);
    assert_eq!(fs::read(data_dir.join("shop.db")).unwrap(), b"");
}

#[test]
fn a_nearby_shop_is_suggested() {
    let here = tempfile::tempdir().unwrap();
    let root = here.path().canonicalize().unwrap();
    let (shop, below) = (root.join("shop-data"), root.join("some/where"));
    fs::create_dir_all(&below).unwrap();
    create_shop(&shop);
    let hint = format!("there is a shop in `{}`", shop.display());
    let file = shop.join("shop.db");
    for (place, arguments) in [
        (&root, &["--data-dir", "typo"][..]),
        (&root, &["--data-dir", "."]),
        (&root, &["--data-dir", file.to_str().unwrap()]),
        (&shop, &[]),
        (&below, &[]),
    ] {
        let mut command = in_directory(place, None, &["admin", "user", "list"]);
        let error = failure_of(&command.args(arguments).output().unwrap());
        assert!(
            error.contains(&hint),
            "{}: {arguments:?}: {error}",
            place.display()
        );
    }
    let server = Process::start(&shop);
    let elsewhere = tempfile::tempdir().unwrap();
    let mut command = in_directory(elsewhere.path(), None, &["admin", "user", "list"]);
    let error = failure_of(&command.output().unwrap());
    assert!(error.contains("a server is running on `"), "{error}");
    drop(server);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_database_url_is_suggested() {
    let Some(database) = Database::migrated() else {
        return;
    };
    let here = tempfile::tempdir().unwrap();
    let server = Process::start_with(program_on(Some(&database)), here.path());
    let error = run_failing(here.path(), &["admin", "user", "list"]);
    assert!(
        error.contains(&server.url) && error.contains("`SHOP_DATABASE_URL`"),
        "{error}"
    );
}

#[test]
fn a_missing_permission_is_reported_as_such() {
    let outer = tempfile::tempdir().unwrap();
    let mut nobody = Command::new(env!("CARGO_BIN_EXE_shop"));
    nobody.uid(65_534).gid(65_534).current_dir("/");
    if !nobody
        .arg("--version")
        .output()
        .is_ok_and(|it| it.status.success())
    {
        return skip("ROOT", "it cannot run the program as another user");
    }
    let place = outer.path().join("closed/data");
    create_shop(&place);
    fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(
        outer.path().join("closed"),
        fs::Permissions::from_mode(0o700),
    )
    .unwrap();
    let commands = [
        &["admin", "user", "list"][..],
        &["serve", "--listen", "127.0.0.1:0"],
    ];
    for arguments in commands {
        let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
        command.uid(65_534).gid(65_534).current_dir("/");
        command.args(arguments).arg("--data-dir").arg(&place);
        let error = failure_of(&ends(command));
        for word in ["permission denied", "nobody", place.to_str().unwrap()] {
            assert!(error.contains(word), "{arguments:?}: {word}: {error}");
        }
        assert!(!error.contains("shop not found"), "{error}");
    }
    // Files without write permission: those that `SQLite` would create do not help, either.
    fs::set_permissions(
        outer.path().join("closed"),
        fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    for path in [place.clone(), place.join("shop.db")] {
        chown(&path, Some(65_534), Some(65_534)).unwrap();
    }
    for (path, mode) in [
        (place.join("shop.db"), 0o400),
        (place.join("shop.db"), 0),
        (place.clone(), 0o500),
    ] {
        let before = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        for arguments in commands {
            let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
            command.uid(65_534).gid(65_534).current_dir("/");
            command.args(arguments).arg("--data-dir").arg(&place);
            let error = failure_of(&ends(command));
            for word in ["permission denied", "nobody", path.to_str().unwrap()] {
                assert!(error.contains(word), "{arguments:?}: {word}: {error}");
            }
        }
        fs::set_permissions(&path, before).unwrap();
        assert_eq!(files_in(&place), BTreeSet::from([PathBuf::from("shop.db")]));
    }
    // A directory in which nothing can be created.
    let place = outer.path().join("mine");
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.uid(65_534).gid(65_534).current_dir("/");
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--data-dir"])
        .arg(&place);
    let error = failure_of(&ends(command));
    for word in ["permission denied", "nobody", place.to_str().unwrap()] {
        assert!(error.contains(word), "{word}: {error}");
    }
}

storage_test! {
    async fn serve_creates_a_shop(site: Site) {
        let database = match site.database {
            Some(_) => Database::empty(),
            None => None,
        };
        let here = tempfile::tempdir().unwrap();
        let data_dir = here.path().join("some/where");
        let process = Process::start_with(program_on(database.as_ref()), &data_dir);
        process.terminate();
        assert!(process.wait().success());
        let mut command = in_directory(here.path(), database.as_ref(), &["admin", "user", "list", "--json"]);
        assert_eq!(stdout_of(&command.arg("--data-dir").arg(&data_dir).output().unwrap()), "[]\n");
    }

    async fn links_contain_the_public_url_of_the_running_server(site: Site) {
        let link = |email: &str, own: Option<&str>| {
            let mut command = program_on(site.database.as_deref());
            command.args(["admin", "user", "add", "--name", "Ada", "--json", "--email", email, "--data-dir"]);
            command.arg(site.path()).envs(own.map(|url| ("SHOP_PUBLIC_URL", url)));
            let made: Value = serde_json::from_str(&stdout_of(&command.output().unwrap())).unwrap();
            made["link"].as_str().unwrap().to_owned()
        };
        let public = "https://shop.example/store";
        let server = site.start_with(&[("SHOP_PUBLIC_URL", public)]);
        let expected = format!("{public}/reset-password#token=");
        assert!(link("a@example.com", None).starts_with(&expected));
        let other = Some("https://other.example");
        assert!(link("b@example.com", other).starts_with(&expected), "the server's URL has precedence");
        let reset = site.run(&["admin", "user", "reset-password", "a@example.com"]);
        assert!(stdout_of(&reset).contains(&expected));
        server.terminate();
        server.wait();
        assert!(link("c@example.com", other).starts_with("https://other.example/reset-password#"));
        let server = site.start();
        let expected = format!("{}/reset-password#", server.url);
        assert!(link("d@example.com", None).starts_with(&expected));
    }
}

crate::support::postgres_test! {
    async fn only_commands_with_images_need_the_image_settings(site: Site) {
        let bucket = [
            ("SHOP_IMAGES_URL", "s3://bucket/shop"),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ];
        let _server = site.start_with(&bucket);
        // An operator's machine: no data directory, no settings except the database.
        let here = tempfile::tempdir().unwrap();
        let database = site.database.as_deref();
        let run = |arguments: &[&str]| in_directory(here.path(), database, arguments).output().unwrap();
        stdout_of(&run(&["admin", "user", "add", "--email", "ada@example.com", "--name", "Ada"]));
        stdout_of(&run(&["admin", "category", "add", "Books"]));
        let kettle = ["admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "1"];
        stdout_of(&run(&kettle));
        stdout_of(&run(&["admin", "product", "list"]));
        stdout_of(&run(&["admin", "order", "list"]));
        assert!(files_in(here.path()).is_empty(), "nothing was created here");
        let image = site.path().join("kettle.png");
        fs::write(&image, images::png()).unwrap();
        let pictured = [&kettle[..], &["--image", image.to_str().unwrap()]].concat();
        for arguments in [&pictured[..], &["verify"], &["admin", "seed"]] {
            let error = failure_of(&run(arguments));
            assert!(error.contains("SHOP_IMAGES_URL"), "{arguments:?}: {error}");
        }
    }

    async fn a_refused_instance_leaves_nothing(site: Site) {
        let _first = site.start();
        let here = tempfile::tempdir().unwrap();
        let serve = ["serve", "--listen", "127.0.0.1:0"];
        let error = failure_of(&ends(in_directory(here.path(), site.database.as_deref(), &serve)));
        assert!(error.contains("`images/`"), "{error}");
        assert!(files_in(here.path()).is_empty());
    }
}
