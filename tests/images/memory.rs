//! The memory for decoding stays bounded, for images at the limits of each format and for bombs.

use http::Method;
use image::{DynamicImage, ImageBuffer, ImageFormat, Rgba, RgbaImage};

use super::{
    admin_of,
    colors::{p3, with_profile},
    crafted::{
        interlaced_png, progressive_jpeg, webp_of_huffman_codes, webp_with_a_larger_frame,
        webp_with_endless_metadata, webp_without_data,
    },
    product,
};
use crate::support::{
    Engine, Form, Process, Remote, TestResponse, TestShop,
    images::{file, phone_jpeg, png, test_image},
    storage_test,
};

/// The maximum growth of the server's memory, in kB.
const MAX_GROWTH: usize = 128 * 1024;

/// Returns an image of two colours, one of them transparent.
fn striped(width: u32, height: u32) -> RgbaImage {
    let stripes = [[0, 0, 0, 0].repeat(32), [200, 30, 40, 255].repeat(32)].concat();
    let row = stripes.into_iter().cycle().take(4 * width as usize);
    let row: Vec<u8> = row.collect();
    RgbaImage::from_raw(width, height, row.repeat(height as usize)).unwrap()
}

/// Returns a PNG with 16 bits per sample.
fn png_16bit(width: u32, height: u32) -> Vec<u8> {
    let pixels = ImageBuffer::from_fn(width, height, |x, y| {
        let grey = u16::try_from((x / 8) ^ (y / 8)).unwrap();
        Rgba([grey, 3 * grey, 700, 65_000])
    });
    file(&DynamicImage::ImageRgba16(pixels), ImageFormat::Png)
}

/// Returns images at and beyond the limits; for the latter, with a part of the expected error detail.
fn images() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let memory = "more memory than the limit";
    vec![
        ("a photo to be rotated", phone_jpeg(4000, 4000), None),
        ("a progressive JPEG", progressive_jpeg(3300, 3300), None),
        (
            "a large progressive JPEG",
            progressive_jpeg(4000, 4000),
            Some(memory),
        ),
        ("an interlaced PNG", interlaced_png(4000, 4000), None),
        (
            "a transparent PNG of a wide gamut",
            with_profile(&file(&striped(4000, 4000).into(), ImageFormat::Png), &p3()),
            None,
        ),
        (
            "a PNG of 16 bits and a wide gamut",
            with_profile(&png_16bit(3400, 3400), &p3()),
            None,
        ),
        (
            "a large PNG of 16 bits",
            png_16bit(4000, 4000),
            Some(memory),
        ),
        (
            "an opaque WebP",
            test_image(3400, 3400, ImageFormat::WebP),
            None,
        ),
        (
            "a transparent WebP",
            file(&striped(4000, 4000).into(), ImageFormat::WebP),
            None,
        ),
        (
            "a GIF",
            file(&striped(4000, 4000).into(), ImageFormat::Gif),
            None,
        ),
        (
            "a WebP without image data",
            webp_without_data(4000, 4000),
            Some(""),
        ),
        (
            "a larger WebP without image data",
            webp_without_data(12_000, 12_000),
            Some("16000000 pixels"),
        ),
        (
            "a frame beyond its canvas",
            webp_with_a_larger_frame(),
            Some("corrupt"),
        ),
        (
            "metadata of four gigabytes",
            webp_with_endless_metadata(),
            Some("corrupt"),
        ),
        (
            "a million Huffman tables",
            webp_of_huffman_codes(),
            Some(memory),
        ),
    ]
}

async fn upload(admin: &Remote, file: &[u8]) -> TestResponse {
    let form = Form::default()
        .text("name", "Kettle")
        .text("price", "500")
        .image(file);
    let headers = [("content-type", Form::CONTENT_TYPE)];
    let sent = admin.call(Method::POST, "/products", &headers, form.body());
    sent.await.unwrap()
}

