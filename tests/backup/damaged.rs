//! Damaged backups, and those of newer versions, are refused before anything is placed.

use std::{collections::BTreeMap, io::Read, path::Path};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use shop::{
    core::rng::Rng,
    infra::backup::{Images, Manifest, StoredIn, archive},
};

use super::*;
use crate::support::sqlite_test;

/// How many bytes are flipped, one at a time.
const FLIPS: u64 = 24;

/// The size of the header of a gzip file. A flipped bit there changes nothing.
const GZIP_HEADER: u64 = 10;

/// Asserts that a backup is refused, and that nothing is created.
fn assert_refused(file: &Path, word: &str) {
    let here = tempfile::tempdir().unwrap();
    let data_dir = here.path().join("data");
    let arguments = ["restore", file.to_str().unwrap()];
    let refused = fails(&run(&data_dir, &arguments));
    assert!(refused.contains(word), "{word}: {refused}");
    assert!(refused.contains(file.to_str().unwrap()), "{refused}");
    assert!(entries(here.path()).is_empty(), "nothing is left");
    let arguments = ["backup", "verify", file.to_str().unwrap()];
    let refused = fails(&run(&data_dir, &arguments));
    assert!(refused.contains(word), "{word}: {refused}");
}

/// Returns the decompressed content of an archive; `None` if it cannot be decompressed.
fn decompressed(archive: &[u8]) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    let read = GzDecoder::new(archive).read_to_end(&mut content);
    read.ok().map(|_| content)
}

/// Writes an archive with this schema version and database.
fn archive_of(file: &Path, schema: i64, database: &[u8]) {
    let images = Images {
        stored_in: StoredIn::Archive,
        names: Vec::new(),
        hosted: 0,
    };
    let created_at = "2026-01-31T12:00:00.000Z".to_owned();
    let manifest = Manifest::new("sqlite", created_at, schema, 0, BTreeMap::new(), images);
    let out = fs::File::create(file).unwrap();
    let mut writer = archive::Writer::new(out, &manifest).unwrap();
    let size = database.len() as u64;
    writer.add(archive::DATABASE, size, database).unwrap();
    writer.finish().unwrap();
}

sqlite_test! {
    async fn a_flipped_bit_is_refused(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        let whole = fs::read(backup.file()).unwrap();
        let rng = Rng::seeded(11);
        let broken = backup.path("broken.tar.gz");
        for _ in 0..FLIPS {
            let mut bytes = whole.clone();
            let at = GZIP_HEADER + rng.below(bytes.len() as u64 - GZIP_HEADER);
            bytes[usize::try_from(at).unwrap()] ^= 1 << rng.below(8);
            // Another bit may mean the same, e.g. another distance in a run of zeros.
            if decompressed(&bytes) == decompressed(&whole) {
                continue;
            }
            fs::write(&broken, bytes).unwrap();
            assert_refused(&broken, "the backup is damaged");
        }
    }

    async fn a_cut_backup_is_refused(shop: TestShop) {
        shop.fill().await;
        let backup = Backup::of(&shop);
        let whole = fs::read(backup.file()).unwrap();
        let broken = backup.path("broken.tar.gz");
        for length in [2, 5, 100, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
            fs::write(&broken, &whole[..length]).unwrap();
            assert_refused(&broken, "the backup is damaged");
        }
    }

    async fn an_image_that_is_missing_in_an_archive_is_reported(shop: TestShop) {
        shop.fill().await;
        let images = shop.directory.path().join("images");
        for name in entries(&images) {
            if !name.starts_with('.') {
                fs::remove_file(images.join(name)).unwrap();
            }
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("shop.tar.gz");
        let said = succeeds(&shop.run(&["backup", file.to_str().unwrap()]));
        assert!(said.contains("is missing in `images/`"), "{said}");
        let verified = run(directory.path(), &["backup", "verify", file.to_str().unwrap()]);
        assert_eq!(verified.status.code(), Some(1));
    }
}

#[test]
fn a_backup_of_a_newer_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("newer.tar.gz");
    archive_of(&file, 9999, b"");
    assert_refused(&file, "use that version");
}

#[test]
fn a_file_that_is_not_a_backup_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let picture = include_bytes!("../images/samples/alpha.webp").as_slice();
    let files = [
        ("empty.tar.gz", Vec::new()),
        ("hostname", b"ada\n".to_vec()),
        ("picture.webp", picture.to_vec()),
        ("shop.db", b"SQLite format 3\0".to_vec()),
        ("photos.tar.gz", tar_of("photos/ada.jpg")),
    ];
    for (name, content) in files {
        let file = directory.path().join(name);
        fs::write(&file, content).unwrap();
        assert_refused(&file, "not a backup of a shop; name a file");
    }
    let empty = directory.path().join("empty");
    let missing = run(&empty, &["restore", "/nowhere/shop.tar.gz"]);
    let missing = fails(&missing);
    for word in ["no backup `/nowhere/shop.tar.gz`", "backup list"] {
        assert!(missing.contains(word), "{missing}");
    }
}

/// Returns a compressed archive with one empty file.
fn tar_of(name: &str) -> Vec<u8> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = tar::Header::new_gnu();
    header.set_size(0);
    archive
        .append_data(&mut header, name, std::io::empty())
        .unwrap();
    archive.into_inner().unwrap().finish().unwrap()
}
