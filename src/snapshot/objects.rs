//! Snapshots in an object store: each is a set of objects under `<prefix>/<id>/`.
//!
//! An object store renames nothing, so what makes a snapshot whole is its last object, `SHA256SUMS`, written only if it is
//! not there. Until then, and while a snapshot is being removed, an object `<prefix>/.<id>.part` says that it is unfinished:
//! what has that mark and no `SHA256SUMS` is not found; what has neither was damaged. Files are written and read as local
//! ones; see `home`.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::io::Read as _;
use std::io::Write as _;
use std::path::Path as FilePath;
use std::time::SystemTime;

use futures_util::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt as _, PutMode, WriteMultipart};
use tokio::runtime::{Builder, Runtime};

use super::bucket::{self, Bucket};
use super::disk;
use super::error::SnapshotError;
use super::home::{Files, Home, Local};
use super::sums::SUMS;
use crate::limits::{OBJECT_PART_BYTES, OBJECT_PARTS_IN_FLIGHT, SNAPSHOT_UNFINISHED_MAX};

/// A prefix of an object store.
#[derive(Debug)]
pub(super) struct Objects {
    bucket: Bucket,
    /// The store's client is asynchronous and keeps its connections here. `None` only while this is dropped.
    runtime: Option<Runtime>,
}

impl Objects {
    /// The prefix at `url`; nothing is asked yet.
    pub(super) fn open(url: &str) -> Result<Objects, SnapshotError> {
        let bucket = bucket::open(url)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(SnapshotError::io(FilePath::new(url)))?;
        Ok(Objects {
            bucket,
            runtime: Some(runtime),
        })
    }

    /// Does something that needs the store, on a thread of its own: the caller's may belong to another runtime.
    fn run<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        std::thread::scope(|scope| {
            let done = scope.spawn(|| match &self.runtime {
                Some(runtime) => runtime.block_on(work),
                None => unreachable!("the runtime goes with the store"),
            });
            match done.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn folder(&self, id: &str) -> Path {
        self.bucket.root.clone().join(id)
    }

    fn object(&self, id: &str, name: &str) -> Path {
        self.folder(id).join(name)
    }

    /// The object that says that a snapshot is unfinished.
    fn mark(&self, id: &str) -> Path {
        let name = format!(".{id}{}", disk::PART);
        self.bucket.root.clone().join(name)
    }

    async fn exists(&self, at: &Path) -> Result<bool, SnapshotError> {
        match self.bucket.store.head(at).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(self.bucket.failed(at, e)),
        }
    }

    /// Writes an object only if it is not there; says whether it was not.
    async fn create(&self, at: &Path, text: &[u8]) -> Result<bool, SnapshotError> {
        let put = |mode: PutMode| {
            let payload = text.to_vec().into();
            self.bucket.store.put_opts(at, payload, mode.into())
        };
        match put(PutMode::Create).await {
            Ok(_) => Ok(true),
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                // Perhaps by ourselves, in a try whose reply was lost.
                Ok(self.read(at).await?.is_some_and(|there| there == text))
            }
            Err(Error::NotImplemented { .. }) => {
                if self.exists(at).await? {
                    return Ok(false);
                }
                let done = put(PutMode::Overwrite).await;
                done.map_err(|e| self.bucket.failed(at, e)).map(|_| true)
            }
            Err(e) => Err(self.bucket.failed(at, e)),
        }
    }

    /// An object that is small, or `None` when it is not there.
    async fn read(&self, at: &Path) -> Result<Option<Vec<u8>>, SnapshotError> {
        let found = async { self.bucket.store.get(at).await?.bytes().await };
        match found.await {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(e) => Err(self.bucket.failed(at, e)),
        }
    }

    async fn write(&self, at: &Path, text: &[u8]) -> Result<(), SnapshotError> {
        let put = self.bucket.store.put(at, text.to_vec().into()).await;
        put.map(drop).map_err(|e| self.bucket.failed(at, e))
    }

