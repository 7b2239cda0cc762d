//! Incomplete files and animations. Pillow 12 wrote the samples, except `cut-*`, `whole.jpg`, `animated.gif` and
//! `animated.webp`, which other programs wrote.

use super::{crafted::webp, path, product};
use crate::support::{
    Answer, Client,
    pictures::{chunk, chunks},
    storage_test,
};

/// Files whose pixels are all there.
const WHOLE_JPEGS: [(&str, &[u8]); 8] = [
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

async fn upload(admin: &Client<'_>, file: &[u8]) -> Answer {
    product(admin, &[file]).await
}

#[track_caller]
fn is_refused(answer: &Answer, what: &str, why: &str) {
    assert_eq!(answer.status, 422, "{what}: {answer:?}");
    answer.is_problem(422, "invalid-image");
    let detail = answer.text("/detail");
    assert!(detail.contains(why), "{what}: {detail}");
}

/// Where the first scan of a JPEG begins.
fn first_scan(file: &[u8]) -> usize {
    let mut at = 2;
    while file[at + 1] != 0xda {
        at += 2 + usize::from(u16::from_be_bytes([file[at + 2], file[at + 3]]));
    }
    at + 2 + usize::from(file[at + 3])
}

/// The file without the bytes between the second and the third restart marker of its first scan.
fn without_an_interval(file: &[u8]) -> Vec<u8> {
    let scan = first_scan(file);
    let is_restart = |at: &usize| file[*at] == 0xff && (0xd0..=0xd7).contains(&file[*at + 1]);
    let markers: Vec<usize> = (scan..file.len() - 1).filter(is_restart).collect();
    [&file[..markers[1]], &file[markers[2]..]].concat()
}

/// A file of `chunks` of a PNG, with half of its compressed pixels.
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

/// A WebP with half of the content of each chunk of these names.
fn webp_without_half(file: &[u8], names: &[&[u8; 4]]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut rest = &file[12..];
    while rest.len() >= 8 {
        let name: &[u8; 4] = rest[..4].try_into().unwrap();
        let length = u32::from_le_bytes(rest[4..8].try_into().unwrap()) as usize;
        let keep = if names.contains(&name) {
            length / 2
        } else {
            length
        };
        kept.push((name, &rest[8..8 + keep]));
        rest = &rest[(8 + length + length % 2).min(rest.len())..];
    }
    webp(&kept)
}

/// A GIF that ends, by all rules, after half of its compressed pixels: the last blocks of its content are left
/// out.
fn gif_without_half(file: &[u8]) -> Vec<u8> {
    // RawDb the screen and its table of 256 colours; extensions may come first.
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
        "an image without colours of its own"
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
    async fn a_jpeg_with_missing_pixels_is_refused(shop: TestShop) {
        let admin = shop.admin().await;
        for (what, file) in WHOLE_JPEGS {
            let answer = upload(&admin, file).await;
            assert_eq!(answer.status, 201, "{what}: {answer:?}");
            let scan = first_scan(file);
            let pixels = file.len() - EOI.len() - scan;
            for percent in [0, 10, 50, 95] {
                let cut = &file[..scan + pixels * percent / 100];
                is_refused(&upload(&admin, cut).await, what, "pixels are missing");
                // An end mark does not bring them back.
                let ended = [cut, &EOI].concat();
                is_refused(&upload(&admin, &ended).await, what, "pixels are missing");
            }
            // Nothing but the end mark is missing, or something follows it.
            let unmarked = upload(&admin, &file[..file.len() - 2]).await;
            assert_eq!(unmarked.status, 201, "{what}: {unmarked:?}");
            let [whole, unmarked] = [&answer, &unmarked].map(|it| path(it, 0));
            let stored = shop.anonymous().get(&whole).await.body;
            assert_eq!(shop.anonymous().get(&unmarked).await.body, stored, "{what}");
            let followed = upload(&admin, &[file, &[0; 100], &EOI].concat()).await;
            assert_eq!(followed.status, 201, "{what}: {followed:?}");
        }
        for (what, file) in WHOLE_JPEGS {
            if what.contains("restart") {
                let cut = without_an_interval(file);
                is_refused(&upload(&admin, &cut).await, what, "pixels are missing");
            }
        }
        let half = include_bytes!("samples/cut-half.jpg");
        is_refused(&upload(&admin, half).await, "half", "pixels are missing");
        let unmarked = upload(&admin, include_bytes!("samples/cut-no-eoi.jpg")).await;
        assert_eq!(unmarked.status, 201, "{unmarked:?}");
    }

    async fn a_progressive_jpeg_without_its_last_scans_is_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let file: &[u8] = include_bytes!("samples/progressive.jpg");
        let markers = file.windows(2).enumerate();
        let scans: Vec<usize> = markers.filter(|(_, it)| *it == [0xff, 0xda]).map(|it| it.0).collect();
        assert!(scans.len() > 4);
        // The connection broke between two scans.
        let cut = &file[..*scans.last().unwrap()];
        is_refused(&upload(&admin, cut).await, "its last scan", "pixels are missing");
    }

    async fn other_pictures_with_missing_pixels_are_refused(shop: TestShop) {
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
            is_refused(&upload(&admin, &cut).await, what, "the image is");
            // Cut as a lost connection does.
            let half = &file[..file.len() / 2];
            is_refused(&upload(&admin, half).await, what, "the image is");
        }
    }

    async fn animations_are_refused(shop: TestShop) {
        let admin = shop.admin().await;
        for (what, file) in [
            ("GIF", &include_bytes!("samples/animated.gif")[..]),
            ("WebP", &include_bytes!("samples/animated.webp")[..]),
            ("PNG", &include_bytes!("samples/animated.png")[..]),
        ] {
            is_refused(&upload(&admin, file).await, what, "animations are not supported");
        }
        // One frame is a picture.
        let animated: &[u8] = include_bytes!("samples/animated.webp");
        let frame = animated.windows(4).position(|it| it == b"ANMF").unwrap();
        let second = frame + 4 + animated[frame + 4..].windows(4).position(|it| it == b"ANMF").unwrap();
        let mut single = animated[..second].to_vec();
        let size = u32::try_from(single.len() - 8).unwrap().to_le_bytes();
        single[4..8].copy_from_slice(&size);
        let answer = upload(&admin, &single).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }
}
