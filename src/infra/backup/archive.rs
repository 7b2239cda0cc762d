//! Writes and reads archives.

use std::{
    collections::BTreeMap,
    io::{self, BufReader, ErrorKind, Read, Write},
};

use flate2::{Compression, read::MultiGzDecoder, write::GzEncoder};
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

use super::manifest::{Manifest, is_file_name};
use crate::core::error::{Error, Kind, Result};

/// The name of the database in an archive.
pub const DATABASE: &str = "shop.db";

/// The folder of the images in an archive and in a place.
pub const IMAGES: &str = "images";

const MANIFEST: &str = "manifest.json";
const CHECKSUMS: &str = "SHA256SUMS";

/// The first bytes of a gzip file (RFC 1952, section 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];

/// The maximum size of the manifest and the checksums: several million images.
const MAX_LIST: u64 = 1 << 30;

/// Writes an archive, entry by entry.
pub struct Writer<W: Write> {
    tar: Builder<Compressor<W>>,
    checksums: String,
}

impl<W: Write> Writer<W> {
    /// Begins an archive with its manifest.
    pub fn new(out: W, manifest: &Manifest) -> Result<Writer<W>> {
        let mut writer = Writer {
            tar: Builder::new(Compressor::new(out)),
            checksums: String::new(),
        };
        let text = serde_json::to_vec_pretty(manifest).map_err(Error::internal)?;
        writer.add(MANIFEST, text.len() as u64, text.as_slice())?;
        Ok(writer)
    }

    /// Adds an entry.
    ///
    /// Errors: `StorageFull`; `Unavailable` if `content` cannot be read or has another size.
    pub fn add(&mut self, name: &str, size: u64, content: impl Read) -> Result<()> {
        let mut content = Hashing {
            inner: content.take(size),
            hasher: Sha256::new(),
            size: 0,
            failed: None,
        };
        let compresses = image_in(name).is_none();
        let begun = self.tar.get_mut().compress(compresses);
        begun.map_err(cannot_write)?;
        self.tar
            .append_data(&mut header(size), name, &mut content)
            .map_err(cannot_write)?;
        if content.size != size {
            return Err(Error::unavailable(format!(
                "`{name}` was changed while it was archived; try again"
            )));
        }
        let sum = hex::encode(content.hasher.finalize());
        self.checksums.extend([&*sum, "  ", name, "\n"]);
        Ok(())
    }

    /// Ends the archive with its checksums. Returns the output.
    pub fn finish(mut self) -> Result<W> {
        let sums = std::mem::take(&mut self.checksums);
        self.tar
            .append_data(&mut header(sums.len() as u64), CHECKSUMS, sums.as_bytes())
            .and_then(|()| self.tar.into_inner())
            .and_then(Compressor::finish)
            .map_err(cannot_write)
    }
}

/// A gzip file of several members (RFC 1952, section 2.2), so that images, which are compressed already, are stored as
/// they are: compressing them would take most of a backup's processor time.
struct Compressor<W: Write> {
    /// `None` only while one member ends and the next one begins.
    member: Option<GzEncoder<W>>,
    compresses: bool,
}

impl<W: Write> Compressor<W> {
    fn new(out: W) -> Compressor<W> {
        Compressor {
            member: Some(member(out, true)),
            compresses: true,
        }
    }

    /// Begins a new member if what follows is to be treated in another way.
    fn compress(&mut self, compresses: bool) -> io::Result<()> {
        if self.compresses != compresses {
            let ended = self.member.take().ok_or(ErrorKind::BrokenPipe)?;
            self.member = Some(member(ended.finish()?, compresses));
            self.compresses = compresses;
        }
        Ok(())
    }

    fn current(&mut self) -> io::Result<&mut GzEncoder<W>> {
        self.member
            .as_mut()
            .ok_or_else(|| ErrorKind::BrokenPipe.into())
    }

    fn finish(self) -> io::Result<W> {
        self.member.ok_or(ErrorKind::BrokenPipe)?.finish()
    }
}

/// Begins a member, with the fastest level: a database shrinks by a half, and the others take several times as long.
fn member<W: Write>(out: W, compresses: bool) -> GzEncoder<W> {
    let level = if compresses {
        Compression::fast()
    } else {
        Compression::none()
    };
    GzEncoder::new(out, level)
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.current()?.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.current()?.flush()
    }
}

/// Returns the name of the image that an entry holds, if it is one.
fn image_in(entry: &str) -> Option<&str> {
    entry.strip_prefix(IMAGES)?.strip_prefix('/')
}

fn header(size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_size(size);
    header.set_mode(0o600);
    header
}

fn cannot_write(error: io::Error) -> Error {
    let detail = format!("cannot write the backup: {error}");
    let kind = match error.kind() {
        ErrorKind::StorageFull => Kind::StorageFull,
        _ => Kind::Unavailable,
    };
    Error::new(kind, detail).caused_by(error)
}

/// Reads the manifest of an archive, and nothing else of it.
///
/// Errors: `CommandFailed` if it is damaged, or not a backup.
pub fn read_manifest(input: impl Read) -> Result<Manifest> {
    let mut archive = open(input)?;
    let first = archive.entries().map_err(damaged)?.next();
    let mut first = first.ok_or_else(not_a_backup)?.map_err(damaged)?;
    manifest(&mut first, &mut Vec::new())
}

