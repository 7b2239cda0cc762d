//! A real mail server for tests, `smtp/server.py`, and the messages delivered to it.
//!
//! Without a Python that has aiosmtpd, tests are skipped with a message, or fail if
//! `SHOP_TEST_REQUIRE_SMTP=1`.

use std::{
    env,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex, OnceLock},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use super::skip;

const SERVER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/smtp/server.py");

/// Timeout for an expected event.
const TIMEOUT: Duration = Duration::from_mins(1);

/// A running mail server on its own port; killed when dropped.
pub(crate) struct SmtpServer {
    child: Child,
    port: u16,
    events: Arc<EventLog>,
}

/// The events that the server has printed so far.
#[derive(Default)]
struct EventLog {
    log: Mutex<Log>,
    changed: Condvar,
}

#[derive(Default)]
struct Log {
    events: Vec<Value>,
    ended: bool,
}

#[derive(Deserialize)]
struct Greeting {
    port: u16,
}

impl SmtpServer {
    /// Starts a server with arguments such as `--mode busy --times 2`, see `smtp/server.py`. Without
    /// arguments it accepts every message. Returns `None` if the test is to be skipped.
    pub(crate) fn start(arguments: &[&str]) -> Option<SmtpServer> {
        let Some(python) = python() else {
            skip(
                "SMTP",
                "no mail server: set SHOP_TEST_PYTHON to a Python that has aiosmtpd",
            );
            return None;
        };
        let mut child = Command::new(python)
            .arg(SERVER)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("`{python}` does not run: {error}"));
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let greeting = lines
            .next()
            .expect("the mail server did not start")
            .unwrap();
        let Greeting { port } = serde_json::from_str(&greeting).unwrap();
        let events = Arc::new(EventLog::default());
        let server = SmtpServer {
            child,
            port,
            events: Arc::clone(&events),
        };
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let event = serde_json::from_str(&line).unwrap();
                events.change(|log| log.events.push(event));
            }
            events.change(|log| log.ended = true);
        });
        Some(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Returns the server's URL, e.g. `smtp://127.0.0.1:40000`, followed by `query`.
    pub(crate) fn url(&self, query: &str) -> String {
        format!("smtp://127.0.0.1:{}{query}", self.port)
    }

    /// Returns the messages received so far.
    pub(crate) fn messages(&self) -> Vec<Received> {
        received(&self.events.log.lock().unwrap().events)
    }

    /// Blocks until `count` messages were received. Returns all of them.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Received> {
        let enough = |messages: &Vec<Received>| messages.len() >= count;
        self.wait(|events| Some(received(events)).filter(enough))
    }

    /// Blocks until an event matches, and returns the first: a message, or one such as
    /// `{"refused":"550 5.1.1 no such user here"}`, `{"dropped":true}`, `{"connected":true}`.
    pub(crate) fn wait_for_event(&self, predicate: impl Fn(&Value) -> bool) -> Value {
        self.wait(|events| events.iter().find(|event| predicate(event)).cloned())
    }

    fn wait<T>(&self, found: impl Fn(&[Value]) -> Option<T>) -> T {
        let missing = |log: &mut Log| !log.ended && found(&log.events).is_none();
        let log = self.events.log.lock().unwrap();
        let waited = self
            .events
            .changed
            .wait_timeout_while(log, TIMEOUT, missing);
        let (log, _) = waited.unwrap();
        found(&log.events).unwrap_or_else(|| {
            let ended = if log.ended { ", and has ended" } else { "" };
            panic!(
                "timeout; events of the mail server{ended}: {:#?}",
                log.events
            )
        })
    }
}

impl Drop for SmtpServer {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl EventLog {
    fn change(&self, change: impl FnOnce(&mut Log)) {
        change(&mut self.log.lock().unwrap());
        self.changed.notify_all();
    }
}

/// Returns a Python that has aiosmtpd.
fn python() -> Option<&'static str> {
    static PYTHON: OnceLock<Option<String>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        let given = env::var("SHOP_TEST_PYTHON").ok();
        given.filter(|given| !given.is_empty()).or_else(|| {
            let tried = Command::new("python3")
                .args(["-c", "import aiosmtpd"])
                .output();
            let works = tried.is_ok_and(|tried| tried.status.success());
            works.then(|| "python3".to_owned())
        })
    });
    found.as_deref()
}

fn received(events: &[Value]) -> Vec<Received> {
    let messages = events.iter().filter(|event| event["content"].is_string());
    messages
        .map(|event| serde_json::from_value(event.clone()).unwrap())
        .collect()
}

/// A message that the server accepted, with its envelope.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Received {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    /// Whether the connection was encrypted.
    pub(crate) tls: bool,
    /// The authenticated user.
    pub(crate) user: Option<String>,
    /// The parameters of the command `MAIL`, in upper case: `SIZE=1024`, `BODY=8BITMIME`, `SMTPUTF8`.
    pub(crate) options: Vec<String>,
    /// The raw message, one character per byte.
    pub(crate) content: String,
}

impl Received {
    /// Returns the first header with this name, unfolded.
    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<String> {
        Part::parse(&self.content).headers(name).collect()
    }

    /// Returns the decoded plain-text part, with `\n` line endings.
    pub(crate) fn text_part(&self) -> String {
        self.part("text/plain")
    }

