//! A local reverse proxy, configured by the files in `packaging/`. If it is not installed, a test is skipped with a
//! warning, or fails if `SHOP_TEST_REQUIRE_NGINX=1` or `SHOP_TEST_REQUIRE_CADDY=1`.

use std::{
    fs,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::MetadataExt,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::skip;

/// The proxy, and whether it serves the shop under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Nginx,
    NginxPath,
    Caddy,
    CaddyPath,
}

/// A running proxy. Dropping it kills the process.
pub(crate) struct Proxy {
    child: Child,
    _directory: tempfile::TempDir,
    pub(crate) address: SocketAddr,
}

/// Returns an unused local address.
pub(crate) fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

impl Kind {
    /// The path of the shop's public URL.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Kind::Nginx | Kind::Caddy => "",
            Kind::NginxPath | Kind::CaddyPath => "/store",
        }
    }

    /// Starts the proxy at `address` in front of a shop, which may start later. Returns `None` if the proxy is not
    /// installed.
    pub(crate) fn start(self, address: SocketAddr, shop: SocketAddr) -> Option<Proxy> {
        let directory = tempfile::tempdir().unwrap();
        let (listen, shop) = (address.to_string(), shop.to_string());
        let (program, mut command) = match self {
            Kind::Nginx | Kind::NginxPath => {
                let file = if self == Kind::Nginx {
                    "nginx.conf"
                } else {
                    "nginx-path.conf"
                };
                let listen = format!("listen {listen};");
                let site = packaged(file, &[("listen 80;", &listen), ("127.0.0.1:8080", &shop)]);
                ("NGINX", nginx(directory.path(), &site))
            }
            Kind::Caddy | Kind::CaddyPath => {
                // Accept any host.
                let listen = format!("http://:{}", address.port());
                let site = if self == Kind::Caddy {
                    let both = "shop1:8080 shop2:8080";
                    packaged("Caddyfile", &[("{$SITE_ADDRESS}", &listen), (both, &shop)])
                } else {
                    let listen = format!("{listen} {{");
                    let names = [("www.example {", &*listen), ("127.0.0.1:8080", &*shop)];
                    packaged("Caddyfile-path", &names)
                };
                ("CADDY", caddy(directory.path(), &site))
            }
        };
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let Ok(child) = started else {
            skip(
                program,
                &format!("no {}: install it", program.to_lowercase()),
            );
            return None;
        };
        let proxy = Proxy {
            child,
            _directory: directory,
            address,
        };
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).is_err() {
            assert!(Instant::now() < deadline, "{self:?} does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(proxy)
    }
}

/// Returns a file of `packaging/` with the addresses of this test.
fn packaged(file: &str, names: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("packaging")
        .join(file);
    let mut text = fs::read_to_string(path).unwrap();
    for (from, to) in names {
        assert!(text.contains(from), "{file} has no `{from}`");
        text = text.replace(from, to);
    }
    text
}

/// Returns the command for a single nginx process with its files in `directory`.
fn nginx(directory: &Path, site: &str) -> Command {
    let home = directory.display();
    let is_root = fs::metadata(directory).unwrap().uid() == 0;
    let user = if is_root { "user root;" } else { "" };
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|what| format!("{what}_temp_path {home}/{what};\n"))
        .concat();
    let text = format!(
        "{user}\ndaemon off;\nmaster_process off;\npid {home}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 4096; }}\nhttp {{\naccess_log off;\n{temporary}{site}}}\n"
    );
    let file = directory.join("nginx.conf");
    fs::write(&file, text).unwrap();
    let mut command = Command::new("nginx");
    command
        .args(["-e", "stderr", "-p"])
        .arg(directory)
        .arg("-c")
        .arg(file);
    command
}

fn caddy(directory: &Path, site: &str) -> Command {
    let file = directory.join("Caddyfile");
    let options = "admin off\nauto_https off\ndefault_bind 127.0.0.1";
    fs::write(&file, format!("{{\n{options}\n}}\n{site}")).unwrap();
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(file)
        .envs(["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"].map(|name| (name, directory)))
        .stderr(Stdio::null());
    command
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}
