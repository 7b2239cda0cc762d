//! The format of a WAL file: a header, and frames of one page each. Checksums are cumulative, so a frame is valid only
//! behind its predecessors.

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
};

use serde::{Deserialize, Serialize};

/// The size of the header of a WAL in bytes.
const HEADER_SIZE: usize = 32;

/// The first four bytes of a WAL. With the lowest bit set, checksums read big-endian words.
const MAGIC: u32 = 0x377f_0682;

/// The largest page size.
const MAX_PAGE_SIZE: u32 = 65_536;

/// Identifies an epoch. A restart adds one to the first salt and chooses the second one at random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Salts(pub u32, pub u32);

impl Salts {
    /// Whether this epoch is later than `other`.
    pub(super) fn is_after(self, other: Salts) -> bool {
        self.restarts_since(other).cast_signed() > 0
    }

    /// Returns how many restarts lie between an earlier epoch and this one.
    pub fn restarts_since(self, earlier: Salts) -> u32 {
        self.0.wrapping_sub(earlier.0)
    }
}

/// The checksum of a WAL up to some frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum(u32, u32);

impl Checksum {
    fn update(self, bytes: &[u8], is_big_endian: bool) -> Checksum {
        let Checksum(mut a, mut b) = self;
        let (words, _) = bytes.as_chunks::<4>();
        for pair in words.chunks_exact(2) {
            let word = |bytes| {
                if is_big_endian {
                    u32::from_be_bytes(bytes)
                } else {
                    u32::from_le_bytes(bytes)
                }
            };
            a = a.wrapping_add(word(pair[0])).wrapping_add(b);
            b = b.wrapping_add(word(pair[1])).wrapping_add(a);
        }
        Checksum(a, b)
    }
}

/// The header of a WAL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Header([u8; HEADER_SIZE]);

impl Header {
    pub const SIZE: usize = HEADER_SIZE;

    /// The size of the header of a frame in bytes.
    pub const FRAME_HEADER_SIZE: usize = 24;

    /// Reads the header of a file that begins with one. Returns `None` if the file is empty.
    pub(super) fn read(file: &File) -> io::Result<Option<Header>> {
        let mut bytes = [0; Header::SIZE];
        match file.read_exact_at(&mut bytes, 0) {
            Ok(()) => Ok(Header::parse(&bytes)),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Parses a header. Returns `None` if it is not valid, for instance that of an empty WAL.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let header = Header(bytes.get(..HEADER_SIZE)?.try_into().ok()?);
        let sum = Checksum(0, 0).update(&header.0[..24], header.is_big_endian());
        let page_size = header.word(8);
        let is_valid = header.word(0) & !1 == MAGIC
            && page_size.is_power_of_two()
            && (512..=MAX_PAGE_SIZE).contains(&page_size)
            && header.checksum() == sum;
        is_valid.then_some(header)
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn salts(&self) -> Salts {
        Salts(self.word(16), self.word(20))
    }

    /// Returns the checksum before the first frame.
    pub fn checksum(&self) -> Checksum {
        Checksum(self.word(24), self.word(28))
    }

    /// Returns the size of a frame in bytes.
    pub fn frame_size(&self) -> usize {
        Header::FRAME_HEADER_SIZE + self.word(8) as usize
    }

    /// Returns where the frame after `frames` frames begins.
    pub fn offset(&self, frames: u32) -> u64 {
        HEADER_SIZE as u64 + u64::from(frames) * self.frame_size() as u64
    }

    /// Returns the number of the page in a frame.
    pub fn page_number(frame: &[u8]) -> u32 {
        word(frame, 0)
    }

    fn is_big_endian(&self) -> bool {
        self.word(0) & 1 == 1
    }

    fn word(&self, at: usize) -> u32 {
        word(&self.0, at)
    }
}

impl From<Header> for String {
    fn from(header: Header) -> String {
        hex::encode(header.0)
    }
}

impl TryFrom<String> for Header {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Header, &'static str> {
        let bytes = hex::decode(text).map_err(|_| "is not hexadecimal")?;
        Header::parse(&bytes).ok_or("is not the header of a WAL")
    }
}

/// The valid frames at the beginning of some bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frames {
    pub(super) count: u32,
    /// The checksum after the last one.
    pub(super) checksum: Checksum,
    /// Those that end a transaction, counted from 1.
    pub(super) commits: Vec<u32>,
}

impl Frames {
    /// Checks the salts and the checksums of `bytes`, which follow a frame with `checksum`, or the header.
    pub(super) fn check(header: &Header, checksum: Checksum, bytes: &[u8]) -> Frames {
        let mut found = Frames {
            count: 0,
            checksum,
            commits: Vec::new(),
        };
        for frame in bytes.chunks_exact(header.frame_size()) {
            let sum = found.checksum.update(&frame[..8], header.is_big_endian());
            let sum = sum.update(&frame[Header::FRAME_HEADER_SIZE..], header.is_big_endian());
            let is_valid = Salts(word(frame, 8), word(frame, 12)) == header.salts()
                && Checksum(word(frame, 16), word(frame, 20)) == sum;
            if !is_valid {
                break;
            }
            found.count += 1;
            found.checksum = sum;
            // The size of the database after the commit; 0 in other frames.
            if word(frame, 4) != 0 {
                found.commits.push(found.count);
            }
        }
        found
    }
}

/// Reads a big-endian word.
fn word(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    u32::from_be_bytes(word.unwrap_or_default())
}
