//! Archives the WAL of a `SQLite` shop in the backup place, every second or as soon as there is much, and merges the
//! segments.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::{sync::Notify, task::JoinHandle, time::MissedTickBehavior};

use crate::{
    app::App,
    core::error::{Error, Kind, Result, chain},
    infra::{
        backup::{PARTS, Place, Segment, SegmentName, merge},
        db::sqlite::wal::{Next, WalArchive},
    },
    server::{DataDir, backup::place},
};

/// The time between two rounds.
const INTERVAL: Duration = Duration::from_secs(1);

/// The time between two log lines about a place that cannot be reached.
const LOG_INTERVAL: Duration = Duration::from_mins(1);

/// How long a stopping server waits for the last round. What remains is archived after the next start.
const LAST_ROUND: Duration = Duration::from_secs(5);

/// How long the backup place may take to store a segment.
const STORE_TIMEOUT: Duration = Duration::from_mins(1);

/// A change of the image directory that is older than this cannot have the same timestamp as a later one.
const SETTLED: Duration = Duration::from_secs(2);

/// Archives the WAL until the server stops. Returns the archiver for the last round, if the WAL is archived.
pub fn start(app: &Arc<App>) -> Result<Option<JoinHandle<Archiver>>> {
    let archiver = Archiver::open(app)?;
    Ok(archiver.map(|archiver| tokio::spawn(archiver.run())))
}

/// Archives the last commits. The caller has closed the database.
pub async fn finish(archiver: JoinHandle<Archiver>) {
    let last_round = async {
        let mut archiver = archiver.await.map_err(Error::internal)?;
        archiver.round().await
    };
    let late = "the last commits are archived after the next start";
    match tokio::time::timeout(LAST_ROUND, last_round).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %chain(&error), "{late}"),
        Err(_) => tracing::warn!("{late}"),
    }
}

pub struct Archiver {
    app: Arc<App>,
    wal: Arc<WalArchive>,
    place: Place,
    /// The image directory, unless a remote service stores the images.
    images: Option<Images>,
    /// The number of segments since a merge was requested.
    unmerged: usize,
    /// Wakes the task that merges segments.
    merge: Arc<Notify>,
}

impl Archiver {
    /// Prepares to archive, and starts the task that merges segments. Returns `None` if the WAL is not archived.
    pub fn open(app: &Arc<App>) -> Result<Option<Archiver>> {
        let Some(wal) = app.db.wal_archive() else {
            return Ok(None);
        };
        let is_local = app.config.stores_images_locally();
        let images = is_local.then(|| Images::new(DataDir::at(&app.config.data_dir).images()));
        let place = place(&app.config)?;
        let due = Arc::new(Notify::new());
        // An earlier process may have left segments to merge.
        due.notify_one();
        let merging = merge_when_due(
            Arc::clone(app),
            Arc::clone(&wal),
            place.clone(),
            Arc::clone(&due),
        );
        tokio::spawn(merging);
        Ok(Some(Archiver {
            app: Arc::clone(app),
            wal,
            place,
            images,
            unmerged: 0,
            merge: due,
        }))
    }

