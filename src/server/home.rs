//! The data directory: one server at a time, secrets that only their owner reads.

use std::{
    fs::{self, File, TryLockError},
    io::{ErrorKind, Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{
    created::{Created, LOCK},
    owner::{CREATE, cannot, check_owner},
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
pub struct Home {
    root: PathBuf,
}

/// The lock that a running server holds; freed when dropped.
#[derive(Debug)]
pub struct Running {
    file: File,
    created: Option<Created>,
}

/// The content of the lock file: where the server that holds the lock can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Holder {
    pub pid: u32,
    /// Where it listens, e.g. `http://127.0.0.1:8080`.
    pub url: String,
    /// What its links begin with. `None`: a server of an earlier version, which did not write it.
    #[serde(default)]
    pub public_url: Option<String>,
}

/// How long a server waits, and how often, for a command that just looks whether one is running.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: usize = 30;

impl Home {
    /// Opens the directory, or creates it. Other users lose their permissions on everything in it that
    /// the program made. Errors: it belongs to another user than the one who runs the program.
    pub fn open(root: &Path) -> Result<Home> {
        check_owner(root)?;
        file_modes::create_directory(root).map_err(|e| match e.kind() {
            ErrorKind::AlreadyExists | ErrorKind::NotADirectory => Error::unavailable(format!(
                "`{}` is not a directory; name the data directory by `--data-dir`",
                root.display()
            )),
            _ => cannot(CREATE, root, &e),
        })?;
        Home::existing(root)
    }

    /// As [`Home::open`], and creates nothing.
    pub fn existing(root: &Path) -> Result<Home> {
        check_owner(root)?;
        let home = Home::at(root);
        home.restrict();
        Ok(home)
    }

    /// Opens the directory, or creates it, and locks it. [`Running::undo`] removes what was created.
    pub fn claim(root: &Path) -> Result<(Home, Running)> {
        let created = Created::from_here_on(root);
        let claimed = Home::open(root).and_then(|home| {
            let running = home.lock()?;
            Ok((home, running))
        });
        match claimed {
            Ok((home, running)) => {
                let created = Some(created);
                Ok((home, Running { created, ..running }))
            }
            Err(error) => {
                created.remove_directories();
                Err(error)
            }
        }
    }

    /// Removes the permissions of other users that an earlier version, or a copy, has left.
    fn restrict(&self) {
        let files = ["shop.db", "shop.db-wal", "shop.db-shm", "lock", "demo"];
        let directories = [self.images(), self.mail(), self.keys()];
        let files = files.map(|name| (self.root.join(name), false));
        for (path, is_directory) in files
            .into_iter()
            .chain(directories.map(|path| (path, true)))
        {
            let done = if is_directory {
                file_modes::restrict_directory(&path)
            } else {
                file_modes::restrict_file(&path)
            };
            if let Err(error) = done {
                // Some file systems know no modes.
                tracing::warn!(path = %path.display(), %error, "cannot remove the permissions of other users");
            }
        }
    }

    /// Warns if other users can enter the directory. It is left to the operator, who may have a reason.
    pub fn warn_if_open(&self) {
        if file_modes::is_open_to_others(&self.root) {
            let root = self.root.display();
            tracing::warn!(
                "other users can enter the data directory; close it: chmod 700 '{root}'"
            );
        }
    }

    /// The directory as it is named, made by nobody.
    pub fn at(root: &Path) -> Home {
        Home {
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

    /// Where mails go if there is no mail server.
    pub fn mail(&self) -> PathBuf {
        self.root.join(mailer::DIRECTORY)
    }

    fn keys(&self) -> PathBuf {
        self.root.join("keys")
    }

    fn lock_file(&self) -> PathBuf {
        self.root.join(LOCK)
    }

    /// Makes this process the directory's only server.
    pub fn lock(&self) -> Result<Running> {
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
            for _ in 0..LOOKS {
                if !matches!(locked, Err(TryLockError::WouldBlock)) {
                    break;
                }
                std::thread::sleep(LOOK);
                locked = file.try_lock();
            }
            match locked {
                // A server whose start failed has removed the file: the lock on it excludes nobody.
                Ok(()) if !is_at(&file, &path) => {}
                // The content is an earlier server's.
                Ok(()) => {
                    file.set_len(0).map_err(|e| cannot("write", &path, &e))?;
                    let created = None;
                    return Ok(Running { file, created });
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(self.is_taken(read_holder(&mut file).as_ref()));
                }
                Err(TryLockError::Error(error)) => return Err(cannot("lock", &path, &error)),
            }
        }
    }

    fn is_taken(&self, holder: Option<&Holder>) -> Error {
        let holder = holder
            .map(|holder| format!(" (process {}, {})", holder.pid, holder.url))
            .unwrap_or_default();
        Error::unavailable(format!(
            "another server is running on `{}`{holder}; stop it or choose another `--data-dir`",
            self.root.display()
        ))
    }

    /// Errors: `Unavailable` where a server is running on the directory.
    pub fn refuse_second_server(&self) -> Result<()> {
        match self.running()? {
            None => Ok(()),
            Some(holder) => Err(self.is_taken(Some(&holder))),
        }
    }

    /// The server that is running on this directory and listens, if there is one.
    pub fn running(&self) -> Result<Option<Holder>> {
        let path = self.lock_file();
        let Ok(mut file) = File::open(&path) else {
            return Ok(None);
        };
        // Shared, so that two who look are not taken for a server.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(read_holder(&mut file)),
            Err(TryLockError::Error(error)) => Err(cannot("lock", &path, &error)),
        }
    }

    /// The secret that was made at the first start.
    pub fn secret(&self, name: &str) -> Result<Vec<Secret>> {
        let text = kept_text(&self.keys(), name, new_secret)?;
        Ok(vec![Secret(text)])
    }

    /// The secret that is kept here, if there is one.
    pub fn kept_secret(&self, name: &str) -> Result<Option<String>> {
        let path = self.keys().join(name);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.trim().to_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(cannot("read", &path, &error)),
        }
    }

    /// Keeps a secret that was made elsewhere; another one that is here already stands in its way.
    pub fn keep_secret(&self, name: &str, value: &str) -> Result<()> {
        let kept = kept_text(&self.keys(), name, || value.to_owned())?;
        if kept == value {
            return Ok(());
        }
        let path = self.keys().join(name);
        Err(Error::unavailable(format!(
            "`{}` holds another shop's secret; name a fresh directory",
            path.display()
        )))
    }

    /// The mark of the folder of pictures, by which instances know whether they share it.
    pub fn images_mark(&self) -> Result<i32> {
        let directory = self.images();
        let draw = || (Rng::system().below(0x7fff_fffe) + 1).to_string();
        let text = kept_text(&directory, ".mark", draw)?;
        text.parse().map_err(|_| {
            let strange = std::io::Error::other("it holds no number; delete it");
            cannot("read", &directory.join(".mark"), &strange)
        })
    }

    /// Errors: `Unavailable` where the directory holds a shop that is not a demo's.
    pub fn refuse_demo_on_real_shop(&self) -> Result<()> {
        if self.demo_mark().exists() || !self.database().exists() {
            return Ok(());
        }
        Err(Error::unavailable(format!(
            "`{}` holds a real shop; `--demo` opens only an empty directory or its own: choose another \
             `--data-dir`",
            self.root.display()
        )))
    }

    /// Marks the directory as a demo's. One that holds another shop is refused.
    pub fn claim_for_demo(&self) -> Result<()> {
        self.refuse_demo_on_real_shop()?;
        let mark = self.demo_mark();
        file_modes::create_if_missing(&mark).map_err(|e| cannot("write", &mark, &e))
    }

    fn demo_mark(&self) -> PathBuf {
        self.root.join("demo")
    }
}

impl Running {
    /// Writes down for other programs where the server listens, and what its links begin with.
    pub fn announce(&mut self, url: &str, public_url: &str) -> Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            url: url.to_owned(),
            public_url: Some(public_url.to_owned()),
        };
        let text = serde_json::to_string(&holder).map_err(Error::internal)?;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|e| Error::unavailable(format!("cannot write the lock: {e}")))
    }

    /// Removes everything in the data directory that was created since [`Home::claim`].
    pub fn undo(self) {
        if let Some(created) = &self.created {
            created.remove();
        }
    }
}

