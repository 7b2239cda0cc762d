//! Mounts that only the programs under test see.

use std::{
    fs::{self, OpenOptions},
    io::{BufRead, BufReader, ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::OnceLock,
};

use super::skip;

/// How a process gets its own mounts.
struct Namespaces {
    /// The options of `unshare`.
    new: &'static [&'static str],
    /// The options of `nsenter` for the same namespaces.
    enter: &'static [&'static str],
}

/// As any user, and as root in a container that forbids user namespaces.
const KINDS: [Namespaces; 2] = [
    Namespaces {
        new: &["--user", "--map-root-user", "--mount"],
        enter: &["--user", "--preserve-credentials", "--mount"],
    },
    Namespaces {
        new: &["--mount"],
        enter: &["--mount"],
    },
];

/// Returns the namespaces that this system allows. If there are none, reports that the test is skipped.
fn namespaces() -> Option<&'static Namespaces> {
    static FOUND: OnceLock<Option<&Namespaces>> = OnceLock::new();
    let found = *FOUND.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        KINDS.iter().find(|kind| {
            let mut mount = Command::new("unshare");
            mount.args(kind.new).args(["mount", "-t", "tmpfs", "tmpfs"]);
            let mounted = mount.arg(directory.path()).output();
            mounted.is_ok_and(|output| output.status.success())
        })
    });
    if found.is_none() {
        skip("MOUNT", "this system allows no mounts");
    }
    found
}

/// Returns a command that runs a shell script in its own mount namespace. The arguments that are added become `$0`,
/// `$1` …. Returns `None`, and reports that the test is skipped, if the system allows no mounts.
pub(crate) fn with_own_mounts(script: &str) -> Option<Command> {
    let mut command = Command::new("unshare");
    command.args(namespaces()?.new).args(["sh", "-c", script]);
    Some(command)
}

/// A small disk, mounted for the programs that it runs. Unmounted when dropped.
pub(crate) struct SmallDisk {
    /// A process that keeps the mount.
    holder: Child,
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts a disk of this size at an existing directory. Returns `None`, and reports that the test is skipped, if
    /// the system allows no mounts.
    pub(crate) fn mount(path: &Path, kib: usize) -> Option<SmallDisk> {
        let script = r#"mount -t tmpfs -o "size=$1k,mode=700" tmpfs "$0" && echo mounted && exec sleep infinity"#;
        let mut command = with_own_mounts(script)?;
        command
            .arg(path)
            .arg(kib.to_string())
            .stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(holder.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n");
        Some(SmallDisk {
            holder,
            path: path.to_owned(),
        })
    }

    /// Returns the command of the program, which sees the disk.
    pub(crate) fn program(&self) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.holder.id().to_string()]);
        command.args(namespaces().unwrap().enter);
        command.arg(env!("CARGO_BIN_EXE_shop"));
        command
    }

    /// Runs a subcommand of the program to its end.
    pub(crate) fn run(&self, data_dir: &Path, arguments: &[&str]) -> Output {
        let mut command = self.program();
        command.args(arguments).arg("--data-dir").arg(data_dir);
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Returns where this process finds the disk.
    pub(crate) fn content(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.path.strip_prefix("/").unwrap())
    }

    /// Returns the sorted names in the disk, without that of the file that fills it.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.content()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.filter(|name| name != "ballast").collect();
        names.sort();
        names
    }

    /// Fills the disk.
    pub(crate) fn fill(&self) {
        self.leave(0);
    }

    /// Fills the disk, apart from this number of blocks of 4 KiB.
    pub(crate) fn leave(&self, blocks: u64) {
        let disk = rustix::fs::statvfs(self.content()).unwrap();
        assert_eq!(disk.f_frsize, 4096);
        let mut ballast = OpenOptions::new();
        let ballast = ballast.create(true).append(true).open(self.ballast());
        let mut ballast = ballast.unwrap();
        let size = ballast.metadata().unwrap().len();
        let wanted = (size + disk.f_bavail * disk.f_frsize).saturating_sub(blocks * disk.f_frsize);
        if wanted < size {
            ballast.set_len(wanted).unwrap();
            return;
        }
        let zeros = vec![0; usize::try_from(wanted - size).unwrap()];
        if let Err(error) = ballast.write_all(&zeros) {
            // The program used the space meanwhile.
            assert_eq!(error.kind(), ErrorKind::StorageFull);
        }
    }

    /// Makes space.
    pub(crate) fn free(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.content().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
