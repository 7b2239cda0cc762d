//! What pictures cost in memory, at the limits of each format: little, whatever they unfold into.

use http::Method;
use image::{DynamicImage, ImageBuffer, ImageFormat, Rgba, RgbaImage};

use super::{
    admin_of,
    colors::{p3, with_profile},
    crafted::{
        hollow_webp, interlaced_png, progressive_jpeg, webp_of_huffman_codes,
        webp_with_a_larger_frame, webp_with_endless_metadata,
    },
    product,
};
use crate::support::{
    Answer, Engine, Form, Process, Remote, TestShop,
    pictures::{file, jpeg_from_a_phone, picture, png},
    storage_test,
};

/// How much more memory the program may take than before, in kB.
const MAX_MORE: usize = 128 * 1024;

/// A picture of two colours, one of them transparent.
fn striped(width: u32, height: u32) -> RgbaImage {
    let stripes = [[0, 0, 0, 0].repeat(32), [200, 30, 40, 255].repeat(32)].concat();
    let row = stripes.into_iter().cycle().take(4 * width as usize);
    let row: Vec<u8> = row.collect();
    RgbaImage::from_raw(width, height, row.repeat(height as usize)).unwrap()
}

fn deep_png(width: u32, height: u32) -> Vec<u8> {
    let pixels = ImageBuffer::from_fn(width, height, |x, y| {
        let grey = u16::try_from((x / 8) ^ (y / 8)).unwrap();
        Rgba([grey, 3 * grey, 700, 65_000])
    });
    file(&DynamicImage::ImageRgba16(pixels), ImageFormat::Png)
}

/// Pictures at the limits and beyond them, and what the refusal of the latter says.
fn pictures() -> Vec<(&'static str, Vec<u8>, Option<&'static str>)> {
    let memory = "more memory than the limit";
    vec![
        ("a photo to be turned", jpeg_from_a_phone(4000, 4000), None),
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
            with_profile(&deep_png(3400, 3400), &p3()),
            None,
        ),
        ("a large PNG of 16 bits", deep_png(4000, 4000), Some(memory)),
        (
            "an opaque WebP",
            picture(3400, 3400, ImageFormat::WebP),
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
        ("a hollow WebP", hollow_webp(4000, 4000), Some("")),
        (
            "a larger hollow WebP",
            hollow_webp(12_000, 12_000),
            Some("16000000 pixels"),
        ),
        (
            "a frame beyond its canvas",
            webp_with_a_larger_frame(),
            Some("broken"),
        ),
        (
            "metadata of four gigabytes",
            webp_with_endless_metadata(),
            Some("broken"),
        ),
        (
            "a million Huffman tables",
            webp_of_huffman_codes(),
            Some(memory),
        ),
    ]
}

async fn upload(admin: &Remote, file: &[u8]) -> Answer {
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
        // Too many wait for the one that is resized.
        if answer.status() != 503 {
            assert_eq!(answer.status(), 200, "{url}");
            return answer.bytes().await.unwrap().to_vec();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_of_every_format_take_bounded_memory() {
    // No database has a part in it.
    let shop = TestShop::on(Engine::Sqlite).await.unwrap();
    let server = Process::of(&shop);
    let admin = Remote::new(&server).with_token(admin_of(&shop, &server).await);
    assert_eq!(upload(&admin, &png()).await.status, 201);
    let idle = server.memory("VmRSS:");
    let mut stored = Vec::new();
    for (what, file, refusal) in pictures() {
        assert!(
            file.len() < 5 * 1024 * 1024,
            "{what} has {} bytes",
            file.len()
        );
        let answer = upload(&admin, &file).await;
        match refusal {
            None => {
                assert_eq!(answer.status, 201, "{what}: {answer:?}");
                stored.push(answer.text("/images/0/url"));
            }
            Some(names) => {
                assert_eq!(answer.status, 422, "{what}: {answer:?}");
                assert_eq!(answer.text("/code"), "invalid-image");
                assert!(answer.text("/detail").contains(names), "{what}: {answer:?}");
            }
        }
        let more = server.memory("VmHWM:").saturating_sub(idle);
        assert!(
            more < MAX_MORE,
            "{what} took {more} kB more than the {idle} kB before"
        );
    }
    // All of them at once: one is decoded at a time.
    let urls: Vec<_> = stored
        .iter()
        .flat_map(|url| [320, 640, 1280].map(|width| format!("{url}?w={width}")))
        .collect();
    for urls in urls.chunks(6) {
        for file in futures_util::future::join_all(urls.iter().map(|url| fetch(url))).await {
            assert!(image::guess_format(&file).is_ok());
        }
    }
    let more = server.memory("VmHWM:").saturating_sub(idle);
    assert!(
        more < MAX_MORE,
        "smaller widths took {more} kB more than the {idle} kB before"
    );
}

storage_test! {
    async fn the_refusal_of_a_picture_names_its_limit(shop: TestShop) {
        let admin = shop.admin().await;
        let over = picture(4001, 4000, ImageFormat::Jpeg);
        let refused = product(&admin, &[&over]).await;
        refused.is_problem(422, "invalid-image");
        let detail = refused.text("/detail");
        assert!(detail.contains("`images[0]`") && detail.contains("4001 × 4000"), "{detail}");
        assert!(detail.contains("the limit is 16000000 pixels"), "{detail}");
        let long = picture(16_400, 1, ImageFormat::Jpeg);
        let refused = product(&admin, &[&long]).await;
        refused.is_problem(422, "invalid-image");
        assert!(refused.text("/detail").contains("the limit is 16384 pixels"), "{refused:?}");
    }

    async fn a_stored_picture_beyond_the_limit_stays_valid(shop: TestShop) {
        let roomy = Process::of_with(&shop, &[("SHOP_IMAGE_MAX_PIXELS", "50000000")]);
        let admin = Remote::new(&roomy).with_token(admin_of(&shop, &roomy).await);
        let large = upload(&admin, &picture(4400, 4400, ImageFormat::Jpeg)).await;
        assert_eq!(large.status, 201, "{large:?}");
        let path = large.text("/images/0/url").replace(&roomy.url, "");
        let original = fetch(&format!("{}{path}", roomy.url)).await;
        roomy.terminate();
        assert!(roomy.wait().success());

        let strict = Process::of(&shop);
        let admin = Remote::new(&strict).with_token(admin_of(&shop, &strict).await);
        assert_eq!(upload(&admin, &original).await.status, 422);
        assert_eq!(fetch(&format!("{}{path}", strict.url)).await, original);
        let small = fetch(&format!("{}{path}?w=640", strict.url)).await;
        assert_eq!(image::load_from_memory(&small).unwrap().width(), 640);

        // One that takes more memory than there is for resizing is served as it is.
        let huge = progressive_jpeg(6000, 6000);
        let images = shop.directory.path().join("images");
        std::fs::write(images.join(path.trim_start_matches("/images/")), &huge).unwrap();
        for _ in 0..2 {
            assert_eq!(fetch(&format!("{}{path}?w=320", strict.url)).await, huge);
        }
    }
}
