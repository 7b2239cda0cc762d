//! How much memory a program takes, as the kernel counts it.

use super::Process;

/// What the kernel says of the program in that line of `/proc/PID/status`, in kB or threads.
fn status(process: &Process, name: &str) -> usize {
    let path = format!("/proc/{}/status", process.pid());
    let status = std::fs::read_to_string(path).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// The most memory that the program has held so far, in kB.
pub(crate) fn peak(process: &Process) -> usize {
    status(process, "VmHWM:")
}

/// The memory that the program holds now, in kB.
pub(crate) fn resident(process: &Process) -> usize {
    status(process, "VmRSS:")
}

/// How many threads the program has.
pub(crate) fn threads(process: &Process) -> usize {
    status(process, "Threads:")
}
