//! The chain of hashes, which shows whether an entry was changed, removed or inserted later.
//!
//! The hash of an entry is SHA-256 of the hash before it (32 bytes), its number (8 bytes, big-endian) and the
//! digest of its content (32 bytes). The first entry follows 32 zero bytes. `sequence_audit` in
//! `migrations/V25__audit.postgres.sql` computes the same.
//!
//! Whoever can write to the database can also compute a new chain. Only a copy of an earlier hash elsewhere
//! shows that, and the removal of the newest entries.

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::entry::{CONTENT, Content};
use crate::{
    core::{
        error::Result,
        finding::{Finding, Findings},
    },
    infra::db::{Row, Tx, params},
};

/// The hash before the first entry.
pub(super) const GENESIS: [u8; 32] = [0; 32];

/// How many entries are read at once.
const BATCH_SIZE: i64 = 1000;

/// The newest entry of a chain without a break.
#[derive(Debug, Clone, Serialize)]
pub struct Head {
    /// The number of the entry, which is also the number of entries.
    pub seq: i64,
    /// In hexadecimal digits.
    pub hash: String,
}

/// The first entry that does not continue the chain.
#[derive(Debug, Clone)]
pub struct Break {
    pub seq: i64,
    pub message: &'static str,
}

pub(super) fn next_hash(previous: &[u8], seq: i64, digest: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(previous);
    hasher.update(seq.to_be_bytes());
    hasher.update(digest);
    hasher.finalize().into()
}

/// The last entry that was checked.
struct Walk {
    seq: i64,
    hash: Vec<u8>,
}

impl Walk {
    /// Checks the next entry. Returns what is wrong with it.
    fn step(&mut self, row: &Row<'_>) -> Result<Option<Break>> {
        let (seq, expected) = (row.get::<i64>("seq")?, self.seq + 1);
        if seq != expected {
            let (seq, message) = (expected, "it is missing");
            return Ok(Some(Break { seq, message }));
        }
        let previous: &[u8] = row.get("previous")?;
        let hash: Vec<u8> = row.get("hash")?;
        let digest = Content::from_row(row)?.digest();
        if next_hash(previous, seq, &digest) != *hash {
            let message = "it was changed: its hash is that of another content";
            return Ok(Some(Break { seq, message }));
        }
        if previous != self.hash {
            let message = "it does not follow the one before, which was replaced";
            return Ok(Some(Break { seq, message }));
        }
        *self = Walk { seq, hash };
        Ok(None)
    }
}

/// Checks the whole chain. Returns its newest entry, or the first break.
pub fn check(tx: &mut Tx<'_>) -> Result<Result<Head, Break>> {
    let sql = format!(
        "SELECT seq, previous, hash, {CONTENT} FROM audit WHERE seq > ?1 ORDER BY seq LIMIT ?2"
    );
    let mut walk = Walk {
        seq: 0,
        hash: GENESIS.to_vec(),
    };
    loop {
        let (mut broken, mut count) = (None, 0);
        tx.each(&sql, params![walk.seq, BATCH_SIZE], |row| {
            count += 1;
            if broken.is_none() {
                broken = walk.step(row)?;
            }
            Ok(())
        })?;
        if let Some(broken) = broken {
            return Ok(Err(broken));
        }
        if count < BATCH_SIZE {
            return Ok(Ok(Head {
                seq: walk.seq,
                hash: hex::encode(walk.hash),
            }));
        }
    }
}

/// Checks that the chain of the audit log has no break.
pub fn verify(tx: &mut Tx<'_>, findings: &mut Findings) -> Result<()> {
    let broken = check(tx)?.err().map(|Break { seq, message }| {
        let remedy = "compare the log with a backup; nobody can repair it";
        Finding::new(format!("audit entry {seq}"), format!("{message}; {remedy}"))
    });
    findings.record("audit-chain", broken);
    Ok(())
}
