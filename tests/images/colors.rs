//! Images with colour profiles are converted to sRGB without changing their colours.

use flate2::{Compression, write::ZlibEncoder};
use image::{DynamicImage, GrayImage, ImageBuffer, ImageFormat, Luma, Rgb, RgbImage};
use moxcms::ColorProfile;
use std::io::Write;

use super::{crafted::webp, path, product};
use crate::support::{
    TestShop,
    images::{chunk, file, with_chunks},
    storage_test,
};

/// The same colour in Display P3 and in sRGB.
const IN_P3: [u8; 3] = [104, 197, 103];
const IN_SRGB: [u8; 3] = [60, 200, 90];

/// The maximum deviation of a sample after a conversion.
const TOLERANCE: u8 = 2;

/// The same for a JPEG, which is lossy itself.
const JPEG_TOLERANCE: u8 = 6;

fn plain(color: [u8; 3], width: u32) -> DynamicImage {
    RgbImage::from_pixel(width, 20, Rgb(color)).into()
}

pub(super) fn p3() -> Vec<u8> {
    ColorProfile::new_display_p3().encode().unwrap()
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Adds an ICC profile to a PNG.
pub(super) fn with_profile(png: &[u8], profile: &[u8]) -> Vec<u8> {
    let content = [b"a profile\0\0", &compress(profile)[..]].concat();
    with_chunks(png, &[chunk(*b"iCCP", &content)])
}

fn png_with_profile(image: &DynamicImage, profile: &[u8]) -> Vec<u8> {
    with_profile(&file(image, ImageFormat::Png), profile)
}

/// Returns a JPEG with the ICC profile in three chunks in reverse order (ICC.1:2022, annex B.4).
fn jpeg_with_profile(image: &DynamicImage, profile: &[u8]) -> Vec<u8> {
    let mut jpeg = file(image, ImageFormat::Jpeg);
    let chunks: Vec<_> = profile.chunks(profile.len().div_ceil(3)).collect();
    for (number, chunk) in (1..).zip(&chunks) {
        let count = u8::try_from(chunks.len()).unwrap();
        let content = [b"ICC_PROFILE\0", &[number, count][..], chunk].concat();
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        jpeg.splice(2..2, [&[0xff, 0xe2][..], &length, &content].concat());
    }
    jpeg
}

fn webp_with_profile(image: &DynamicImage, profile: &[u8]) -> Vec<u8> {
    let lossless = file(image, ImageFormat::WebP);
    let length = u32::from_le_bytes(lossless[16..20].try_into().unwrap()) as usize;
    let (width, height) = (image.width() - 1, image.height() - 1);
    let [w0, w1, ..] = width.to_le_bytes();
    let [h0, h1, ..] = height.to_le_bytes();
    let canvas = [0x20, 0, 0, 0, w0, w1, 0, h0, h1, 0];
    webp(&[
        (b"VP8X", &canvas),
        (b"ICCP", profile),
        (b"VP8L", &lossless[20..20 + length]),
    ])
}

/// Returns a PNG chunk of numbers in units of 1/100,000.
fn scaled(kind: [u8; 4], numbers: &[u32]) -> Vec<u8> {
    let content: Vec<u8> = numbers
        .iter()
        .flat_map(|number| number.to_be_bytes())
        .collect();
    chunk(kind, &content)
}

/// Uploads an image. Returns the first pixel of the stored image, or of the thumbnail `width`.
async fn stored_pixel(shop: &TestShop, what: &str, file: &[u8], width: &str) -> [u8; 3] {
    let created = product(&shop.admin().await, &[file]).await;
    assert_eq!(created.status, 201, "{what}: {created:?}");
    let served = shop
        .anonymous()
        .get(&format!("{}{width}", path(&created, 0)))
        .await;
    let image = image::load_from_memory(&served.body).unwrap().to_rgb8();
    image.get_pixel(0, 0).0
}

#[track_caller]
fn assert_near(what: &str, found: [u8; 3], expected: [u8; 3]) {
    let tolerance = if what == "JPEG" {
        JPEG_TOLERANCE
    } else {
        TOLERANCE
    };
    let mut pairs = found.iter().zip(expected);
    let is_near = pairs.all(|(found, expected)| found.abs_diff(expected) <= tolerance);
    assert!(is_near, "{what}: {found:?} instead of {expected:?}");
}

storage_test! {
    async fn colours_are_converted_by_their_icc_profile(shop: TestShop) {
        let wide = include_bytes!("samples/wide-gamut-p3.png");
        // 60, 200, 90 in P3 with a gamma of 2.2. The expected value comes from LittleCMS.
        assert_near("a sample", stored_pixel(&shop, "a sample", wide, "").await, [0, 205, 72]);
        let image = plain(IN_P3, 700);
        let image_16bit = ImageBuffer::from_pixel(9, 9, Rgb(IN_P3.map(|sample| u16::from(sample) * 257)));
        let transparent = DynamicImage::from(plain(IN_P3, 9).to_rgba8());
        for (what, file) in [
            ("PNG", png_with_profile(&image, &p3())),
            ("PNG of 16 bits", png_with_profile(&DynamicImage::ImageRgb16(image_16bit), &p3())),
            ("PNG with alpha", png_with_profile(&transparent, &p3())),
            ("JPEG", jpeg_with_profile(&image, &p3())),
            ("WebP", webp_with_profile(&image, &p3())),
        ] {
            assert_near(what, stored_pixel(&shop, what, &file, "").await, IN_SRGB);
            assert_near(what, stored_pixel(&shop, what, &file, "?w=320").await, IN_SRGB);
        }
    }

    async fn a_png_can_declare_its_colours_in_several_chunks(shop: TestShop) {
        let image = file(&plain(IN_P3, 9), ImageFormat::Png);
        let p3_points = [31_270, 32_900, 68_000, 32_000, 26_500, 69_000, 15_000, 6_000];
        let primaries = scaled(*b"cHRM", &p3_points);
        let code_points = chunk(*b"cICP", &[12, 13, 0, 1]);
        let wrong = scaled(*b"gAMA", &[100_000]);
        let srgb = chunk(*b"sRGB", &[0]);
        for (what, chunks, expected) in [
            ("cHRM", vec![primaries.clone()], IN_SRGB),
            ("cICP before others", vec![code_points, srgb.clone(), wrong.clone()], IN_SRGB),
            ("sRGB before others", vec![srgb, wrong.clone(), primaries], IN_P3),
            ("the gamma of sRGB", vec![scaled(*b"gAMA", &[45_455])], IN_P3),
            // Linear light: 104 of 255 is 0.41, which is 0.671 in sRGB.
            ("gAMA", vec![wrong], [171, 228, 170]),
        ] {
            let file = with_chunks(&image, &chunks);
            assert_near(what, stored_pixel(&shop, what, &file, "").await, expected);
        }
    }

    async fn greyscale_images_are_converted_by_greyscale_profiles(shop: TestShop) {
        let grey: DynamicImage = GrayImage::from_pixel(9, 9, Luma([102])).into();
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        for (what, file) in [
            ("PNG", png_with_profile(&grey, &linear)),
            ("JPEG", jpeg_with_profile(&grey, &linear)),
            ("gAMA", with_chunks(&file(&grey, ImageFormat::Png), &[scaled(*b"gAMA", &[100_000])])),
        ] {
            assert_near(what, stored_pixel(&shop, what, &file, "").await, [170; 3]);
        }
    }

    async fn an_unusable_profile_is_ignored(shop: TestShop) {
        let image = plain(IN_P3, 9);
        let mut cut = p3();
        cut.truncate(cut.len() / 2);
        let grey = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        for (what, profile) in [
            ("no profile", b"not a profile".to_vec()),
            ("half a profile", cut),
            ("a greyscale profile", grey),
            ("sRGB", srgb),
        ] {
            for file in [
                png_with_profile(&image, &profile),
                jpeg_with_profile(&image, &profile),
                webp_with_profile(&image, &profile),
            ] {
                assert_near(what, stored_pixel(&shop, what, &file, "").await, IN_P3);
            }
        }
        // The decoder converts CMYK to RGB, for which the CMYK profile is not valid.
        let cmyk: &[u8] = include_bytes!("samples/cmyk.jpg");
        assert_eq!(product(&shop.admin().await, &[cmyk]).await.status, 201);
    }
}
