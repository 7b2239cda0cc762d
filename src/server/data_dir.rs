//! The data directory: its files and their permissions, the lock that admits one server at a time, and the
//! generated secrets.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    created_paths::{CreatedPaths, LOCK},
    file_owner::{CREATE, cannot, check_owner},
    private_file::{self, read_or_create},
};
use crate::{
    core::{
        error::{Error, Result},
        rng::Rng,
    },
    infra::{
        config::Secret,
        file_modes::{self, open_options},
        ports::mailer,
    },
};

/// A data directory.
#[derive(Debug, Clone)]
pub struct DataDir {
    root: PathBuf,
}

/// The lock of a running server. Dropping it releases the lock.
#[derive(Debug)]
pub struct ServerLock {
    file: File,
    created: Option<CreatedPaths>,
}

/// The server that holds the lock, as the lock file describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunningServer {
    pub pid: u32,
    /// The URL at which it listens, e.g. `http://127.0.0.1:8080`.
    pub url: String,
    /// The base of its links. `None` if an earlier version wrote the file.
    #[serde(default)]
    pub public_url: Option<String>,
}

/// How often a server retries to lock the directory, which a command may hold briefly to check for a server.
const LOCK_RETRIES: usize = 30;

/// The pause between two retries.
const LOCK_RETRY_PAUSE: Duration = Duration::from_millis(10);