    async fn delete(&self, at: &Path) -> Result<(), SnapshotError> {
        match self.bucket.store.delete(at).await {
            Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(self.bucket.failed(at, e)),
        }
    }

    async fn all(&self, id: &str) -> Result<Vec<ObjectMeta>, SnapshotError> {
        let folder = self.folder(id);
        let found = self.bucket.store.list(Some(&folder)).try_collect();
        found.await.map_err(|e| self.bucket.failed(&folder, e))
    }

    /// Names below the prefix: ids that have objects, and the marks of unfinished ones with their age.
    async fn names(&self) -> Result<(Vec<String>, Vec<(String, ObjectMeta)>), SnapshotError> {
        let root = &self.bucket.root;
        let found = self.bucket.store.list_with_delimiter(Some(root)).await;
        let found = found.map_err(|e| self.bucket.failed(root, e))?;
        let ids = found.common_prefixes.iter().filter_map(Path::filename);
        let marks = found.objects.into_iter().filter_map(|object| {
            let name = object.location.filename()?;
            let id = name.strip_prefix('.')?.strip_suffix(disk::PART)?;
            Some((id.to_owned(), object))
        });
        Ok((ids.map(str::to_owned).collect(), marks.collect()))
    }

    /// What makes it whole goes first, and the mark last.
    async fn clear(&self, id: &str) -> Result<(), SnapshotError> {
        self.delete(&self.object(id, SUMS)).await?;
        for object in self.all(id).await? {
            self.delete(&object.location).await?;
        }
        self.delete(&self.mark(id)).await
    }

    async fn upload(&self, at: &Path, file: &FilePath) -> Result<(), SnapshotError> {
        let io = || SnapshotError::io(file);
        let failed = |e| self.bucket.failed(at, e);
        let mut input = File::open(file).map_err(io())?;
        if input.metadata().map_err(io())?.len() <= OBJECT_PART_BYTES as u64 {
            let mut bytes = Vec::new();
            input.read_to_end(&mut bytes).map_err(io())?;
            return self.write(at, &bytes).await;
        }
        let upload = self.bucket.store.put_multipart(at).await.map_err(failed)?;
        let mut upload = WriteMultipart::new_with_chunk_size(upload, OBJECT_PART_BYTES);
        let mut buffer = vec![0; OBJECT_PART_BYTES];
        loop {
            let read = input.read(&mut buffer).map_err(io())?;
            if read == 0 {
                return upload.finish().await.map(drop).map_err(failed);
            }
            upload.write(&buffer[..read]);
            let room = upload.wait_for_capacity(OBJECT_PARTS_IN_FLIGHT).await;
            room.map_err(failed)?;
        }
    }

    async fn download(&self, at: &Path, file: &FilePath) -> Result<(), SnapshotError> {
        let io = || SnapshotError::io(file);
        let failed = |e| self.bucket.failed(at, e);
        let found = self.bucket.store.get(at).await.map_err(failed)?;
        let mut input = found.into_stream();
        let mut output = File::create(file).map_err(io())?;
        while let Some(bytes) = input.try_next().await.map_err(failed)? {
            output.write_all(&bytes).map_err(io())?;
        }
        Ok(())
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bucket.url.fmt(f)
    }
}