/// 256 bits by the system's own chance, never by one handed in, which a seed may have made.
pub(super) fn new_secret() -> String {
    hex::encode(Rng::system().bytes::<32>())
}

/// The text that a file holds for ever: `first`, written by whoever came first.
fn kept_text(directory: &Path, name: &str, first: impl Fn() -> String) -> Result<String> {
    file_modes::create_directory(directory).map_err(|e| cannot(CREATE, directory, &e))?;
    let path = directory.join(name);
    loop {
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Ok(_) => {
                let empty = std::io::Error::other("the file is empty; delete it");
                return Err(cannot("read", &path, &empty));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                match write_private_file(directory, &path, &first()) {
                    // Another process was faster: read what it wrote.
                    Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                    written => written.map_err(|e| cannot("write", &path, &e))?,
                }
            }
            Err(error) => return Err(cannot("read", &path, &error)),
        }
    }
}

fn read_holder(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Whether the open file is still the one at the path.
fn is_at(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Writes the whole file or none of it, and syncs it.
fn write_private_file(directory: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    // In containers that share a volume every server is process 1.
    let salt = hex::encode(Rng::system().bytes::<8>());
    let draft = directory.join(format!(".{name}.{salt}"));
    let written = write_synced(&draft, text)
        // A link fails where the name is taken, so that the first of two processes wins.
        .and_then(|()| fs::hard_link(&draft, path))
        .and_then(|()| {
            let synced = File::open(directory).and_then(|directory| directory.sync_all());
            // The name may be lost with the power, and a second sync may succeed all the same.
            synced.inspect_err(|_| drop(fs::remove_file(path)))
        });
    let removed = fs::remove_file(&draft);
    written.and(removed)
}

fn write_synced(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = open_options().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
