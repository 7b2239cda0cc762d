//! Hostile uploads are refused with bounded memory, and leave no files.

use std::{convert::Infallible, io::Write};

use bytes::Bytes;
use http::Method;
use image::ImageFormat;

use super::{admin_of, files, product};
use crate::support::{
    Form, Process,
    images::{chunk, png, png_bomb, test_image, with_chunk},
    storage_test,
};

/// The maximum growth of the server's memory, in kB.
const MAX_GROWTH: usize = 64 * 1024;

/// Returns a streamed body: `head`, then `chunk` repeated `count` times.
fn streamed(head: &str, chunk: &'static [u8], count: usize) -> reqwest::Body {
    let head = Bytes::copy_from_slice(head.as_bytes());
    let rest = (0..count).map(move |_| Bytes::from_static(chunk));
    let stream =
        futures_util::stream::iter(std::iter::once(head).chain(rest).map(Ok::<_, Infallible>));
    reqwest::Body::wrap_stream(stream)
}

static LETTERS: [u8; 64 * 1024] = [b'a'; 64 * 1024];

/// Returns compressed zeros, at the best compression.
fn zeros(count: usize) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![0; 1024 * 1024];
    for _ in 0..count / block.len() {
        encoder.write_all(&block).unwrap();
    }
    encoder.finish().unwrap()
}

/// Returns decompression bombs with the expected status.
fn bombs() -> Vec<(&'static str, Vec<u8>, u16)> {
    let profile = [&b"p\0\0"[..], &zeros(1024 * 1024 * 1024)].concat();
    let mut huge_gif = test_image(9, 9, ImageFormat::Gif);
    huge_gif[6..10].copy_from_slice(&[0xff; 4]);
    let mut huge_jpeg = test_image(9, 9, ImageFormat::Jpeg);
    let size = huge_jpeg
        .windows(2)
        .position(|marker| marker == [0xff, 0xc0])
        .unwrap()
        + 5;
    huge_jpeg[size..size + 4].copy_from_slice(&[0x40, 0, 0x40, 0]);
    let mut wide_jpeg = test_image(9, 9, ImageFormat::Jpeg);
    wide_jpeg[size..size + 4].copy_from_slice(&[0x1b, 0x58, 0x1b, 0x58]);
    vec![
        ("40,000 pixels each way", png_bomb(), 422),
        // The image is valid, and stored without the profile.
        (
            "a profile of a gigabyte",
            with_chunk(&chunk(*b"iCCP", &profile)),
            201,
        ),
        ("a GIF of 65,535 pixels each way", huge_gif, 422),
        ("a JPEG of 16,384 pixels each way", huge_jpeg, 422),
        (
            "a JPEG that claims 49 million pixels in 600 bytes",
            wide_jpeg,
            422,
        ),
    ]
}

async fn send(url: &str, token: &str, body: impl Into<reqwest::Body>) -> Option<u16> {
    let sent = reqwest::Client::new()
        .post(format!("{url}/api/v1/products"))
        .bearer_auth(token)
        .header("content-type", Form::CONTENT_TYPE)
        .body(body)
        .send()
        .await;
    // The server may close the connection before the body is sent.
    sent.ok().map(|answer| answer.status().as_u16())
}

const PART: &str = "--between-parts\r\ncontent-disposition: form-data; name=\"images\"\r\n";

