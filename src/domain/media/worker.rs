//! Background work on the image store: deletes images, finds orphaned ones, and checks that none is missing.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    deletion::{DELETE_IMAGE, QUEUE},
    deletion_queue as queue,
    store::{self, ServedImage},
};
use crate::{
    app::App,
    core::{
        backoff::MAX_BACKOFF,
        error::{Kind, Result},
        finding::{Finding, Findings, MAX_FINDINGS},
        id::ImageId,
    },
    infra::{
        db::{self, Tx},
        jobs::{self, Failure, Handler, Job, Queue},
    },
};

/// How many image ids one query looks up.
const ID_BATCH: usize = 200;

/// How many image rows one query returns.
const ROW_BATCH: i64 = 1000;

/// How many files are requested concurrently from the image store.
const CONCURRENT_REQUESTS: usize = 8;

/// Deletes images from the image store.
pub struct DeleteImage {
    pub(super) app: Arc<App>,
    /// Whether a successful deletion runs once more later, because an upload whose response was lost may reach
    /// the store after the deletion.
    pub(super) repeat: bool,
}

impl DeleteImage {
    /// Returns the handler of the deletions that are due.
    pub fn new(app: Arc<App>) -> DeleteImage {
        DeleteImage { app, repeat: false }
    }
}

impl Handler for DeleteImage {
    type Input = ();
    type Output = ();

    fn queue(&self) -> Queue {
        QUEUE
    }

    /// An image that a product has is never deleted.
    fn load(&self, tx: &mut Tx<'_>, job: &Job) -> Result<Option<()>> {
        Ok((!store::exists(tx, ImageId(job.subject))?).then_some(()))
    }

    async fn attempt(&self, job: &Job, _input: &()) -> Result<(), Failure> {
        let deleted = self.app.images.remove(&job.subject.to_string()).await;
        deleted.map_err(|error| Failure {
            is_permanent: false,
            why: error.detail().to_owned(),
        })
    }

    fn succeed(&self, tx: &mut Tx<'_>, job: &Job, _input: &(), _output: &()) -> Result<()> {
        if !self.repeat {
            return jobs::complete(tx, DELETE_IMAGE, job.subject);
        }
        let again = tx.now().plus(MAX_BACKOFF);
        jobs::retry(tx, DELETE_IMAGE, job.subject, None, again)
    }
}

/// Queues the deletion of all files in the image store that no row refers to. Runs at most once per
/// `interval`, on one instance. Returns the number of orphaned images.
pub async fn delete_orphans(app: &Arc<App>, interval: std::time::Duration) -> Result<usize> {
    let is_due = app
        .db
        .write("media.claim_timer", move |tx| {
            db::try_claim_timer(tx, "images", interval)
        })
        .await?;
    if !is_due {
        return Ok(0);
    }
    let mut stems = app.images.stems().chunks(ID_BATCH);
    let mut count = 0;
    while let Some(chunk) = stems.next().await {
        let chunk = chunk.into_iter().collect::<Result<Vec<_>>>()?;
        let ids: BTreeSet<ImageId> = chunk.iter().filter_map(|stem| stem.parse().ok()).collect();
        let orphans = app
            .db
            .long_read("media.orphans", move |tx| queue::orphans(tx, &ids))
            .await?;
        if orphans.is_empty() {
            continue;
        }
        count += orphans.len();
        tracing::info!(count = orphans.len(), "deleting orphaned images");
        app.db
            .write("media.delete_orphans", move |tx| {
                queue::delete_now(tx, &orphans)
            })
            .await?;
    }
    Ok(count)
}

/// Requests every image that the shop serves from the image store, and reports the missing ones. Returns how
/// many images an image host serves; those are not checked.
///
/// Errors: `unavailable` if the image store does not respond. That is not reported as a missing image.
pub async fn check_stored_images(app: &Arc<App>, findings: &mut Findings) -> Result<i64> {
    let mut missing = Vec::new();
    let mut last_key = String::new();
    while missing.len() <= MAX_FINDINGS {
        let after = last_key.clone();
        let batch = app
            .db
            .long_read("media.served", move |tx| {
                store::served(tx, &after, ROW_BATCH)
            })
            .await?;
        let Some(last) = batch.last() else { break };
        last.key.clone_into(&mut last_key);
        let absent: Vec<ServedImage> = stream::iter(batch)
            .map(|image| is_absent(app, image))
            .buffered(CONCURRENT_REQUESTS)
            .try_filter_map(|absent| std::future::ready(Ok(absent)))
            .try_collect()
            .await?;
        for image in absent {
            let id = image.id;
            // It may have been removed from its product since the query.
            if app
                .db
                .read("media.exists", move |tx| store::exists(tx, id))
                .await?
            {
                missing.push(image);
            }
        }
    }
    let missing = missing.into_iter().map(|image| {
        let ServedImage { id, key, product } = image;
        let says = format!(
            "`{key}` is not in the image store; restore it from a backup, or delete it with \
             `DELETE /products/{product}/images/{id}`"
        );
        Finding::new(format!("image {id}"), says)
    });
    findings.record("image-present", missing);
    app.db
        .long_read("media.count_hosted", store::count_hosted)
        .await
}

async fn is_absent(app: &App, image: ServedImage) -> Result<Option<ServedImage>> {
    match app.images.get(&image.key).await {
        Ok(_) => Ok(None),
        Err(error) if error.kind() == Kind::NotFound => Ok(Some(image)),
        Err(error) => Err(error),
    }
}
