//! What an operator sees of a running shop: the log, the metrics, the checks of `/readyz`.

mod admin_actions;
mod backups;
mod errors;
mod format;
mod metrics;
mod monitoring_files;
mod origins;
mod readiness;
mod request_lines;
mod sign_ins;
mod traces;

use std::thread::JoinHandle;

use serde_json::Value;

pub(crate) use self::{metrics::sample, readiness::check};

use crate::support::{Process, Site};

/// A running server whose log is collected.
struct Logged {
    process: Process,
    lines: JoinHandle<Vec<String>>,
}

impl Logged {
    fn start(site: &Site, variables: &[(&str, &str)]) -> Logged {
        let mut process = site.start_with(variables);
        let lines = process.stderr_lines();
        let lines = std::thread::spawn(move || lines.collect());
        Logged { process, lines }
    }

    /// Stops the server. Returns the lines of its log.
    fn stop(self) -> Vec<String> {
        self.process.terminate();
        assert!(self.process.wait().success());
        self.lines.join().unwrap()
    }
}

/// Returns the events of a JSON log with this target.
fn events(lines: &[String], target: &str) -> Vec<Value> {
    let events = lines.iter().map(|line| parse(line));
    events.filter(|event| event["target"] == target).collect()
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}
