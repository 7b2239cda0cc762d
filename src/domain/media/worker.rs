//! What pictures need beside a request's transaction: the way into the store and the way out of it.

use std::{collections::BTreeSet, fs::File, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, future::join_all, stream};

use super::{
    Picture, Stored,
    removal::{self, Removal},
    store::{self, Served},
};
use crate::{
    app::App,
    core::{
        error::{Kind, Result},
        finding::{Finding, Findings, MOST},
        id::ImageId,
    },
    infra::db,
};

/// How many are removed at once.
const AT_ONCE: i64 = 8;

/// How many ids are looked up at once.
const LOOKED_UP: usize = 200;

/// How many are asked for at once.
const LOOKED_FOR: usize = 8;

/// How much a picture of that size weighs in `App::sending`, in KiB.
pub(super) fn weight(size: u64) -> u32 {
    u32::try_from(size.div_ceil(1024)).unwrap_or(u32::MAX)
}

/// A file on its way in; `field` is what an error calls it.
#[derive(Debug)]
pub struct Draft {
    pub field: String,
    pub file: File,
}

/// Makes pictures of all files and puts them into the store, or none: what was put before one failed is
/// removed.
pub async fn keep(app: &Arc<App>, files: Vec<Draft>) -> Result<Vec<Stored>> {
    if files.is_empty() {
        return Ok(Vec::new());
    }
    let spool = app.config.data_dir.clone();
    let max_pixels = app.config.image_max_pixels;
    let mut pictures = Vec::with_capacity(files.len());
    for Draft { field, file } in files {
        let spool = spool.clone();
        let decode = move || Picture::decode(file, &spool, &field, max_pixels);
        pictures.push(app.image_pool.run(decode).await?);
    }
    let now = app.clock.now();
    let mut stored: Vec<_> = pictures
        .into_iter()
        .map(|picture| Stored::new(ImageId(app.rng.uuid(now)), picture))
        .collect();
    let ids: Vec<_> = stored.iter().map(|image| image.id).collect();
    app.db
        .write("media.announce", move |tx| removal::announce(tx, &ids))
        .await?;
    let put = put_all(app, &mut stored).await;
    if let Err(error) = put {
        // Its answer may be all that was lost, and the picture still on its way there.
        take_back(app, &stored, true).await;
        return Err(error);
    }
    Ok(stored)
}

async fn put_all(app: &App, stored: &mut [Stored]) -> Result<()> {
    for image in stored {
        let _sending = app
            .upload_permits
            .enter(weight(image.picture.size()?))
            .await?;
        let bytes = image.picture.bytes()?;
        image.url = app.images.put(&image.key, bytes).await?;
    }
    Ok(())
}

/// Takes pictures out of the store again, after what they were to belong to failed; where that fails,
/// too, it is tried again later.
pub async fn discard(app: &Arc<App>, stored: &[Stored]) {
    take_back(app, stored, false).await;
}

/// As [`discard`]; with `again`, once more after a while.
async fn take_back(app: &Arc<App>, stored: &[Stored], again: bool) {
    if stored.is_empty() {
        return;
    }
    let ids: Vec<_> = stored.iter().map(|image| image.id).collect();
    let taken = app
        .db
        .write("media.take", move |tx| removal::take(tx, &ids))
        .await;
    let removed = match taken {
        Ok(taken) => remove(app, taken, again).await,
        Err(error) => Err(error),
    };
    if let Err(error) = removed {
        tracing::warn!(
            ?error,
            "pictures stay behind in the store; they are removed later"
        );
    }
}

/// Removes from the store what is due now; tells how many tries that took.
pub async fn remove_due(app: &Arc<App>) -> Result<usize> {
    let mut tries = 0;
    while !app.stopping.is_cancelled()
        && app.db.read("media.is_any_due", removal::is_any_due).await?
    {
        let due = app
            .db
            .write("media.take_due", |tx| removal::take_due(tx, AT_ONCE))
            .await?;
        tries += due.len();
        remove(app, due, false).await?;
    }
    Ok(tries)
}

