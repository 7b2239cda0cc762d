//! Images that Exif metadata rotates.

use image::ImageFormat;

use super::{crafted::webp, product};
use crate::support::{
    images::{chunk, file, test_image, with_chunks},
    storage_test,
};

/// Returns Exif metadata with only an orientation, of the given field type and byte order.
fn exif(is_big_endian: bool, kind: u16, value: u32) -> Vec<u8> {
    let short = |number: u16| {
        if is_big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let long = |number: u32| {
        if is_big_endian {
            number.to_be_bytes()
        } else {
            number.to_le_bytes()
        }
    };
    let value = if kind == 3 {
        let value = short(u16::try_from(value).unwrap());
        [value[0], value[1], 0, 0]
    } else {
        long(value)
    };
    [
        if is_big_endian {
            &b"MM\0*"[..]
        } else {
            b"II*\0"
        },
        &long(8),
        // One IFD entry: tag, type, count, value.
        &short(1),
        &short(0x0112),
        &short(kind),
        &long(1),
        &value,
        &long(0),
    ]
    .concat()
}

fn jpeg_with(exif: &[u8]) -> Vec<u8> {
    let content = [b"Exif\0\0", exif].concat();
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    let mut jpeg = test_image(8, 2, ImageFormat::Jpeg);
    jpeg.splice(2..2, [&[0xff, 0xe1][..], &length, &content].concat());
    jpeg
}

fn webp_with(exif: &[u8]) -> Vec<u8> {
    let lossless = file(&image::RgbImage::new(8, 2).into(), ImageFormat::WebP);
    let length = u32::from_le_bytes(lossless[16..20].try_into().unwrap()) as usize;
    let canvas = [0x08, 0, 0, 0, 7, 0, 0, 1, 0, 0];
    webp(&[
        (b"VP8X", &canvas),
        (b"VP8L", &lossless[20..20 + length]),
        (b"EXIF", exif),
    ])
}

storage_test! {
    async fn images_are_rotated_upright_for_every_type_of_orientation(shop: TestShop) {
        let admin = shop.admin().await;
        let png = test_image(8, 2, ImageFormat::Png);
        for is_big_endian in [false, true] {
            for (kind, value, size) in [
                (3, 6, (2, 8)), (4, 6, (2, 8)), (4, 8, (2, 8)), (3, 1, (8, 2)),
                // Invalid orientations.
                (4, 0x0006_0000, (8, 2)), (4, 9, (8, 2)), (7, 6, (8, 2)),
            ] {
                let exif = exif(is_big_endian, kind, value);
                let prefixed = [b"Exif\0\0", &exif[..]].concat();
                for (what, file) in [
                    ("JPEG", jpeg_with(&exif)),
                    ("PNG", with_chunks(&png, &[chunk(*b"eXIf", &exif)])),
                    ("WebP", webp_with(&exif)),
                    ("WebP with a prefix", webp_with(&prefixed)),
                ] {
                    let created = product(&admin, &[&file]).await;
                    assert_eq!(created.status, 201, "{what}: {created:?}");
                    let found = (created.number("/images/0/width"), created.number("/images/0/height"));
                    assert_eq!(found, size, "{what}, big-endian: {is_big_endian}, type {kind}, value {value}");
                }
            }
        }
    }
}
