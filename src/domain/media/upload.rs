//! Puts uploaded images into the image store before they are linked to a product, and removes them if that fails.
//!
//! The image store is called between transactions, never inside one.

use std::sync::Arc;

use super::{
    deletion::{QUEUE, UPLOAD_TIMEOUT},
    deletion_queue as queue,
    image::EncodedImage,
    limits::permits,
    uploaded_image::{ImageUpload, UploadedImage},
    worker::DeleteImage,
};
use crate::{
    app::App,
    core::{
        clock::Timestamp,
        error::{Result, chain},
        id::ImageId,
    },
    infra::jobs,
};

/// Re-encodes all files and puts them into the image store, or none of them: if one fails, the others are
/// deleted.
///
/// Errors: `unsupported-media-type` and `invalid-image` from decoding; `unavailable` from the image store.
pub async fn store_images(app: &Arc<App>, files: Vec<ImageUpload>) -> Result<Vec<UploadedImage>> {
    let delete_at = app.clock.now().plus(UPLOAD_TIMEOUT);
    store_images_until(app, files, delete_at).await
}

/// Like [`store_images`]. Servers on the same database delete the images at `delete_at` by their own clock, unless a
/// product has them by then.
pub async fn store_images_until(
    app: &Arc<App>,
    files: Vec<ImageUpload>,
    delete_at: Timestamp,
) -> Result<Vec<UploadedImage>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let spool = app.config.data_dir.clone();
    let max_pixels = app.config.image_max_pixels;
    let mut encoded = Vec::with_capacity(files.len());
    for ImageUpload { field, file } in files {
        let spool = spool.clone();
        let encode = move || EncodedImage::from_upload(file, &spool, &field, max_pixels);
        encoded.push(app.image_pool.run(encode).await?);
    }
    let now = app.clock.now();
    let mut images: Vec<_> = encoded
        .into_iter()
        .map(|image| UploadedImage::new(ImageId(app.rng.uuid(now)), image))
        .collect();
    let ids: Vec<_> = images.iter().map(|image| image.id).collect();
    app.db
        .write("media.schedule_deletion", move |tx| {
            queue::schedule_deletion(tx, &ids, delete_at)
        })
        .await?;
    if let Err(error) = put_all(app, &mut images).await {
        // Only the response may be lost; then the file can still arrive after the deletion.
        delete_files(app, &images, true).await;
        return Err(error);
    }
    Ok(images)
}

async fn put_all(app: &App, images: &mut [UploadedImage]) -> Result<()> {
    for upload in images {
        let _permits = app
            .upload_permits
            .enter(permits(upload.image.size()?))
            .await?;
        let bytes = upload.image.bytes()?;
        upload.url = app.images.put(&upload.key, bytes).await?;
    }
    Ok(())
}

/// Deletes uploaded images after saving their product has failed. A deletion that fails is retried later.
pub async fn delete_uploaded(app: &Arc<App>, images: &[UploadedImage]) {
    delete_files(app, images, false).await;
}

/// Like [`delete_uploaded`]; with `repeat`, the deletion runs once more later.
async fn delete_files(app: &Arc<App>, images: &[UploadedImage], repeat: bool) {
    if images.is_empty() {
        return;
    }
    let ids: Vec<_> = images.iter().map(|image| image.id).collect();
    let handler = Arc::new(DeleteImage {
        app: Arc::clone(app),
        repeat,
    });
    let loader = Arc::clone(&handler);
    // Images that were linked to a product in the meantime have no deletion job.
    let claimed = app
        .db
        .write("media.claim", move |tx| {
            let mut claimed = Vec::new();
            for image in &ids {
                claimed.extend(jobs::claim_now(tx, &QUEUE, image.0)?);
            }
            jobs::load(tx, &*loader, claimed)
        })
        .await;
    let deleted = match claimed {
        Ok(claimed) => jobs::run(&app.db, &handler, claimed).await,
        Err(error) => Err(error),
    };
    if let Err(error) = deleted {
        tracing::warn!(error = %chain(&error), "could not delete uploaded images; retrying later");
    }
}
