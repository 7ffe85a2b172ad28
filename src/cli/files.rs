//! Files that a command writes: all of one, or none of it.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Existing {
    /// It stays, and nothing is written.
    Stays,
    /// The new one takes its place.
    IsReplaced,
}

/// Who may read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Readers {
    /// Its owner: it holds rows.
    Owner,
    /// Whoever the process lets.
    All,
}

/// Writes a file beside its place first, and puts it there in one step.
///
/// # Errors
/// `AlreadyExists` for one that stays; otherwise what the system says. Nothing is left behind then.
pub(super) fn write(
    file: &Path,
    text: &str,
    readers: Readers,
    existing: Existing,
) -> io::Result<()> {
    let mut name = OsString::from(".");
    name.push(file.file_name().unwrap_or_default());
    name.push(format!(".{}", std::process::id()));
    let beside = file.with_file_name(name);
    let written = fill(&beside, text, readers).and_then(|()| match existing {
        // Unlike a rename, a link never takes the place of a file that somebody made just now.
        Existing::Stays => fs::hard_link(&beside, file),
        Existing::IsReplaced => fs::rename(&beside, file),
    });
    // After a rename it is not there any more, and after an error it may never have been made.
    let _ = fs::remove_file(&beside);
    written
}

fn fill(file: &Path, text: &str, readers: Readers) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    if readers == Readers::Owner {
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    }
    let mut new = options.open(file)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_a_file_or_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("x");
        let write = |text, existing| write(&file, text, Readers::Owner, existing);
        write("one", Existing::Stays).expect("there was none");
        let refused = write("two", Existing::Stays).map_err(|e| e.kind());
        assert_eq!(refused, Err(io::ErrorKind::AlreadyExists));
        write("three", Existing::IsReplaced).expect("it is replaced");
        assert_eq!(fs::read_to_string(&file).expect("text"), "three");
        assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