impl Drop for Objects {
    fn drop(&mut self) {
        // Waiting for it is not allowed where another runtime drops this.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Home for Objects {
    fn ids(&self) -> Result<Vec<String>, SnapshotError> {
        self.run(async {
            let (mut ids, marks) = self.names().await?;
            let mut unfinished = BTreeSet::new();
            for (id, _) in marks {
                if !self.exists(&self.object(&id, SUMS)).await? {
                    unfinished.insert(id);
                }
            }
            ids.retain(|id| !unfinished.contains(id));
            Ok(ids)
        })
    }

    fn has(&self, id: &str) -> Result<bool, SnapshotError> {
        self.run(async {
            if self.exists(&self.object(id, SUMS)).await? {
                return Ok(true);
            }
            Ok(!self.exists(&self.mark(id)).await? && !self.all(id).await?.is_empty())
        })
    }

    fn files(&self, id: &str) -> Result<Files, SnapshotError> {
        let mut files = Files::new();
        for object in self.run(self.all(id))? {
            let folder = self.folder(id);
            let below = object.location.prefix_match(&folder);
            let name: Vec<String> = below
                .into_iter()
                .flatten()
                .map(|part| part.as_ref().to_owned())
                .collect();
            let name = name.join("/");
            if name.contains('/') {
                return Err(SnapshotError::damaged(
                    id,
                    &name,
                    "it is not a file of a snapshot",
                ));
            }
            files.insert(name, object.size);
        }
        Ok(files)
    }

    fn changed_ms(&self, id: &str) -> Option<i64> {
        let objects = self.run(self.all(id)).ok()?;
        objects
            .iter()
            .map(|o| o.last_modified.timestamp_millis())
            .max()
    }

    fn local(&self, _: &str) -> Result<Local, SnapshotError> {
        disk::scratch()
    }

    fn fetch(&self, id: &str, names: &[&str], local: &Local) -> Result<(), SnapshotError> {
        self.run(async {
            for name in names {
                let file = local.folder().join(name);
                self.download(&self.object(id, name), &file).await?;
            }
            Ok(())
        })
    }

    fn begin(&self, id: &str) -> Result<Local, SnapshotError> {
        self.sweep()?;
        if self.has(id)? {
            return Err(SnapshotError::taken(id));
        }
        let local = disk::scratch()?;
        // The folder's name is this process's own: so is the mark.
        let who = local.folder().to_string_lossy().into_owned();
        match self.run(self.create(&self.mark(id), who.as_bytes()))? {
            true => Ok(local),
            false => Err(SnapshotError::id(
                id,
                "another process is making a snapshot of this id, or one that is gone left it unfinished",
            )),
        }
    }

    fn finish(&self, id: &str, names: &[&str], local: &mut Local) -> Result<(), SnapshotError> {
        let Some((last, others)) = names.split_last() else {
            return Ok(());
        };
        let file = local.folder().join(last);
        let sums = std::fs::read(&file).map_err(SnapshotError::io(&file))?;
        self.run(async {
            for name in others {
                let file = local.folder().join(name);
                self.upload(&self.object(id, name), &file).await?;
                crate::crash_point!("snapshot.uploaded");
            }
            if !self.create(&self.object(id, last), &sums).await? {
                return Err(SnapshotError::taken(id));
            }
            crate::crash_point!("snapshot.summed");
            // It is whole by now: a mark that stays is swept away later.
            let _ = self.delete(&self.mark(id)).await;
            Ok(())
        })
    }

    fn abandon(&self, id: &str, local: &Local) {
        // What another process has finished under this id is not ours to remove. What cannot be removed now is swept
        // away later: its mark says that it is unfinished.
        let ours = std::fs::read(local.folder().join(SUMS)).ok();
        let _ = self.run(async {
            match self.read(&self.object(id, SUMS)).await? {
                there @ Some(_) if there != ours => Ok(()),
                _ => self.clear(id).await,
            }
        });
    }

    fn put(&self, id: &str, name: &str, text: &[u8]) -> Result<(), SnapshotError> {
        self.run(self.write(&self.object(id, name), text))
    }

    fn remove(&self, id: &str) -> Result<(), SnapshotError> {
        self.run(async {
            self.write(&self.mark(id), b"removed").await?;
            self.clear(id).await
        })
    }

    fn sweep(&self) -> Result<(), SnapshotError> {
        self.run(async {
            for (id, mark) in self.names().await?.1 {
                let age = SystemTime::now().duration_since(mark.last_modified.into());
                if age.is_ok_and(|age| age <= SNAPSHOT_UNFINISHED_MAX) {
                    continue;
                }
                match self.exists(&self.object(&id, SUMS)).await? {
                    true => self.delete(&mark.location).await?,
                    false => self.clear(&id).await?,
                }
            }
            Ok(())
        })
    }
}
