//! Incomplete files and animations. Pillow 12 wrote the samples, except `cut-*`, `whole.jpg`, `animated.gif` and
//! `animated.webp`, which other programs wrote.

use super::{crafted::webp, path, product};
use crate::support::{
    Client, TestResponse,
    images::{chunk, chunks},
    storage_test,
};

/// JPEG files with all image data.
const COMPLETE_JPEGS: [(&str, &[u8]); 8] = [
    ("whole", include_bytes!("samples/whole.jpg")),
    ("baseline", include_bytes!("samples/baseline.jpg")),
    ("no subsampling", include_bytes!("samples/full-colour.jpg")),
    ("grey", include_bytes!("samples/grey.jpg")),
    ("CMYK", include_bytes!("samples/cmyk.jpg")),
    ("restart markers", include_bytes!("samples/restart.jpg")),
    ("progressive", include_bytes!("samples/progressive.jpg")),
    (
        "progressive with restart markers",
        include_bytes!("samples/progressive-restart.jpg"),
    ),
];

const EOI: [u8; 2] = [0xff, 0xd9];

async fn upload(admin: &Client<'_>, file: &[u8]) -> TestResponse {
    product(admin, &[file]).await
}

#[track_caller]
fn assert_refused(answer: &TestResponse, what: &str, text: &str) {
    assert_eq!(answer.status, 422, "{what}: {answer:?}");
    answer.assert_problem(422, "invalid-image");
    let detail = answer.text("/detail");
    assert!(detail.contains(text), "{what}: {detail}");
}

/// Returns the position of the image data in the first scan of a JPEG.
fn first_scan(file: &[u8]) -> usize {
    let mut position = 2;
    while file[position + 1] != 0xda {
        let length = u16::from_be_bytes([file[position + 2], file[position + 3]]);
        position += 2 + usize::from(length);
    }
    position + 2 + usize::from(file[position + 3])
}

/// Removes the data between the second and the third restart marker of the first scan.
fn without_an_interval(file: &[u8]) -> Vec<u8> {
    let scan = first_scan(file);
    let is_restart = |at: &usize| file[*at] == 0xff && (0xd0..=0xd7).contains(&file[*at + 1]);
    let markers: Vec<usize> = (scan..file.len() - 1).filter(is_restart).collect();
    [&file[..markers[1]], &file[markers[2]..]].concat()
}

/// Removes half of the data in each `IDAT` chunk of a PNG.
fn png_without_half(file: &[u8]) -> Vec<u8> {
    let mut cut = file[..8].to_vec();
    for (kind, content) in chunks(file) {
        let keep = if kind == *b"IDAT" {
            content.len() / 2
        } else {
            content.len()
        };
        cut.extend(chunk(kind, &content[..keep]));
    }
    cut
}

/// Removes half of the payload of the named chunks of a WebP.
fn webp_without_half(file: &[u8], names: &[&[u8; 4]]) -> Vec<u8> {
    let mut chunks = Vec::new();
    let mut rest = &file[12..];
    while rest.len() >= 8 {
        let name: &[u8; 4] = rest[..4].try_into().unwrap();
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let keep = if names.contains(&name) {
            length / 2
        } else {
            length
        };
        chunks.push((name, &rest[8..8 + keep]));
        rest = &rest[(8 + length + length % 2).min(rest.len())..];
    }
    webp(&chunks)
}

/// Removes the second half of the data sub-blocks of a GIF. The file still ends correctly.
fn gif_without_half(file: &[u8]) -> Vec<u8> {
    // The screen descriptor and its table of 256 colours come first; extensions may follow.
    let mut at = 13 + 3 * 256;
    while file[at] == 0x21 {
        at += 2;
        while file[at] != 0 {
            at += 1 + usize::from(file[at]);
        }
        at += 1;
    }
    assert_eq!(
        (file[at], file[at + 9] & 0x80),
        (0x2c, 0),
        "an image without a local color table"
    );
    let content = at + 11;
    let mut blocks = vec![content];
    while file[*blocks.last().unwrap()] != 0 {
        let block = *blocks.last().unwrap();
        blocks.push(block + 1 + usize::from(file[block]));
    }
    let end = blocks[(blocks.len() - 1) / 2];
    [&file[..end], &[0, 0x3b]].concat()
}