/// Errors: `CommandFailed` if `input` does not begin like an archive.
fn open(mut input: impl Read) -> Result<Archive<impl Read>> {
    let mut start = Vec::new();
    let length = GZIP.len() as u64;
    let read = input.by_ref().take(length).read_to_end(&mut start);
    read.map_err(damaged)?;
    if start != GZIP {
        return Err(not_a_backup());
    }
    let whole = BufReader::with_capacity(1 << 20, GZIP.chain(input));
    Ok(Archive::new(MultiGzDecoder::new(whole)))
}

/// Reads an archive to its end and checks it. Calls `entry` with the manifest, the name and the content of every
/// entry but the manifest and the checksums.
///
/// Errors: `CommandFailed` if the archive is damaged, which is known only at its end, or not a backup; `Unavailable` if
/// `input` fails. Errors of `entry`.
pub fn read(
    input: impl Read,
    entry: &mut dyn FnMut(&Manifest, &str, &mut dyn Read) -> Result<()>,
) -> Result<Manifest> {
    let mut input = Input {
        inner: input,
        failed: None,
    };
    let read = read_entries(&mut input, entry);
    match input.failed {
        None => read,
        Some(why) => Err(Error::unavailable(format!(
            "the backup cannot be read: {why}"
        ))),
    }
}

fn read_entries(
    input: impl Read,
    entry: &mut dyn FnMut(&Manifest, &str, &mut dyn Read) -> Result<()>,
) -> Result<Manifest> {
    let mut archive = open(input)?;
    let mut sums = BTreeMap::new();
    let mut expected = None;
    let mut found = None;
    for next in archive.entries().map_err(damaged)? {
        let mut next = next.map_err(damaged)?;
        let Some(manifest) = &found else {
            let mut text = Vec::new();
            found = Some(manifest(&mut next, &mut text)?);
            sums.insert(MANIFEST.to_owned(), hex::encode(Sha256::digest(&text)));
            continue;
        };
        let name = name_of(&next)?;
        if name == CHECKSUMS {
            let mut text = String::new();
            next.take(MAX_LIST)
                .read_to_string(&mut text)
                .map_err(damaged)?;
            expected = Some(text);
            break;
        }
        let is_known = name == DATABASE || image_in(&name).is_some_and(is_file_name);
        if !is_known {
            return Err(damaged(format!(
                "it contains `{name}`, which no backup has"
            )));
        }
        let mut content = Hashing {
            inner: next,
            hasher: Sha256::new(),
            size: 0,
            failed: None,
        };
        let read = entry(manifest, &name, &mut content);
        if let Some(why) = content.failed {
            return Err(damaged(why));
        }
        read?;
        // The rest, if `entry` has not read everything.
        io::copy(&mut content, &mut io::sink()).map_err(damaged)?;
        sums.insert(name, hex::encode(content.hasher.finalize()));
    }
    // The end of the compressed data has its own checksum.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(damaged)?;
    let found = found.ok_or_else(not_a_backup)?;
    let expected = expected.ok_or_else(|| damaged("its end is missing"))?;
    check(&sums, &expected)?;
    Ok(found)
}

/// Compares the checksums with the listed ones.
fn check(sums: &BTreeMap<String, String>, listed: &str) -> Result<()> {
    let listed: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name, sum))
        .collect();
    let names: std::collections::BTreeSet<&str> = sums
        .keys()
        .map(String::as_str)
        .chain(listed.keys().copied())
        .collect();
    let differs = |name: &&str| sums.get(*name).map(String::as_str) != listed.get(*name).copied();
    match names.into_iter().find(differs) {
        Some(name) => Err(damaged(format!("the checksum of `{name}` is wrong"))),
        None if !sums.contains_key(DATABASE) => Err(damaged("it contains no database")),
        None => Ok(()),
    }
}

/// Reads the first entry, which must be the manifest. `text` gets its bytes.
fn manifest<R: Read>(entry: &mut tar::Entry<'_, R>, text: &mut Vec<u8>) -> Result<Manifest> {
    if *entry.path_bytes() != *MANIFEST.as_bytes() {
        return Err(not_a_backup());
    }
    entry.take(MAX_LIST).read_to_end(text).map_err(damaged)?;
    Manifest::parse(text).map_err(|error| damaged(error.detail().to_owned()))
}

fn name_of<R: Read>(entry: &tar::Entry<'_, R>) -> Result<String> {
    let name = entry.path_bytes();
    match std::str::from_utf8(&name) {
        Ok(name) if entry.header().entry_type() == EntryType::Regular => Ok(name.to_owned()),
        _ => Err(damaged("it contains an entry that no backup has")),
    }
}

/// Returns the error for a file that `shop backup` has not made.
fn not_a_backup() -> Error {
    Error::command_failed(
        "this is not a backup of a shop; name a file that `shop backup` has made: `shop backup list` lists those at \
         the backup place",
    )
}

/// Returns the error for an archive that cannot be used.
fn damaged(why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    let why = why.into();
    Error::command_failed(format!("the backup is damaged: {why}")).caused_by(why)
}

/// Remembers why reading an archive failed, which does not mean that the archive is damaged.
struct Input<R> {
    inner: R,
    failed: Option<String>,
}

impl<R: Read> Read for Input<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        if let Err(error) = &read
            && error.kind() != ErrorKind::Interrupted
        {
            self.failed = Some(error.to_string());
        }
        read
    }
}

/// Hashes and counts what is read.
struct Hashing<R> {
    inner: R,
    hasher: Sha256,
    size: u64,
    /// Why reading failed.
    failed: Option<String>,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        let count = read.inspect_err(|error| self.failed = Some(error.to_string()))?;
        self.hasher.update(&buffer[..count]);
        self.size += count as u64;
        Ok(count)
    }
}
