//! The difference of a page to its previous version among the same frames: their exclusive or, mostly zeros.

use std::collections::HashMap;

use crate::infra::db::sqlite::wal::Header;

/// Replaces each page by its difference to its previous version, if there is one.
pub(super) fn subtract(frames: &mut [u8], wal: &Header) {
    // From the end, so that the previous version is still whole.
    let previous = previous_versions(frames, wal);
    for (frame, version) in previous.into_iter().rev() {
        xor(frames, wal, frame, version);
    }
}

/// Undoes [`subtract`].
pub(super) fn add(frames: &mut [u8], wal: &Header) {
    for (frame, version) in previous_versions(frames, wal) {
        xor(frames, wal, frame, version);
    }
}

/// Returns the frames that have a previous version of their page, each with the frame of that.
fn previous_versions(frames: &[u8], wal: &Header) -> Vec<(usize, usize)> {
    let mut newest = HashMap::new();
    let frames = frames.chunks_exact(wal.frame_size()).enumerate();
    frames
        .filter_map(|(index, frame)| {
            Some((index, newest.insert(Header::page_number(frame), index)?))
        })
        .collect()
}

fn xor(frames: &mut [u8], wal: &Header, frame: usize, version: usize) {
    let size = wal.frame_size();
    let (before, from) = frames.split_at_mut(frame * size);
    let page = &mut from[Header::FRAME_HEADER_SIZE..size];
    let version = &before[version * size + Header::FRAME_HEADER_SIZE..(version + 1) * size];
    for (byte, before) in page.iter_mut().zip(version) {
        *byte ^= before;
    }
}
