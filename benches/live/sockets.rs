//! Clients that follow the stock, on the current thread. They read frames with little more than a length and a `seq`.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use shop::core::clock::{Clock, Timestamp};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    sync::Notify,
    task::JoinSet,
};

/// How many sockets are opened at a time.
const BATCH: usize = 100;

/// How many sockets share an address: a server limits each one.
const PER_ADDRESS: usize = 50;

const TIMEOUT: Duration = Duration::from_secs(30);

/// What all sockets have received.
#[derive(Default)]
struct Received {
    messages: Cell<u64>,
    /// The newest sequence number, and how many sockets have it.
    newest: Cell<u64>,
    count: Cell<usize>,
    /// The delay of the last message, and the largest one, in milliseconds.
    delay: Cell<f64>,
    slowest: Cell<f64>,
    last: RefCell<String>,
    changed: Notify,
}

/// Open sockets. Dropping the value closes them.
pub(crate) struct Sockets {
    received: Rc<Received>,
    total: usize,
    /// The newest sequence number that [`Sockets::last_delay`] has waited for.
    waited: Cell<u64>,
    _tasks: JoinSet<()>,
}

impl Sockets {
    pub(crate) async fn connect(address: &str, path: &str, total: usize) -> Sockets {
        let received = Rc::new(Received::default());
        let mut tasks = JoinSet::new();
        for first in (0..total).step_by(BATCH) {
            let numbers = first..(first + BATCH).min(total);
            for stream in
                futures_util::future::join_all(numbers.map(|number| open(address, path, number)))
                    .await
            {
                tasks.spawn_local(read(stream, Rc::clone(&received)));
            }
        }
        Sockets {
            received,
            total,
            waited: Cell::new(0),
            _tasks: tasks,
        }
    }

    /// Waits until all sockets have received a message that is newer than the last one. Returns how long after its
    /// commit the last socket received it, in milliseconds.
    pub(crate) async fn last_delay(&self) -> f64 {
        let all = async {
            while self.received.newest.get() <= self.waited.get()
                || self.received.count.get() < self.total
            {
                self.received.changed.notified().await;
            }
        };
        tokio::time::timeout(TIMEOUT, all)
            .await
            .expect("all sockets receive the message");
        self.waited.set(self.received.newest.get());
        self.received.delay.get()
    }

    pub(crate) fn messages(&self) -> u64 {
        self.received.messages.get()
    }

    /// Returns the largest delay so far, in milliseconds.
    pub(crate) fn slowest(&self) -> f64 {
        self.received.slowest.get()
    }

    pub(crate) fn last_message(&self) -> String {
        self.received.last.borrow().clone()
    }
}

/// Opens a socket. Each group of sockets has a loopback address of its own.
async fn open(address: &str, path: &str, number: usize) -> TcpStream {
    let group = number / PER_ADDRESS;
    let from = format!("127.1.{}.{}:0", group / 250, group % 250 + 1);
    let socket = TcpSocket::new_v4().expect("a socket");
    socket
        .bind(from.parse().expect("an address"))
        .expect("a free port");
    let address = address.parse().expect("an address");
    let mut stream = socket.connect(address).await.expect("the server accepts");
    let head = format!(
        "GET {path} HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream
        .write_all(head.as_bytes())
        .await
        .expect("the server reads");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.expect("the server answers"));
    }
    assert!(
        answer.starts_with(b"HTTP/1.1 101"),
        "{}",
        String::from_utf8_lossy(&answer)
    );
    stream
}

async fn read(mut stream: TcpStream, received: Rc<Received>) {
    let mut buffer = Vec::new();
    loop {
        match stream.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        while let Some((start, end)) = frame(&buffer) {
            if buffer[0] & 0x0f == 1 {
                received
                    .message(std::str::from_utf8(&buffer[start..end]).expect("a message is text"));
            }
            buffer.drain(..end);
        }
        if buffer.is_empty() {
            // Idle sockets should take no memory of this process either.
            buffer = Vec::new();
        }
    }
}

/// Returns where the payload of a complete frame (RFC 6455, section 5.2) begins and ends.
fn frame(buffer: &[u8]) -> Option<(usize, usize)> {
    let (start, length) = match *buffer.get(1)? {
        126 => (
            4,
            u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?]).into(),
        ),
        127 => {
            let bytes = buffer.get(2..10)?.try_into().ok()?;
            (10, usize::try_from(u64::from_be_bytes(bytes)).ok()?)
        }
        length => (2, length.into()),
    };
    (buffer.len() >= start + length).then_some((start, start + length))
}

impl Received {
    fn message(&self, text: &str) {
        let message: serde_json::Value = serde_json::from_str(text).expect("JSON");
        if message["products"].is_null() {
            return; // HELLO
        }
        let seq = message["seq"].as_u64().expect("a number");
        self.messages.set(self.messages.get() + 1);
        self.delay.set(delay_of(&message));
        self.slowest.set(self.slowest.get().max(self.delay.get()));
        if seq > self.newest.get() {
            self.newest.set(seq);
            self.count.set(0);
            text.clone_into(&mut self.last.borrow_mut());
        }
        if seq == self.newest.get() {
            self.count.set(self.count.get() + 1);
        }
        self.changed.notify_one();
    }
}

/// Returns how long ago the commit was that a message reports, in milliseconds.
fn delay_of(message: &serde_json::Value) -> f64 {
    let at = message["at"].as_str().expect("a time");
    let at: Timestamp = at.parse().expect("a time");
    let passed = Clock::system().now().0 - at.0;
    f64::from(u32::try_from(passed).expect("the clocks agree"))
}