async fn fetch(url: &str) -> Vec<u8> {
    loop {
        let answer = reqwest::get(url).await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        // Otherwise it is the whole image, since too many requests wait for the image pool.
        if answer.headers()["cache-control"] != "no-store" {
            return answer.bytes().await.unwrap().to_vec();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decoding_takes_bounded_memory_for_every_format() {
    // The database engine does not matter.
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    let server = Process::of(&shop);
    let admin = Remote::new(&server).with_token(admin_of(&shop, &server).await);
    assert_eq!(upload(&admin, &png()).await.status, 201);
    let idle = server.memory("VmRSS:");
    let mut stored = Vec::new();
    for (what, file, error) in images() {
        assert!(
            file.len() < 5 * 1024 * 1024,
            "{what} has {} bytes",
            file.len()
        );
        let answer = upload(&admin, &file).await;
        match error {
            None => {
                assert_eq!(answer.status, 201, "{what}: {answer:?}");
                stored.push(answer.text("/images/0/url"));
            }
            Some(text) => {
                assert_eq!(answer.status, 422, "{what}: {answer:?}");
                assert_eq!(answer.text("/code"), "invalid-image");
                assert!(answer.text("/detail").contains(text), "{what}: {answer:?}");
            }
        }
        let growth = server.memory("VmHWM:").saturating_sub(idle);
        assert!(
            growth < MAX_GROWTH,
            "{what} took {growth} kB more than the {idle} kB before"
        );
    }
    // Concurrent requests: one image is decoded at a time.
    let urls: Vec<_> = stored
        .iter()
        .flat_map(|url| [320, 640, 1280].map(|width| format!("{url}?w={width}")))
        .collect();
    for urls in urls.chunks(6) {
        for file in futures_util::future::join_all(urls.iter().map(|url| fetch(url))).await {
            assert!(image::guess_format(&file).is_ok());
        }
    }
    let growth = server.memory("VmHWM:").saturating_sub(idle);
    assert!(
        growth < MAX_GROWTH,
        "thumbnails took {growth} kB more than the {idle} kB before"
    );
}

storage_test! {
    async fn the_error_names_the_exceeded_limit(shop: TestShop) {
        let admin = shop.admin().await;
        let over = test_image(4001, 4000, ImageFormat::Jpeg);
        let refused = product(&admin, &[&over]).await;
        refused.assert_problem(422, "invalid-image");
        let detail = refused.text("/detail");
        assert!(detail.contains("`images[0]`") && detail.contains("4001 × 4000"), "{detail}");
        assert!(detail.contains("the limit is 16000000 pixels"), "{detail}");
        let long = test_image(16_400, 1, ImageFormat::Jpeg);
        let refused = product(&admin, &[&long]).await;
        refused.assert_problem(422, "invalid-image");
        assert!(refused.text("/detail").contains("the limit is 16384 pixels"), "{refused:?}");
    }

    async fn a_stored_image_beyond_a_lowered_limit_is_still_served(shop: TestShop) {
        let generous = Process::of_with(&shop, &[("SHOP_IMAGE_MAX_PIXELS", "50000000")]);
        let admin = Remote::new(&generous).with_token(admin_of(&shop, &generous).await);
        let large = upload(&admin, &test_image(4400, 4400, ImageFormat::Jpeg)).await;
        assert_eq!(large.status, 201, "{large:?}");
        let path = large.text("/images/0/url").replace(&generous.url, "");
        let original = fetch(&format!("{}{path}", generous.url)).await;
        generous.terminate();
        assert!(generous.wait().success());

        let strict = Process::of(&shop);
        let admin = Remote::new(&strict).with_token(admin_of(&shop, &strict).await);
        assert_eq!(upload(&admin, &original).await.status, 422);
        assert_eq!(fetch(&format!("{}{path}", strict.url)).await, original);
        let small = fetch(&format!("{}{path}?w=640", strict.url)).await;
        assert_eq!(image::load_from_memory(&small).unwrap().width(), 640);

        // An image that exceeds the memory budget for resizing is served unchanged.
        let huge = progressive_jpeg(6000, 6000);
        let images = shop.directory.path().join("images");
        std::fs::write(images.join(path.trim_start_matches("/images/")), &huge).unwrap();
        for _ in 0..2 {
            assert_eq!(fetch(&format!("{}{path}?w=320", strict.url)).await, huge);
        }
    }
}