    async fn run(mut self) -> Archiver {
        let stopping = self.app.stopping.clone();
        let mut timer = tokio::time::interval(INTERVAL);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last_logged: Option<Instant> = None;
        loop {
            let wal = Arc::clone(&self.wal);
            let next = async {
                tokio::select! {
                    _ = timer.tick() => {}
                    () = wal.is_behind(), if last_logged.is_none() => {}
                }
                self.round().await
            };
            let Some(done) = stopping.run_until_cancelled(next).await else {
                return self;
            };
            match done {
                Ok(()) if last_logged.take().is_some() => {
                    tracing::info!("the WAL is archived again");
                }
                Err(error) if last_logged.is_none_or(|at| at.elapsed() >= LOG_INTERVAL) => {
                    last_logged = Some(Instant::now());
                    tracing::error!(
                        error = %chain(&error),
                        "the WAL cannot be archived; retrying every second"
                    );
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Archives everything that is committed. What is committed meanwhile waits for the next round: each
    /// segment has a cost of its own, which a small one is not worth.
    pub async fn round(&mut self) -> Result<()> {
        loop {
            match self.blocking(WalArchive::next).await? {
                Next::UpToDate => return Ok(()),
                Next::NoGeneration => {
                    let name = self.app.clock.now().basic();
                    if !self.blocking(move |wal| wal.start_generation(name)).await? {
                        return Ok(());
                    }
                }
                Next::Gap(why) => {
                    tracing::warn!("the archived WAL has a gap: {why}; a new base backup follows");
                    self.blocking(WalArchive::end_generation).await?;
                }
                Next::Archive(chunk) => {
                    // An image is stored before the commit that names it.
                    if let Some(images) = &mut self.images {
                        images.archive(&self.place).await?;
                    }
                    let (name, end) = (SegmentName::at(&chunk.start), chunk.end.clone());
                    let is_last = chunk.is_last;
                    let segment = Segment::from(*chunk).encode().await?;
                    let stored = self.place.put_segment(&name, segment);
                    tokio::time::timeout(STORE_TIMEOUT, stored)
                        .await
                        .map_err(|_| Error::unavailable("the backup place does not respond"))??;
                    self.blocking(move |wal| wal.advance(end)).await?;
                    self.unmerged += 1;
                    if self.unmerged > PARTS {
                        // The newest one stays.
                        self.unmerged = 1;
                        self.merge.notify_one();
                    }
                    if is_last {
                        return Ok(());
                    }
                }
            }
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&WalArchive) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let wal = Arc::clone(&self.wal);
        let done = tokio::task::spawn_blocking(move || work(&wal));
        done.await.map_err(Error::internal)?
    }
}

/// Merges small segments whenever it is woken, until the server stops. It is a task of its own, because it must not
/// delay the rounds.
async fn merge_when_due(app: Arc<App>, wal: Arc<WalArchive>, place: Place, due: Arc<Notify>) {
    // Up to which epoch of which generation all segments are merged.
    let mut merged = (String::new(), 0);
    while app
        .stopping
        .run_until_cancelled(due.notified())
        .await
        .is_some()
    {
        let Some(position) = wal.position() else {
            continue;
        };
        if merged.0 != position.generation {
            merged = (position.generation, 0);
        }
        let merging = merge(&place, &merged.0, merged.1);
        match app.stopping.run_until_cancelled(merging).await {
            Some(Ok(done)) => {
                tracing::debug!(?done, "merged WAL segments");
                merged.1 = done.epoch;
            }
            Some(Err(error)) => {
                tracing::warn!(error = %chain(&error), "WAL segments cannot be merged; trying again after a hundred more");
            }
            None => return,
        }
    }
}

/// Copies new images into the place.
struct Images {
    directory: PathBuf,
    /// The images that the place has, once they were listed.
    archived: Option<BTreeSet<String>>,
    /// The modification time of the directory, taken before it was read last.
    changed_at: Option<SystemTime>,
}

impl Images {
    fn new(directory: PathBuf) -> Images {
        Images {
            directory,
            archived: None,
            changed_at: None,
        }
    }

    async fn archive(&mut self, place: &Place) -> Result<()> {
        let changed_at = std::fs::metadata(&self.directory).and_then(|it| it.modified());
        let changed_at = changed_at.map_err(|error| cannot_read(&self.directory, &error))?;
        let is_settled = changed_at.elapsed().is_ok_and(|age| age > SETTLED);
        if self.changed_at == Some(changed_at) && is_settled {
            return Ok(());
        }
        let mut archived = match self.archived.take() {
            Some(archived) => archived,
            None => place.images().await?.into_keys().collect(),
        };
        let done = self.copy_new(place, &mut archived).await;
        self.archived = Some(archived);
        done?;
        self.changed_at = Some(changed_at);
        Ok(())
    }

    async fn copy_new(&self, place: &Place, archived: &mut BTreeSet<String>) -> Result<()> {
        let entries = std::fs::read_dir(&self.directory);
        let entries = entries.map_err(|error| cannot_read(&self.directory, &error))?;
        for entry in entries.flatten() {
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let path = entry.path();
            // A name with `#` is that of an upload that is not complete.
            if archived.contains(&name) || name.contains('#') || !path.is_file() {
                continue;
            }
            match tokio::fs::read(&path).await {
                Ok(image) => place.put_image(&name, image.into()).await?,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(cannot_read(&path, &error)),
            }
            archived.insert(name);
        }
        Ok(())
    }
}

fn cannot_read(path: &Path, error: &std::io::Error) -> Error {
    Error::new(
        Kind::Unavailable,
        format!("cannot read `{}`: {error}", path.display()),
    )
}
