//! Folders and files: made for good, or swept away.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
#[cfg(feature = "object-store")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

#[cfg(feature = "object-store")]
use super::error::SnapshotError;
#[cfg(feature = "object-store")]
use super::home::Local;
use crate::limits::SNAPSHOT_UNFINISHED_MAX;

/// How the name of a folder ends that is being made or unmade.
pub(super) const PART: &str = ".part";

/// Makes a folder that its owner alone can look into: it will hold rows.
pub(super) fn new_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How the names of local copies begin, in the folder for temporary files.
#[cfg(feature = "object-store")]
const COPY: &str = ".trueup-copy.";

/// A new local folder for what is kept elsewhere; it goes when it is dropped. Those of dead processes are removed first.
#[cfg(feature = "object-store")]
pub(super) fn scratch() -> Result<Local, SnapshotError> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let temporary = std::env::temp_dir();
    // Other users' folders are there too, and not ours to remove.
    let _ = sweep_named(&temporary, COPY);
    loop {
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = temporary.join(format!("{COPY}{}.{count}{PART}", std::process::id()));
        let locked = match new_folder(&folder) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.and_then(|()| lock(&folder)),
        };
        match locked {
            // Between the making and the lock another process may have taken it for abandoned.
            Ok(lock) if folder.exists() => return Ok(Local::own(folder, lock)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                return Err(SnapshotError::io(&folder)(e));
            }
            _ => {}
        }
    }
}

/// Puts the names in a folder on disk.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Writes a whole new file and puts it on disk.
pub(super) fn write_new(path: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(text)?;
    file.sync_all()
}

/// Locks a folder until the returned file is dropped, which the end of the process does too. Some file systems (NFS)
/// cannot lock a folder; there its age must do.
pub(super) fn lock(path: &Path) -> io::Result<File> {
    let folder = File::open(path)?;
    match folder.lock() {
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
        _ => Ok(folder),
    }
}

/// Removes what processes that are gone have left unfinished in this folder of snapshots.
///
/// The caller holds the folder's lock, so that nobody is between making such a folder and locking it.
pub(super) fn sweep(place: &Path) -> io::Result<()> {
    sweep_named(place, ".")
}

fn sweep_named(place: &Path, prefix: &str) -> io::Result<()> {
    for entry in fs::read_dir(place)? {
        let entry = entry?;
        let name = entry.file_name();
        let Some(name) = name
            .to_str()
            .filter(|n| n.starts_with(prefix) && n.ends_with(PART))
        else {
            continue;
        };
        let path = place.join(name);
        let removed = match entry.file_type()? {
            kind if kind.is_dir() => match abandoned(&path) {
                Some(_lock) => fs::remove_dir_all(&path),
                None => Ok(()),
            },
            kind if kind.is_file() && is_old(&path) => fs::remove_file(&path),
            _ => Ok(()),
        };
        // Its owner may have finished or removed it in the meantime.
        match removed {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// A folder that nobody is at work in, locked where that is possible until it is removed.
fn abandoned(folder: &Path) -> Option<Option<File>> {
    match File::open(folder).map(|f| (f.try_lock(), f)) {
        Ok((Ok(()), file)) => Some(Some(file)),
        Ok((Err(TryLockError::WouldBlock), _)) => None,
        Ok((Err(TryLockError::Error(_)), _)) | Err(_) => is_old(folder).then_some(None),
    }
}

fn is_old(path: &Path) -> bool {
    let changed = fs::metadata(path).and_then(|m| m.modified());
    let age = changed
        .ok()
        .and_then(|at| SystemTime::now().duration_since(at).ok());
    age.is_some_and(|age| age > SNAPSHOT_UNFINISHED_MAX)
}