impl DataDir {
    /// Opens the directory, or creates it. Removes other users' permissions on the program's files in it.
    ///
    /// Errors: `Unavailable` if it belongs to another user or cannot be created.
    pub fn open(root: &Path) -> Result<DataDir> {
        check_owner(root)?;
        file_modes::create_directory(root).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Error::unavailable(format!(
                "`{}` is not a directory; choose the data directory with `--data-dir`",
                root.display()
            )),
            _ => cannot(CREATE, root, &e),
        })?;
        DataDir::existing(root)
    }

    /// Like [`DataDir::open`], but creates nothing.
    pub fn existing(root: &Path) -> Result<DataDir> {
        check_owner(root)?;
        let data_dir = DataDir::at(root);
        data_dir.restrict();
        Ok(data_dir)
    }

    /// Opens or creates the directory and locks it. [`ServerLock::undo`] removes what was created.
    ///
    /// Errors: `Unavailable` if it cannot be used or another server is running on it.
    pub fn claim(root: &Path) -> Result<(DataDir, ServerLock)> {
        let created = CreatedPaths::record(root);
        let claimed = DataDir::open(root).and_then(|data_dir| {
            let lock = data_dir.lock()?;
            Ok((data_dir, lock))
        });
        match claimed {
            Ok((data_dir, lock)) => {
                let created = Some(created);
                Ok((data_dir, ServerLock { created, ..lock }))
            }
            Err(error) => {
                created.remove_empty_parents();
                Err(error)
            }
        }
    }

    /// Removes other users' permissions, which an earlier version or a copy may have left.
    fn restrict(&self) {
        let files = ["shop.db", "shop.db-wal", "shop.db-shm", "lock", "demo"];
        let directories = [self.images(), self.mail(), self.keys()];
        let files = files.map(|name| (self.root.join(name), false));
        for (path, is_directory) in files
            .into_iter()
            .chain(directories.map(|path| (path, true)))
        {
            let restricted = if is_directory {
                file_modes::restrict_directory(&path)
            } else {
                file_modes::restrict_file(&path)
            };
            if let Err(error) = restricted {
                // Some file systems have no permissions.
                tracing::warn!(path = %path.display(), %error, "cannot remove the permissions of other users");
            }
        }
    }

    /// Warns if other users can enter the directory. The operator may have a reason, so it is not changed.
    pub fn warn_if_open(&self) {
        if file_modes::is_open_to_others(&self.root) {
            let root = self.root.display();
            tracing::warn!(
                "other users can enter the data directory; close it: chmod 700 '{root}'"
            );
        }
    }

    /// Names a directory without opening or creating it.
    pub fn at(root: &Path) -> DataDir {
        DataDir {
            root: root.to_owned(),
        }
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn database(&self) -> PathBuf {
        self.root.join("shop.db")
    }

    pub fn images(&self) -> PathBuf {
        self.root.join("images")
    }

    /// The directory of emails that are written to files.
    pub fn mail(&self) -> PathBuf {
        self.root.join(mailer::DIRECTORY)
    }

    fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    /// Locks the directory for this process.
    ///
    /// Errors: `Unavailable` if another server is running on it.
    pub fn lock(&self) -> Result<ServerLock> {
        let path = self.lock_file();
        loop {
            let mut file = open_options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(&path)
                .map_err(|e| cannot("open", &path, &e))?;
            let mut locked = file.try_lock();
            for _ in 0..LOCK_RETRIES {
                if !matches!(locked, Err(TryLockError::WouldBlock)) {
                    break;
                }
                std::thread::sleep(LOCK_RETRY_PAUSE);
                locked = file.try_lock();
            }
            match locked {
                // A failed start has removed this file, so its lock no longer excludes others: open the new one.
                Ok(()) if !is_at(&file, &path) => {}
                // The content was written by an earlier server.
                Ok(()) => {
                    file.set_len(0).map_err(|e| cannot("write", &path, &e))?;
                    let created = None;
                    return Ok(ServerLock { file, created });
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(self.already_running(read_lock(&mut file).as_ref()));
                }
                Err(TryLockError::Error(error)) => return Err(cannot("lock", &path, &error)),
            }
        }
    }

    fn already_running(&self, server: Option<&RunningServer>) -> Error {
        let address = server
            .map(|server| format!(" (process {}, {})", server.pid, server.url))
            .unwrap_or_default();
        Error::unavailable(format!(
            "another server is running on `{}`{address}; stop it or choose another `--data-dir`",
            self.root.display()
        ))
    }

    /// Errors: `Unavailable` if a server is running on the directory.
    pub fn reject_second_server(&self) -> Result<()> {
        match self.running_server()? {
            None => Ok(()),
            Some(server) => Err(self.already_running(Some(&server))),
        }
    }

    /// Returns the server that is running on this directory, if there is one and it listens already.
    pub fn running_server(&self) -> Result<Option<RunningServer>> {
        let path = self.lock_file();
        let Ok(mut file) = File::open(&path) else {
            return Ok(None);
        };
        // A shared lock, so that two concurrent checks do not take each other for a server.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(read_lock(&mut file)),
            Err(TryLockError::Error(error)) => Err(cannot("lock", &path, &error)),
        }
    }

    /// Returns a generated secret, which is created at the first start.
    pub fn secret(&self, name: &str) -> Result<Vec<Secret>> {
        let text = read_or_create(&self.keys(), name, generate_secret)?;
        Ok(vec![Secret::from(text)])
    }

    /// Returns a generated secret if it exists.
    pub fn existing_secret(&self, name: &str) -> Result<Option<String>> {
        let path = self.keys().join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot("read", &path, &error)),
        }
    }

    /// Stores a secret that changes.
    pub fn replace_secret(&self, name: &str, value: &str) -> Result<()> {
        private_file::replace(&self.keys(), name, value)
    }

    /// Stores a secret of another directory.
    ///
    /// Errors: `CommandFailed` if a different one is stored already.
    pub fn store_secret(&self, name: &str, value: &str) -> Result<()> {
        let stored = read_or_create(&self.keys(), name, || value.to_owned())?;
        if stored == value {
            return Ok(());
        }
        let path = self.keys().join(name);
        Err(Error::command_failed(format!(
            "`{}` holds another shop's secret; choose an empty directory",
            path.display()
        )))
    }

    /// Returns the id of the image folder, by which instances check that they share it.
    pub fn image_folder_id(&self) -> Result<i32> {
        let directory = self.images();
        let generate = || (Rng::system().below(0x7fff_fffe) + 1).to_string();
        let text = read_or_create(&directory, ".mark", generate)?;
        text.parse().map_err(|_| {
            let invalid = std::io::Error::other("the file must contain a number; delete it");
            cannot("read", &directory.join(".mark"), &invalid)
        })
    }

    /// Errors: `CommandFailed` if the directory is neither empty nor a demo's.
    pub fn reject_demo_on_foreign_files(&self) -> Result<()> {
        if self.is_demo() {
            return Ok(());
        }
        let content = if self.database().exists() {
            "holds a real shop".to_owned()
        } else if let Some(name) = self.foreign_file()? {
            format!("is not empty (it contains `{name}`)")
        } else {
            return Ok(());
        };
        Err(Error::command_failed(format!(
            "`{}` {content}, and `--demo` opens only an empty directory or an earlier demo; choose \
             another `--data-dir`",
            self.root.display()
        )))
    }

    /// Returns the name of a file that a new shop does not expect in its directory, if there is one.
    fn foreign_file(&self) -> Result<Option<String>> {
        // The configuration, a lock without its server, and the folder that formatting a disk creates.
        const EXPECTED: [&str; 3] = ["shop.toml", LOCK, "lost+found"];
        let entries = match fs::read_dir(&self.root) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(cannot("read", &self.root, &error)),
        };
        for entry in entries {
            let entry = entry.map_err(|error| cannot("read", &self.root, &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !EXPECTED.contains(&name.as_str()) {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Marks the directory as a demo.
    ///
    /// Errors: `CommandFailed` if it is neither empty nor a demo's.
    pub fn claim_for_demo(&self) -> Result<()> {
        self.reject_demo_on_foreign_files()?;
        let mark = self.demo_mark();
        file_modes::create_if_missing(&mark).map_err(|e| cannot("write", &mark, &e))
    }

    /// Whether the directory is marked as a demo.
    pub fn is_demo(&self) -> bool {
        self.demo_mark().exists()
    }

    fn demo_mark(&self) -> PathBuf {
        self.root.join("demo")
    }
}

impl ServerLock {
    /// Writes the server's address and the base of its links into the lock file, for other programs.
    pub fn announce(&mut self, url: &str, public_url: &str) -> Result<()> {
        let server = RunningServer {
            pid: std::process::id(),
            url: url.to_owned(),
            public_url: Some(public_url.to_owned()),
        };
        let text = serde_json::to_string(&server).map_err(Error::internal)?;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|e| Error::unavailable(format!("cannot write the lock: {e}")))
    }

    /// Removes everything in the data directory that was created since [`DataDir::claim`].
    pub fn undo(self) {
        if let Some(created) = &self.created {
            created.remove();
        }
    }
}

/// Returns 256 random bits in hexadecimal. Always uses the system's generator: an injected one may be seeded.
pub(super) fn generate_secret() -> String {
    hex::encode(Rng::system().bytes::<32>())
}

fn read_lock(file: &mut File) -> Option<RunningServer> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Returns whether the open file is still the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}