    /// Like [`Received::text_part`], for the HTML part.
    pub(crate) fn html_part(&self) -> String {
        self.part("text/html")
    }

    /// Returns the first link with a token in the plain text.
    pub(crate) fn link(&self) -> Option<String> {
        let text = self.text_part();
        let mut words = text.split(|c: char| c.is_whitespace() || "<>".contains(c));
        let link = words.find(|word| word.starts_with("http") && word.contains("#token="));
        link.map(str::to_owned)
    }

    fn part(&self, kind: &str) -> String {
        let found = Part::parse(&self.content).text(kind);
        found.unwrap_or_else(|| panic!("no {kind} in:\n{}", self.content))
    }
}

/// A message or one of its MIME parts.
struct Part<'a> {
    /// The headers, unfolded.
    head: String,
    body: &'a str,
}

impl Part<'_> {
    fn parse(content: &str) -> Part<'_> {
        let (head, body) = content.split_once("\r\n\r\n").unwrap_or((content, ""));
        Part {
            head: head.replace("\r\n ", " ").replace("\r\n\t", "\t"),
            body,
        }
    }

    fn headers(&self, name: &str) -> impl Iterator<Item = String> {
        let headers = self.head.lines().filter_map(|line| line.split_once(':'));
        headers
            .filter(move |(other, _)| other.eq_ignore_ascii_case(name))
            .map(|(_, value)| utf8(bytes(value.trim())))
    }

    fn header(&self, name: &str) -> String {
        self.headers(name).next().unwrap_or_default()
    }

    /// Returns this part if it has this content type, or else the first nested part that has.
    fn text(&self, kind: &str) -> Option<String> {
        let content_type = self.header("content-type");
        if let Some((_, boundary)) = content_type.split_once("boundary=") {
            let boundary = boundary.trim_start_matches('"').split(['"', ';']).next()?;
            let delimiter = format!("\r\n--{boundary}");
            // The first delimiter may be on the first line.
            let body = format!("\r\n{}", self.body);
            let mut parts = body
                .split(&delimiter)
                .skip(1)
                .take_while(|part| !part.starts_with("--"));
            return parts.find_map(|part| Part::parse(part).text(kind));
        }
        let own = content_type.split(';').next()?.trim();
        // RFC 2045, section 5.2: the default content type.
        let own = if own.is_empty() { "text/plain" } else { own };
        own.eq_ignore_ascii_case(kind).then(|| self.decoded())
    }

    fn decoded(&self) -> String {
        let encoding = self.header("content-transfer-encoding");
        let content = match encoding.to_ascii_lowercase().as_str() {
            "quoted-printable" => quoted_printable(self.body),
            "base64" => BASE64_STANDARD
                .decode(self.body.replace("\r\n", ""))
                .unwrap(),
            "" | "7bit" | "8bit" => bytes(self.body),
            other => panic!("a body in `{other}`"),
        };
        utf8(content).replace("\r\n", "\n")
    }
}

/// Decodes quoted-printable (RFC 2045, section 6.7).
fn quoted_printable(body: &str) -> Vec<u8> {
    let joined = body.replace("=\r\n", "");
    let mut pieces = joined.split('=');
    let mut decoded = bytes(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (code, rest) = piece.split_at(2);
        decoded.push(u8::from_str_radix(code, 16).unwrap());
        decoded.extend(bytes(rest));
    }
    decoded
}

/// Returns the bytes of a text with one character per byte.
fn bytes(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(c).unwrap()).collect()
}

fn utf8(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).unwrap()
}

/// A server certificate made by the `openssl` program; its files are deleted on drop.
pub(crate) struct Certificate {
    /// The certificate of the signing authority, for clients that are to trust it.
    pub(crate) authority: PathBuf,
    server: PathBuf,
    key: PathBuf,
    _home: TempDir,
}

impl Certificate {
    /// Creates a certificate for names such as `DNS:localhost,IP:127.0.0.1`, signed by its own authority.
    pub(crate) fn of(names: &str) -> Certificate {
        let home = tempfile::tempdir().unwrap();
        certify(home.path(), "authority", &[]);
        let names = format!("subjectAltName={names}");
        let signed = ["-CA", "authority.crt", "-CAkey", "authority.key"];
        let server_only = ["-addext", "basicConstraints=critical,CA:FALSE"];
        let options = [&signed[..], &server_only, &["-addext", &names]].concat();
        certify(home.path(), "server", &options);
        Certificate {
            authority: home.path().join("authority.crt"),
            server: home.path().join("server.crt"),
            key: home.path().join("server.key"),
            _home: home,
        }
    }

    /// Returns the arguments for [`SmtpServer::start`].
    pub(crate) fn arguments(&self) -> [&str; 4] {
        let [certificate, key] = [&self.server, &self.key].map(|path| path.to_str().unwrap());
        ["--certificate", certificate, "--key", key]
    }
}

/// Creates `name.key` and `name.crt`.
fn certify(home: &Path, name: &str, options: &[&str]) {
    let created = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:prime256v1", "-days", "3650"])
        .args(["-keyout", &format!("{name}.key")])
        .args(["-out", &format!("{name}.crt")])
        .args(["-subj", &format!("/CN={name}")])
        .args(options)
        .current_dir(home)
        .output()
        .expect("the program `openssl` is required");
    let why = String::from_utf8_lossy(&created.stderr);
    assert!(created.status.success(), "{why}");
}
