//! Clients that follow the stock, on the current thread. They read frames with little more than a length and a `seq`.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    io::ErrorKind,
    rc::Rc,
    time::Duration,
};

use serde::Deserialize;
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
struct Received {
    /// What a socket reads is here for a moment.
    buffer: RefCell<Vec<u8>>,
    messages: Cell<u64>,
    bytes: Cell<usize>,
    /// The newest sequence number, and how many sockets have it.
    newest: Cell<u64>,
    count: Cell<usize>,
    /// The delay of the last message, and the largest one, in milliseconds.
    delay: Cell<f64>,
    slowest: Cell<f64>,
    last: RefCell<String>,
    changed: Notify,
}

/// The beginning of a message about changes of stock.
#[derive(Deserialize)]
struct Head {
    seq: u64,
    at: Timestamp,
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
        let received = Rc::new(Received::new());
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

    /// Returns the bytes of all messages so far.
    pub(crate) fn bytes(&self) -> usize {
        self.received.bytes.get()
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

async fn read(stream: TcpStream, received: Rc<Received>) {
    let mut pending = Vec::new();
    while stream.readable().await.is_ok() {
        let mut buffer = received.buffer.borrow_mut();
        match stream.try_read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => received.frames(&mut pending, &buffer[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return,
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
    fn new() -> Received {
        Received {
            buffer: RefCell::new(vec![0; 256 * 1024]),
            messages: Cell::default(),
            bytes: Cell::default(),
            newest: Cell::default(),
            count: Cell::default(),
            delay: Cell::default(),
            slowest: Cell::default(),
            last: RefCell::default(),
            changed: Notify::new(),
        }
    }

    /// Counts the messages in frames. `pending` is an incomplete one, which begins them. Between frames it takes no
    /// memory: the sockets should take little of this process, too.
    fn frames(&self, pending: &mut Vec<u8>, bytes: &[u8]) {
        let bytes = if pending.is_empty() {
            Cow::Borrowed(bytes)
        } else {
            pending.extend_from_slice(bytes);
            Cow::Owned(std::mem::take(pending))
        };
        let mut rest = &*bytes;
        while let Some((start, end)) = frame(rest) {
            if rest[0] & 0x0f == 1 {
                self.message(&rest[start..end]);
            }
            rest = &rest[end..];
        }
        *pending = rest.to_vec();
    }

    /// Counts a message. Only what precedes its products is parsed: the clients are on the same processors as the
    /// server, and should take little of them.
    fn message(&self, text: &[u8]) {
        let text = std::str::from_utf8(text).expect("a message is text");
        let Some((head, _)) = text.split_once(",\"products\"") else {
            return; // HELLO
        };
        let head: Head = serde_json::from_str(&format!("{head}}}")).expect("JSON");
        self.messages.set(self.messages.get() + 1);
        self.bytes.set(self.bytes.get() + text.len());
        self.delay.set(delay_since(head.at));
        self.slowest.set(self.slowest.get().max(self.delay.get()));
        if head.seq > self.newest.get() {
            self.newest.set(head.seq);
            self.count.set(0);
            text.clone_into(&mut self.last.borrow_mut());
        }
        if head.seq == self.newest.get() {
            self.count.set(self.count.get() + 1);
        }
        self.changed.notify_one();
    }
}

/// Returns how long ago a commit was, in milliseconds.
fn delay_since(commit: Timestamp) -> f64 {
    let passed = Clock::system().now().0 - commit.0;
    f64::from(u32::try_from(passed).expect("the clocks agree"))
}
