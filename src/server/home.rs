//! The data directory: one server at a time, secrets that only their owner reads.

use std::{
    fs::{self, File, TryLockError},
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::owner::check_owner;
use crate::{
    clock::Chance,
    config::Secret,
    error::{Error, Result},
    file_modes::{self, open_options},
    ports::mailer,
};

/// A data directory that exists.
#[derive(Debug, Clone)]
pub struct Home {
    root: PathBuf,
}

/// The lock that a running server holds; freed when dropped.
#[derive(Debug)]
pub struct Running {
    file: File,
}

/// What the lock's file tells of the server that holds it.
#[derive(Debug, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    url: String,
}

/// How long a server waits, and how often, for a command that just looks whether one is running.
const LOOK: Duration = Duration::from_millis(10);
const LOOKS: usize = 30;

impl Home {
    /// Opens the directory, or creates it. Other users lose their permissions on everything in it that
    /// the program made. Errors: it belongs to another user than the one who runs the program.
    pub fn open(root: &Path) -> Result<Home> {
        check_owner(root)?;
        file_modes::create_directory(root).map_err(|e| cannot("make", root, &e))?;
        let home = Home::at(root);
        home.restrict();
        Ok(home)
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
        self.root.join("lock")
    }

    /// Makes this process the directory's only server.
    pub fn lock(&self) -> Result<Running> {
        let path = self.lock_file();
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
            // What an earlier server left there is not true any more.
            Ok(()) => match file.set_len(0) {
                Ok(()) => Ok(Running { file }),
                Err(error) => Err(cannot("write", &path, &error)),
            },
            Err(TryLockError::WouldBlock) => {
                let holder = read_holder(&mut file)
                    .map(|holder| format!(" (process {}, {})", holder.pid, holder.url))
                    .unwrap_or_default();
                Err(Error::unavailable(format!(
                    "another server is running on `{}`{holder}; stop it or choose another \
                     `--data-dir`",
                    self.root.display()
                )))
            }
            Err(TryLockError::Error(error)) => Err(cannot("lock", &path, &error)),
        }
    }

    /// The URL of the server that is running on this directory, if there is one.
    pub fn running(&self) -> Result<Option<String>> {
        let path = self.lock_file();
        let Ok(mut file) = File::open(&path) else {
            return Ok(None);
        };
        // Shared, so that two who look are not taken for a server.
        match file.try_lock_shared() {
            Ok(()) => Ok(None),
            Err(TryLockError::WouldBlock) => Ok(read_holder(&mut file).map(|holder| holder.url)),
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
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
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
        let draw = || (Chance::system().below(0x7fff_fffe) + 1).to_string();
        let text = kept_text(&directory, ".mark", draw)?;
        text.parse().map_err(|_| {
            let strange = std::io::Error::other("it holds no number; delete it");
            cannot("read", &directory.join(".mark"), &strange)
        })
    }

    /// Marks the directory as a demo's. One that holds another shop is refused.
    pub fn claim_for_demo(&self) -> Result<()> {
        let mark = self.root.join("demo");
        if mark.exists() {
            return Ok(());
        }
        if self.database().exists() {
            return Err(Error::unavailable(format!(
                "`{}` holds a real shop; `--demo` opens only an empty directory or its own: \
                 choose another `--data-dir`",
                self.root.display()
            )));
        }
        file_modes::create_if_missing(&mark).map_err(|e| cannot("write", &mark, &e))
    }
}

impl Running {
    /// Tells other programs where the server listens.
    pub fn announce(&mut self, url: &str) -> Result<()> {
        let holder = Holder {
            pid: std::process::id(),
            url: url.to_owned(),
        };
        let text = serde_json::to_string(&holder).map_err(Error::internal)?;
        self.file
            .set_len(0)
            .and_then(|()| self.file.rewind())
            .and_then(|()| self.file.write_all(text.as_bytes()))
            .map_err(|e| Error::unavailable(format!("cannot write the lock: {e}")))
    }
}

/// 256 bits by the system's own chance, never by one handed in, which a seed may have made.
pub(super) fn new_secret() -> String {
    hex::encode(Chance::system().bytes::<32>())
}

/// The text that a file holds for ever: `first`, written by whoever came first.
fn kept_text(directory: &Path, name: &str, first: impl Fn() -> String) -> Result<String> {
    file_modes::create_directory(directory).map_err(|e| cannot("make", directory, &e))?;
    let path = directory.join(name);
    loop {
        match fs::read_to_string(&path) {
            Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
            Ok(_) => {
                let empty = std::io::Error::other("the file is empty; delete it");
                return Err(cannot("read", &path, &empty));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                match write_private_file(directory, &path, &first()) {
                    // Another process was faster: read what it wrote.
                    Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
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

pub(super) fn cannot(verb: &str, path: &Path, error: &std::io::Error) -> Error {
    Error::unavailable(format!("cannot {verb} `{}`: {error}", path.display()))
}

/// Writes the whole file or none of it, and syncs it.
fn write_private_file(directory: &Path, path: &Path, text: &str) -> std::io::Result<()> {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    // In containers that share a volume every server is process 1.
    let salt = hex::encode(Chance::system().bytes::<8>());
    let draft = directory.join(format!(".{name}.{salt}"));
    let mut file = open_options().write(true).create_new(true).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link fails where the name is taken, so that the first of two processes wins.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    linked?;
    File::open(directory)?.sync_all()
}