storage_test! {
    async fn bombs_are_refused_with_bounded_memory(shop: TestShop) {
        let server = Process::of(&shop);
        let token = admin_of(&shop, &server).await;
        let form = |file: &[u8]| {
            Form::default().text("name", "Kettle").text("price", "5").image(file).body()
        };
        // A first upload excludes the memory that every upload takes.
        assert_eq!(send(&server.url, &token, form(&png())).await, Some(201));
        let before = server.memory("VmHWM:");
        for (what, bomb, status) in bombs() {
            assert!(bomb.len() < 5 * 1024 * 1024, "{what}");
            assert_eq!(send(&server.url, &token, form(&bomb)).await, Some(status), "{what}");
        }
        let parts = PART.replace("images", "x") + "\r\n\r\n";
        let parts = parts.repeat(100_000);
        assert!(matches!(send(&server.url, &token, parts).await, None | Some(413 | 422)));
        for (head, count) in [
            // Endless headers, one or many; a part and a form without a closing boundary.
            (format!("{PART}x-long: "), 640),
            (String::new(), 640),
            (format!("{PART}\r\n"), 640),
            ("--between-parts".to_owned(), 640),
        ] {
            let refused = send(&server.url, &token, streamed(&head, &LETTERS, count)).await;
            assert!(matches!(refused, None | Some(413 | 422)), "{head}: {refused:?}");
        }
        let growth = server.memory("VmHWM:").saturating_sub(before);
        assert!(growth < MAX_GROWTH, "{growth} kB more than the {before} kB before");
        let entries = std::fs::read_dir(shop.directory.path()).unwrap().count();
        server.terminate();
        assert!(server.wait().success());
        assert_eq!(files(&shop).len(), 2);
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 2);
        assert!(entries <= 6, "only the database, its log, the keys and the images");
    }

    async fn unterminated_forms_are_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let many = Form::default();
        let many = (0..100_000).fold(many, |form, _| form.text("images", ""));
        admin.upload(Method::POST, "/products", &[], many).await
            .assert_problem(413, "payload-too-large");
        let big = "a".repeat(1024 * 1024);
        for body in [
            format!("{PART}x-long: {big}\r\n\r\n"),
            format!("{PART}{}\r\n", "x-many: y\r\n".repeat(50_000)),
            format!("--between-parts{big}"),
            big.clone(),
        ] {
            let kind = [("content-type", Form::CONTENT_TYPE)];
            let answer = admin.raw(Method::POST, "/products", &kind, body.clone()).await;
            assert!([413, 422].contains(&answer.status), "{}: {answer:?}", &body[..40]);
        }
        let long = "b".repeat(100_000);
        let kind = format!("multipart/form-data; boundary={long}");
        let answer = admin.raw(Method::POST, "/products", &[("content-type", &kind)], big).await;
        assert!([400, 413, 415, 422].contains(&answer.status), "{answer:?}");
        assert_eq!(files(&shop).len(), 0);
    }

    async fn a_compressed_form_is_not_decompressed(shop: TestShop) {
        let admin = shop.admin().await;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        let form = Form::default().text("name", "Kettle").text("price", "5").image(&png());
        packed.write_all(&form.body()).unwrap();
        let packed = packed.finish().unwrap();
        let headers = [("content-type", Form::CONTENT_TYPE), ("content-encoding", "gzip")];
        let answer = admin.raw(Method::POST, "/products", &headers, packed).await;
        assert!([413, 415, 422].contains(&answer.status), "{answer:?}");
        assert_eq!((files(&shop).len(), shop.anonymous().get("/products").await.number("/total")), (0, 0));
    }

    async fn the_content_determines_the_type_of_a_file(shop: TestShop) {
        let admin = shop.admin().await;
        // An archive, a page or a script appended to an image is dropped.
        for tail in [&b"PK\x05\x06<html><script>alert(1)</script>"[..], b"#!/bin/sh\n", b"%PDF-1.7"] {
            for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif] {
                let file = [&test_image(9, 9, format)[..], tail].concat();
                let created = product(&admin, &[&file]).await;
                assert_eq!(created.status, 201, "{created:?}");
                let served = shop.anonymous().get(&super::path(&created, 0)).await;
                assert!(!served.body.windows(tail.len()).any(|window| window == tail));
                assert_eq!(served.header("content-type"), Some(format.to_mime_type()));
                assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
            }
        }
        // An image appended to a page is not an image.
        let page = [&b"<html><script>alert(1)</script>"[..], &png()].concat();
        product(&admin, &[&page]).await.assert_problem(415, "unsupported-media-type");
    }

    async fn a_file_name_never_becomes_a_path(shop: TestShop) {
        let admin = shop.admin().await;
        for name in ["../../shop.db", "/etc/passwd", "..\\..\\x.png", "a\0.png", ".mark", "CON", "x.svg"] {
            let part = format!("name=\"images\"; filename=\"{name}\"");
            let form = Form::default().text("name", "Kettle").text("price", "5").part(&part, &png());
            let created = admin.upload(Method::POST, "/products", &[], form).await;
            if created.status == 201 {
                let key = super::path(&created, 0);
                assert_eq!(key, format!("/images/{}.png", created.text("/images/0/id")));
            } else {
                assert_eq!(created.status, 422, "{created:?}");
            }
        }
        for name in files(&shop) {
            assert_eq!((name.len(), &name[36..]), (40, ".png"), "{name}");
        }
    }

    async fn concurrent_uploads_take_bounded_memory(shop: TestShop) {
        let server = Process::of(&shop);
        let token = admin_of(&shop, &server).await;
        let file = vec![0; 5 * 1024 * 1024];
        let form = Form::default().text("name", "Kettle").text("price", "5");
        let form = (0..8).fold(form, |form, _| form.image(&file)).body();
        let form = Bytes::from(form);
        assert_eq!(send(&server.url, &token, form.clone()).await, Some(415));
        let before = server.memory("VmHWM:");
        let sent = (0..12).map(|_| send(&server.url, &token, form.clone()));
        for status in futures_util::future::join_all(sent).await {
            assert!(matches!(status, Some(415 | 503)), "{status:?}");
        }
        let growth = server.memory("VmHWM:").saturating_sub(before);
        assert!(growth < MAX_GROWTH, "480 MB of forms took {growth} kB more");
    }
}
