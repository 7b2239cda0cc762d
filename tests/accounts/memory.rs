//! The memory use of password hashing, measured on the real program.

use serde_json::json;

use super::PASSWORD;
use crate::support::{Process, Remote, storage_test};

/// Limits in KiB for a process that hashes many passwords concurrently: afterwards, and at its peak.
const MAX_RESIDENT: usize = 96 * 1024;
const MAX_PEAK: usize = 160 * 1024;

/// Returns a value of `/proc/…/status`, in KiB.
fn status(process: &Process, name: &str) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

storage_test! {
    async fn concurrent_registrations_and_logins_use_bounded_memory(site: Site) {
        let process = site.start();
        let anonymous = Remote::new(&process);
        let register = async |number: usize| {
            let email = format!("user{number}@example.com");
            let body = json!({ "email": email, "password": PASSWORD, "name": "User" });
            anonymous.post("/auth/register", &body).await.status
        };
        let registered = futures_util::future::join_all((0..40).map(register)).await;
        assert!(registered.iter().all(|status| [201, 503].contains(status)), "{registered:?}");
        assert!(registered.contains(&201));
        let resident = status(&process, "VmRSS:");
        assert!(resident < MAX_RESIDENT, "{resident} KiB after registrations");

        let log_in = async |number: usize| {
            let email = format!("user{}@example.com", number % 40);
            let body = json!({ "email": email, "password": PASSWORD });
            anonymous.post("/auth/login", &body).await.status
        };
        let signed_in = futures_util::future::join_all((0..200).map(log_in)).await;
        assert!(signed_in.contains(&200), "{signed_in:?}");
        let (resident, peak) = (status(&process, "VmRSS:"), status(&process, "VmHWM:"));
        assert!(resident < MAX_RESIDENT, "{resident} KiB after logins");
        assert!(peak < MAX_PEAK, "{peak} KiB at the peak");
    }
}
