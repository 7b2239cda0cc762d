//! Uploads that mean harm: they are refused, in little memory, and leave nothing.

use std::{convert::Infallible, io::Write};

use bytes::Bytes;
use http::Method;
use image::ImageFormat;

use super::{admin_of, files, product};
use crate::support::{
    Form, Process,
    pictures::{chunk, picture, png, png_bomb, with_chunk},
    storage_test,
};

/// How much more memory a program may take than before, in kB.
const MOST_MORE: usize = 64 * 1024;

/// A body that comes piece by piece and is never whole in memory.
fn endless(head: &str, piece: &'static [u8], pieces: usize) -> reqwest::Body {
    let head = Bytes::copy_from_slice(head.as_bytes());
    let rest = (0..pieces).map(move |_| Bytes::from_static(piece));
    let stream =
        futures_util::stream::iter(std::iter::once(head).chain(rest).map(Ok::<_, Infallible>));
    reqwest::Body::wrap_stream(stream)
}

static LETTERS: [u8; 64 * 1024] = [b'a'; 64 * 1024];

/// Deflated zeros: as small as they can be.
fn zeros(count: usize) -> Vec<u8> {
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    let block = vec![0; 1024 * 1024];
    for _ in 0..count / block.len() {
        packed.write_all(&block).unwrap();
    }
    packed.finish().unwrap()
}

/// Pictures that unfold into far more than they are, and how they are answered.
fn bombs() -> Vec<(&'static str, Vec<u8>, u16)> {
    let profile = [&b"p\0\0"[..], &zeros(1024 * 1024 * 1024)].concat();
    let mut huge_gif = picture(9, 9, ImageFormat::Gif);
    huge_gif[6..10].copy_from_slice(&[0xff; 4]);
    let mut huge_jpeg = picture(9, 9, ImageFormat::Jpeg);
    let size = huge_jpeg
        .windows(2)
        .position(|it| it == [0xff, 0xc0])
        .unwrap()
        + 5;
    huge_jpeg[size..size + 4].copy_from_slice(&[0x40, 0, 0x40, 0]);
    let mut wide_jpeg = picture(9, 9, ImageFormat::Jpeg);
    wide_jpeg[size..size + 4].copy_from_slice(&[0x1b, 0x58, 0x1b, 0x58]);
    vec![
        ("40,000 pixels each way", png_bomb(), 422),
        // A picture all the same, and made anew without it.
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
    // A server that refuses early may end the connection before all is sent.
    sent.ok().map(|answer| answer.status().as_u16())
}

const PART: &str = "--between-parts\r\ncontent-disposition: form-data; name=\"images\"\r\n";

storage_test! {
    async fn bombs_are_refused_in_little_memory(shop: TestShop) {
        let server = Process::of(&shop);
        let token = admin_of(&shop, &server).await;
        let form = |file: &[u8]| {
            Form::default().text("name", "Kettle").text("price", "5").image(file).body()
        };
        // What an upload costs anyway is not what is asked here.
        assert_eq!(send(&server.url, &token, form(&png())).await, Some(201));
        let before = server.memory("VmHWM:");
        for (what, bomb, status) in bombs() {
            assert!(bomb.len() < 5 * 1024 * 1024, "{what}");
            assert_eq!(send(&server.url, &token, form(&bomb)).await, Some(status), "{what}");
        }
        let parts = PART.replace("images", "x") + "\r\n\r\n";
        let parts = parts.repeat(100_000);
        assert!(matches!(send(&server.url, &token, parts).await, None | Some(413 | 422)));
        for (head, pieces) in [
            // A head that has no end, of one header and of many; a boundary and an end that never come.
            (format!("{PART}x-long: "), 640),
            (String::new(), 640),
            (format!("{PART}\r\n"), 640),
            ("--between-parts".to_owned(), 640),
        ] {
            let refused = send(&server.url, &token, endless(&head, &LETTERS, pieces)).await;
            assert!(matches!(refused, None | Some(413 | 422)), "{head}: {refused:?}");
        }
        let more = server.memory("VmHWM:").saturating_sub(before);
        assert!(more < MOST_MORE, "{more} kB more than the {before} kB before");
        let kept = std::fs::read_dir(shop.directory.path()).unwrap().count();
        server.terminate();
        assert!(server.wait().success());
        assert_eq!(files(&shop).len(), 2);
        assert_eq!(shop.anonymous().get("/products").await.number("/total"), 2);
        assert!(kept <= 6, "nothing but the database, its log, its keys and the pictures");
    }

    async fn forms_without_end_are_refused(shop: TestShop) {
        let admin = shop.admin().await;
        let many = Form::default();
        let many = (0..100_000).fold(many, |form, _| form.text("images", ""));
        admin.upload(Method::POST, "/products", &[], many).await
            .is_problem(413, "payload-too-large");
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

    async fn a_packed_form_is_not_unpacked(shop: TestShop) {
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

    async fn a_file_is_what_its_bytes_say(shop: TestShop) {
        let admin = shop.admin().await;
        // An archive, a page and a script behind a picture: only the picture is kept.
        for tail in [&b"PK\x05\x06<html><script>alert(1)</script>"[..], b"#!/bin/sh\n", b"%PDF-1.7"] {
            for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif] {
                let file = [&picture(9, 9, format)[..], tail].concat();
                let made = product(&admin, &[&file]).await;
                assert_eq!(made.status, 201, "{made:?}");
                let served = shop.anonymous().get(&super::path(&made, 0)).await;
                assert!(!served.body.windows(tail.len()).any(|it| it == tail));
                assert_eq!(served.header("content-type"), Some(format.to_mime_type()));
                assert_eq!(served.header("x-content-type-options"), Some("nosniff"));
            }
        }
        // A picture behind a page is none.
        let page = [&b"<html><script>alert(1)</script>"[..], &png()].concat();
        product(&admin, &[&page]).await.is_problem(415, "unsupported-media-type");
    }

    async fn a_name_never_becomes_a_path(shop: TestShop) {
        let admin = shop.admin().await;
        for name in ["../../shop.db", "/etc/passwd", "..\\..\\x.png", "a\0.png", ".mark", "CON", "x.svg"] {
            let part = format!("name=\"images\"; filename=\"{name}\"");
            let form = Form::default().text("name", "Kettle").text("price", "5").part(&part, &png());
            let made = admin.upload(Method::POST, "/products", &[], form).await;
            if made.status == 201 {
                let key = super::path(&made, 0);
                assert_eq!(key, format!("/images/{}.png", made.text("/images/0/id")));
            } else {
                assert_eq!(made.status, 422, "{made:?}");
            }
        }
        for kept in files(&shop) {
            assert_eq!((kept.len(), &kept[36..]), (40, ".png"), "{kept}");
        }
    }

    async fn many_uploads_at_once_take_bounded_memory(shop: TestShop) {
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
        let more = server.memory("VmHWM:").saturating_sub(before);
        assert!(more < MOST_MORE, "480 MB of forms took {more} kB more");
    }
}
