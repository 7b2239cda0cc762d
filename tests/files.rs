//! File permissions: only the owner of the data directory can read its files and run the program on them.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::json;

use crate::support::{Database, Process, Remote, create_shop, images, run_on, skip, storage_test};

/// The uid of Debian's user `nobody`.
const NOBODY: u32 = 65_534;

/// Returns the modes of `root` and all files and directories in it.
fn modes(root: &Path) -> BTreeMap<PathBuf, u32> {
    let mut modes = BTreeMap::new();
    let mut remaining = vec![root.to_owned()];
    while let Some(path) = remaining.pop() {
        let found = fs::symlink_metadata(&path).unwrap();
        if found.is_dir() {
            remaining.extend(
                fs::read_dir(&path)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        }
        modes.insert(path, found.mode() & 0o7777);
    }
    modes
}

#[track_caller]
fn assert_private(modes: &BTreeMap<PathBuf, u32>, except: &Path) {
    for (path, mode) in modes.iter().filter(|(path, _)| *path != except) {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(*mode, expected, "{} is {mode:o}", path.display());
    }
}

/// Returns whether the test can run the program as another user: it is root, and others can execute the
/// program.
fn can_change_user() -> bool {
    let can = shop_as(NOBODY, &["--version"])
        .output()
        .is_ok_and(|done| done.status.success());
    if !can {
        skip("ROOT", "cannot run the program as another user");
    }
    can
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Returns a command that runs the program as another user.
fn shop_as(user: u32, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(arguments).uid(user).gid(user).current_dir("/");
    command
}

/// Creates a data directory of the user `nobody`, who has already run the server on it.
fn data_dir_of_nobody(directory: &Path, database: Option<&Database>) -> PathBuf {
    fs::set_permissions(directory, Permissions::from_mode(0o755)).unwrap();
    let root = directory.join("data");
    fs::create_dir(&root).unwrap();
    fs::set_permissions(&root, Permissions::from_mode(0o700)).unwrap();
    chown(&root, Some(NOBODY), Some(NOBODY)).unwrap();
    let mut command = shop_as(NOBODY, &[]);
    if let Some(database) = database {
        command.env("SHOP_DATABASE_URL", database.url());
    }
    let process = Process::start_with(command, &root);
    process.terminate();
    assert!(process.wait().success());
    root
}

storage_test! {
    async fn every_file_is_private_to_its_owner(site: Site) {
        // As created by a package or a mount.
        fs::set_permissions(site.path(), Permissions::from_mode(0o755)).unwrap();
        for umask in ["000", "022", "777"] {
            let directory = site.path().join(umask);
            let run_program = format!("umask {umask}; exec \"$@\"");
            let under_umask = |database: Option<&Database>| {
                let mut command = Command::new("sh");
                command.args(["-c", &run_program, "sh", env!("CARGO_BIN_EXE_shop")]);
                command.envs(database.map(|it| ("SHOP_DATABASE_URL", it.url())));
                command
            };
            fs::create_dir(&directory).unwrap();
            fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
            let process = Process::start_with(under_umask(site.database.as_deref()), &directory);
            let anonymous = Remote::new(&process);
            let account = json!({
                "email": format!("u{umask}@example.com"), "password": "correct horse battery", "name": "Ada",
            });
            assert_eq!(anonymous.post("/auth/register", &account).await.status, 201);
            let image = directory.join("kettle.png");
            fs::write(&image, images::png()).unwrap();
            let add = [
                "admin", "product", "add", "--name", "Kettle", "--price", "1", "--stock", "1", "--image",
                image.to_str().unwrap(),
            ];
            let csv = directory.join("all.csv");
            for arguments in [&add[..], &["admin", "product", "export", csv.to_str().unwrap()]] {
                let mut command = under_umask(site.database.as_deref());
                let done = command.args(arguments).arg("--data-dir").arg(&directory).output().unwrap();
                assert!(done.status.success(), "{done:?}");
            }
            fs::remove_file(image).unwrap();
            let mails = directory.join("mail");
            while fs::read_dir(&mails).map_or(0, Iterator::count) == 0 {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
            let seen = modes(&directory);
            assert!(seen.contains_key(&directory.join("lock")) && seen.contains_key(&csv));
            assert!(seen.keys().any(|path| path.starts_with(directory.join("images")) && path.is_file()));
            assert_private(&seen, &directory);
            assert_eq!(seen[&directory], 0o755, "the data directory itself is left to the operator");
            process.terminate();
            process.wait();
            assert_private(&modes(&directory), &directory);
        }
    }

    async fn open_permissions_of_an_earlier_version_are_restricted(site: Site) {
        let add = site.product("Kettle", 100, 1);
        assert!(!add.is_empty());
        let images = site.path().join("images/0a");
        fs::create_dir_all(&images).unwrap();
        fs::write(images.join("image.png"), "").unwrap();
        fs::create_dir_all(site.path().join("mail")).unwrap();
        fs::write(site.path().join("mail/mail.eml"), "").unwrap();
        for path in modes(site.path()).keys() {
            let mode = if path.is_dir() { 0o755 } else { 0o644 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        }
        let mut process = site.start();
        assert_private(&modes(site.path()), site.path());
        let log = process.stderr_lines();
        process.terminate();
        process.wait();
        let log: Vec<String> = log.collect();
        let close = format!("chmod 700 '{}'", site.path().display());
        assert!(log.iter().any(|line| line.contains(&close)), "{log:?}");

        fs::set_permissions(site.path(), Permissions::from_mode(0o700)).unwrap();
        let mut process = site.start();
        let log = process.stderr_lines();
        process.terminate();
        process.wait();
        assert!(!log.into_iter().any(|line| line.contains("chmod")));
    }

    async fn a_command_of_another_user_is_rejected(site: Site) {
        if !can_change_user() {
            return;
        }
        let (database, directory) = (site.database.as_deref(), site.path());
        let root = data_dir_of_nobody(directory, database);
        let before = modes(&root);
        let path = root.to_str().unwrap();
        for arguments in [
            &["admin", "product", "list"][..], &["verify"], &["admin", "seed"],
            &["serve", "--listen", "127.0.0.1:0"],
            &["transfer", "--to", &format!("sqlite:{path}/shop.db")],
            &["backup"], &["restore", "shop.tar.gz"],
        ] {
            let refused = run_on(&root, database, arguments);
            let why = text(&refused);
            assert_eq!(refused.status.code(), Some(1), "{arguments:?}: {why}");
            let remedy = format!("sudo -u nobody shop --data-dir '{path}'");
            assert!(why.contains(&remedy) && why.lines().count() == 1, "{arguments:?}: {why}");
        }
        assert_eq!(modes(&root), before, "nothing was created or changed");
        let mut command = shop_as(NOBODY, &["admin", "product", "list", "--json", "--data-dir", path]);
        command.envs(database.map(|it| ("SHOP_DATABASE_URL", it.url())));
        let listed = command.output().unwrap();
        assert!(listed.status.success(), "{}", text(&listed));

        // A file of root, as an earlier version allowed.
        chown(root.join("lock"), Some(0), Some(0)).unwrap();
        let mut command = shop_as(NOBODY, &["admin", "product", "list", "--data-dir", path]);
        command.envs(database.map(|it| ("SHOP_DATABASE_URL", it.url())));
        let why = text(&command.output().unwrap());
        assert!(why.contains(&format!("sudo chown -R nobody '{path}'")), "{why}");
    }

    async fn the_error_names_the_owner_of_an_inaccessible_directory(site: Site) {
        if !can_change_user() {
            return;
        }
        let outer = tempfile::tempdir().unwrap();
        fs::set_permissions(outer.path(), Permissions::from_mode(0o755)).unwrap();
        let root = outer.path().join("data");
        let database = site.database.as_deref();
        create_shop(&root);
        for arguments in [&["admin", "category", "list"][..], &["config"]] {
            let mut command = shop_as(NOBODY, arguments);
            command.arg("--data-dir").arg(&root);
            command.envs(database.map(|it| ("SHOP_DATABASE_URL", it.url())));
            let refused = command.output().unwrap();
            assert_eq!(refused.status.code(), Some(1), "{refused:?}");
            assert!(text(&refused).contains("sudo -u root shop"), "{refused:?}");
        }
    }

    async fn a_group_writable_volume_of_root_belongs_to_its_first_user(site: Site) {
        if !can_change_user() {
            return;
        }
        // As Kubernetes mounts a volume for a group (fsGroup).
        let database = site.database.as_deref();
        let root = &site.path().join("volume");
        fs::create_dir(root).unwrap();
        fs::set_permissions(site.path(), Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(root, Permissions::from_mode(0o2775)).unwrap();
        chown(root, Some(0), Some(NOBODY)).unwrap();
        let mut command = shop_as(NOBODY, &[]);
        command.envs(database.map(|it| ("SHOP_DATABASE_URL", it.url())));
        let process = Process::start_with(command, root);
        let refused = run_on(root, database, &["admin", "product", "list"]);
        assert!(text(&refused).contains("sudo -u nobody shop"), "{refused:?}");
        process.terminate();
        assert!(process.wait().success());
    }
}