async fn remove(app: &Arc<App>, removals: Vec<Removal>, again: bool) -> Result<()> {
    let outcomes = join_all(removals.iter().map(async |removal| {
        let stem = removal.id.to_string();
        let outcome = app.images.remove(&stem).await;
        if let Err(error) = &outcome {
            let tries = removal.tries;
            tracing::warn!(%stem, tries, ?error, "a picture stays in the store; trying again");
        }
        outcome
    }))
    .await;
    let outcomes: Vec<_> = removals.into_iter().zip(outcomes).collect();
    app.db
        .write("media.note", move |tx| {
            outcomes
                .iter()
                .try_for_each(|(removal, outcome)| removal::note(tx, removal, outcome, again))
        })
        .await
}

/// Looks through the store for what no row names, and has it removed. Of several instances one does,
/// as often as `every` says; tells how many it found.
pub async fn sweep(app: &Arc<App>, every: std::time::Duration) -> Result<usize> {
    let try_claim_timer = app
        .db
        .write("media.sweep", move |tx| {
            db::try_claim_timer(tx, "images", every)
        })
        .await?;
    if !try_claim_timer {
        return Ok(0);
    }
    let mut stems = app.images.stems().chunks(LOOKED_UP);
    let mut found = 0;
    while let Some(chunk) = stems.next().await {
        let chunk = chunk.into_iter().collect::<Result<Vec<_>>>()?;
        let ids: BTreeSet<ImageId> = chunk.iter().filter_map(|stem| stem.parse().ok()).collect();
        let orphans = app
            .db
            .long_read("media.orphans", move |tx| removal::orphans(tx, &ids))
            .await?;
        if orphans.is_empty() {
            continue;
        }
        found += orphans.len();
        tracing::info!(
            count = orphans.len(),
            "pictures that nothing names are removed"
        );
        app.db
            .write("media.order", move |tx| removal::order(tx, &orphans))
            .await?;
    }
    Ok(found)
}

/// Asks the store for every picture that the shop serves, and tells which are not there; gives how many
/// are elsewhere, at URLs, where nobody looks. A store that does not answer has lost nothing.
pub async fn look_for_all(app: &Arc<App>, findings: &mut Findings) -> Result<i64> {
    let mut missing = Vec::new();
    let mut after = String::new();
    while missing.len() <= MOST {
        let behind = after.clone();
        let part = app
            .db
            .long_read("media.served", move |tx| store::served(tx, &behind, 1000))
            .await?;
        let Some(last) = part.last() else { break };
        last.key.clone_into(&mut after);
        let absent: Vec<Served> = stream::iter(part)
            .map(|picture| is_absent(app, picture))
            .buffered(LOOKED_FOR)
            .try_filter_map(|absent| std::future::ready(Ok(absent)))
            .try_collect()
            .await?;
        for picture in absent {
            let id = picture.id;
            let is_there = app
                .db
                .read("media.is_there", move |tx| store::is_there(tx, id))
                .await?;
            // One that its product has lost meanwhile is missed by nobody.
            if is_there {
                missing.push(picture);
            }
        }
    }
    let missing = missing.into_iter().map(|picture| {
        let Served { id, key, product } = picture;
        let says = format!(
            "`{key}` is not in the store; put it back from a backup, or remove it by \
             `DELETE /products/{product}/images/{id}`"
        );
        Finding::about(format!("picture {id}"), says)
    });
    findings.enter("image-present", missing);
    app.db
        .long_read("media.elsewhere", store::count_elsewhere)
        .await
}

async fn is_absent(app: &App, picture: Served) -> Result<Option<Served>> {
    match app.images.get(&picture.key).await {
        Ok(_) => Ok(None),
        Err(error) if error.kind() == Kind::NotFound => Ok(Some(picture)),
        Err(error) => Err(error),
    }
}