storage_test! {
    async fn a_truncated_jpeg_is_refused(shop: TestShop) {
        let admin = shop.admin().await;
        for (what, file) in COMPLETE_JPEGS {
            let answer = upload(&admin, file).await;
            assert_eq!(answer.status, 201, "{what}: {answer:?}");
            let scan = first_scan(file);
            let pixels = file.len() - EOI.len() - scan;
            for percent in [0, 10, 50, 95] {
                let cut = &file[..scan + pixels * percent / 100];
                assert_refused(&upload(&admin, cut).await, what, "pixels are missing");
                // An EOI marker at the end changes nothing.
                let ended = [cut, &EOI].concat();
                assert_refused(&upload(&admin, &ended).await, what, "pixels are missing");
            }
            // Only the EOI marker is missing, or bytes follow it.
            let without_eoi = upload(&admin, &file[..file.len() - 2]).await;
            assert_eq!(without_eoi.status, 201, "{what}: {without_eoi:?}");
            let [complete, without_eoi] = [&answer, &without_eoi].map(|answer| path(answer, 0));
            let stored = shop.anonymous().get(&complete).await.body;
            assert_eq!(shop.anonymous().get(&without_eoi).await.body, stored, "{what}");
            let followed = upload(&admin, &[file, &[0; 100], &EOI].concat()).await;
            assert_eq!(followed.status, 201, "{what}: {followed:?}");
        }
        for (what, file) in COMPLETE_JPEGS {
            if what.contains("restart") {
                let cut = without_an_interval(file);
                assert_refused(&upload(&admin, &cut).await, what, "pixels are missing");
            }
        }
        let half = include_bytes!("samples/cut-half.jpg");
        assert_refused(&upload(&admin, half).await, "half", "pixels are missing");
        let without_eoi = upload(&admin, include_bytes!("samples/cut-no-eoi.jpg")).await;
        assert_eq!(without_eoi.status, 201, "{without_eoi:?}");
    }

    async fn a_progressive_jpeg_without_its_last_scans_is_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let file: &[u8] = include_bytes!("samples/progressive.jpg");
        let markers = file.windows(2).enumerate();
        let scans: Vec<usize> = markers.filter(|(_, marker)| *marker == [0xff, 0xda]).map(|(position, _)| position).collect();
        assert!(scans.len() > 4);
        // The file ends between two scans.
        let cut = &file[..*scans.last().unwrap()];
        assert_refused(&upload(&admin, cut).await, "its last scan", "pixels are missing");
    }

    async fn truncated_files_of_other_formats_are_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let lossy: &[u8] = include_bytes!("samples/lossy.webp");
        let lossless: &[u8] = include_bytes!("samples/lossless.webp");
        let alpha: &[u8] = include_bytes!("samples/alpha.webp");
        let gif: &[u8] = include_bytes!("samples/gif.gif");
        let interlaced: &[u8] = include_bytes!("samples/interlaced.gif");
        let png: &[u8] = include_bytes!("samples/wide-gamut-p3.png");
        let interlaced_png = &super::crafted::interlaced_png(40, 30)[..];
        for (what, file, cut) in [
            ("PNG", png, png_without_half(png)),
            ("interlaced PNG", interlaced_png, png_without_half(interlaced_png)),
            ("lossy WebP", lossy, webp_without_half(lossy, &[b"VP8 "])),
            ("lossless WebP", lossless, webp_without_half(lossless, &[b"VP8L"])),
            ("the colours of a WebP", alpha, webp_without_half(alpha, &[b"VP8 "])),
            ("the transparency of a WebP", alpha, webp_without_half(alpha, &[b"ALPH"])),
            ("GIF", gif, gif_without_half(gif)),
            ("interlaced GIF", interlaced, gif_without_half(interlaced)),
        ] {
            let answer = upload(&admin, file).await;
            assert_eq!(answer.status, 201, "{what}: {answer:?}");
            assert_refused(&upload(&admin, &cut).await, what, "the image is");
            // A file that is cut off, as by a lost connection.
            let half = &file[..file.len() / 2];
            assert_refused(&upload(&admin, half).await, what, "the image is");
        }
    }

    async fn animations_are_refused(shop: TestShop) {
        let admin = shop.admin().await;
        for (what, file) in [
            ("GIF", &include_bytes!("samples/animated.gif")[..]),
            ("WebP", &include_bytes!("samples/animated.webp")[..]),
            ("PNG", &include_bytes!("samples/animated.png")[..]),
        ] {
            assert_refused(&upload(&admin, file).await, what, "animations are not supported");
        }
        // An animation with a single frame is accepted.
        let animated: &[u8] = include_bytes!("samples/animated.webp");
        let frame = animated.windows(4).position(|name| name == b"ANMF").unwrap();
        let second = frame + 4 + animated[frame + 4..].windows(4).position(|name| name == b"ANMF").unwrap();
        let mut single = animated[..second].to_vec();
        let size = u32::try_from(single.len() - 8).unwrap().to_le_bytes();
        single[4..8].copy_from_slice(&size);
        let answer = upload(&admin, &single).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}
