//! An S3 server for tests: moto (<https://docs.getmoto.org>). Without it, a test is skipped with a message, or fails
//! if `SHOP_TEST_REQUIRE_MOTO=1`.

use std::{
    env,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use super::skip;

/// A running server with one bucket, `pictures`. It is killed when dropped.
pub(crate) struct Moto {
    child: Child,
    /// For example `http://127.0.0.1:40000`.
    pub(crate) url: String,
}

impl Moto {
    /// Starts the server. Returns `None` if the test is to be skipped.
    pub(crate) async fn start() -> Option<Moto> {
        let program = env::var("SHOP_TEST_MOTO").unwrap_or_default();
        if program.is_empty() {
            skip(
                "MOTO",
                "no S3 server: set SHOP_TEST_MOTO to the program `moto_server`",
            );
            return None;
        }
        let mut child = Command::new(&program)
            .args(["-H", "127.0.0.1", "-p", "0"])
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("`{program}` does not run: {error}"));
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("Running on ")
                    .map(|(_, url)| url.trim().to_owned())
            })
            .expect("moto did not start");
        // It logs every request, and would block if nobody read its output.
        std::thread::spawn(move || lines.for_each(drop));
        let moto = Moto { child, url };
        let created = reqwest::Client::new().put(moto.bucket()).send().await;
        assert!(created.unwrap().status().is_success());
        Some(moto)
    }

    fn bucket(&self) -> String {
        format!("{}/pictures", self.url)
    }

    /// Returns the environment variables for a client.
    pub(crate) fn variables(&self) -> [(&'static str, &str); 4] {
        [
            ("AWS_ENDPOINT_URL", &self.url),
            ("AWS_ACCESS_KEY_ID", "key"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            ("AWS_REGION", "us-east-1"),
        ]
    }

    /// Returns the names of all objects in the bucket.
    pub(crate) async fn names(&self) -> Vec<String> {
        let listed = reqwest::get(format!("{}?list-type=2", self.bucket()))
            .await
            .unwrap();
        let text = listed.text().await.unwrap();
        let keys = text.split("<Key>").skip(1);
        keys.map(|key| key.split('<').next().unwrap().to_owned())
            .collect()
    }

    /// Puts an object directly, without the shop.
    pub(crate) async fn put(&self, name: &str, file: Vec<u8>) {
        let url = format!("{}/{name}", self.bucket());
        let put = reqwest::Client::new().put(url).body(file).send().await;
        assert!(put.unwrap().status().is_success());
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
