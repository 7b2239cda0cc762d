//! Limits the empty fragments that a client sends on a WebSocket (RFC 6455, section 5.4).
//!
//! A message may consist of any number of fragments. Those with a payload are limited by the size of the message.
//! The WebSocket library reads empty ones in a loop that ends only when none is left, so they are counted here, in
//! the bytes that it reads.

use std::io;

use tokio::time::{Duration, Instant};

use crate::infra::web::FragmentFlood;

/// The maximum number of empty fragments per second. No ordinary client sends any.
const MAX_PER_SECOND: u32 = 50;

/// The first byte of a frame: whether it ends its message, and its opcode.
const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const BINARY: u8 = 2;

/// The second byte: whether the payload is masked, and its length or one of two marks for a longer one.
const MASKED: u8 = 0x80;
const LENGTH_IN_2_BYTES: u8 = 126;
const LENGTH_IN_8_BYTES: u8 = 127;

const MASK_LEN: usize = 4;

/// Follows the frames of a connection.
#[derive(Debug, Default)]
pub(super) struct Fragments {
    /// The part of a frame's head that has arrived.
    head: [u8; 14],
    head_len: usize,
    /// How much of the current frame's payload is still to come.
    payload: u64,
    /// When the current second began, and the number of empty fragments since then.
    since: Option<Instant>,
    count: u32,
}

impl Fragments {
    /// Scans the next bytes of the connection.
    ///
    /// Errors: [`FragmentFlood`].
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        loop {
            let skipped = self.payload.min(bytes.len() as u64);
            self.payload -= skipped;
            // It is at most the length of `bytes`.
            bytes = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
            let Some((&first, rest)) = bytes.split_first() else {
                return Ok(());
            };
            bytes = rest;
            self.head[self.head_len] = first;
            self.head_len += 1;
            if self.head_len < 2 || self.head_len < self.full_head_len() {
                continue;
            }
            self.payload = self.payload_len();
            self.head_len = 0;
            let is_fragment = self.head[0] & FIN == 0 && self.head[0] & OPCODE <= BINARY;
            if is_fragment && self.payload == 0 {
                self.count_empty()?;
            }
        }
    }

    /// Returns the length of the current frame's head, of which the first two bytes have arrived.
    fn full_head_len(&self) -> usize {
        let length = match self.head[1] & !MASKED {
            LENGTH_IN_2_BYTES => 2,
            LENGTH_IN_8_BYTES => 8,
            _ => 0,
        };
        let mask = if self.head[1] & MASKED == 0 {
            0
        } else {
            MASK_LEN
        };
        2 + length + mask
    }

    /// Returns the length of the payload that follows a complete head.
    fn payload_len(&self) -> u64 {
        let size = match self.head[1] & !MASKED {
            LENGTH_IN_2_BYTES => 2,
            LENGTH_IN_8_BYTES => 8,
            length => return length.into(),
        };
        let bytes = &self.head[2..2 + size];
        bytes
            .iter()
            .fold(0, |length, byte| length << 8 | u64::from(*byte))
    }

    fn count_empty(&mut self) -> io::Result<()> {
        let now = Instant::now();
        let is_over = |since| now - since >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            (self.since, self.count) = (Some(now), 0);
        }
        self.count += 1;
        if self.count > MAX_PER_SECOND {
            return Err(io::Error::other(FragmentFlood));
        }
        Ok(())
    }
}
