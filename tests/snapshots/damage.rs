//! Whatever was changed since a snapshot was made is found, and the file that it was is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trueup::snapshot::{Place, Verified};

use super::{names, read, small};

/// A place with one snapshot that was proven right, and the snapshot's folder.
fn proven(folder: &Path) -> (Place, PathBuf) {
    let place = Place::open(folder);
    small(&place, "s");
    let mut snapshot = place.load("s").unwrap();
    assert_eq!(snapshot.verified(), None);
    let verified = Verified {
        at_ms: 1_700_000_000_123,
        position: Some("0/16B3748".to_owned()),
    };
    snapshot.mark_verified(verified.clone()).unwrap();
    assert_eq!(place.load("s").unwrap().verified(), Some(&verified));
    (place, folder.join("s"))
}

/// Opening must fail, and the message must name the file.
#[track_caller]
fn refused(place: &Place, file: &str, what: &str) {
    match place.load("s") {
        Ok(_) => panic!("{what} of {file} was not found"),
        Err(e) => assert!(
            e.is_damage() && e.to_string().contains(file),
            "{what} of {file}: {e}"
        ),
    }
}

#[test]
fn one_changed_byte_anywhere() {
    let folder = tempfile::tempdir().unwrap();
    let (place, snapshot) = proven(folder.path());
    let mut tried = 0;
    for name in names(&snapshot) {
        let path = snapshot.join(&name);
        let whole = fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 1 << (at % 8);
            fs::write(&path, &changed).unwrap();
            refused(&place, &name, &format!("byte {at}"));
            tried += 1;
        }
        fs::write(&path, &whole).unwrap();
    }
    println!("{tried} bytes changed, {tried} changes found");
    assert!(place.load("s").is_ok());
}

#[test]
fn one_file_cut_short_at_any_length() {
    let folder = tempfile::tempdir().unwrap();
    let (place, snapshot) = proven(folder.path());
    for name in names(&snapshot) {
        let path = snapshot.join(&name);
        let whole = fs::read(&path).unwrap();
        for length in 0..whole.len() {
            fs::write(&path, &whole[..length]).unwrap();
            refused(&place, &name, &format!("length {length}"));
        }
        let longer: Vec<u8> = whole.iter().copied().chain([b'\n']).collect();
        fs::write(&path, longer).unwrap();
        refused(&place, &name, "a byte more");
        fs::write(&path, &whole).unwrap();
    }
    assert!(place.load("s").is_ok());
}

#[test]
fn files_that_are_missing_or_do_not_belong() {
    let folder = tempfile::tempdir().unwrap();
    let (place, snapshot) = proven(folder.path());
    for name in names(&snapshot) {
        let (path, away) = (snapshot.join(&name), folder.path().join("away"));
        fs::rename(&path, &away).unwrap();
        if name == "verified.json" {
            assert_eq!(place.load("s").unwrap().verified(), None);
        } else {
            refused(&place, &name, "the absence");
            // The list finds that too, and goes on.
            assert!(place.list().unwrap()[0].what.is_err(), "{name}");
            std::os::unix::fs::symlink(&away, &path).unwrap();
            refused(&place, &name, "a link instead");
            fs::remove_file(&path).unwrap();
        }
        fs::rename(&away, &path).unwrap();
    }
    for more in ["more.parquet", ".hidden", "0-t.parquet~"] {
        fs::write(snapshot.join(more), "").unwrap();
        refused(&place, more, "the presence");
        fs::remove_file(snapshot.join(more)).unwrap();
    }
    fs::create_dir(snapshot.join("folder")).unwrap();
    refused(&place, "folder", "the presence");
    fs::remove_dir(snapshot.join("folder")).unwrap();

    // A whole snapshot under another name is another snapshot, and a proof is about the one that it was made for.
    small(&place, "other");
    fs::copy(
        snapshot.join("verified.json"),
        folder.path().join("other/verified.json"),
    )
    .unwrap();
    let said = place.load("other").unwrap_err().to_string();
    assert!(
        said.contains("verified.json") && said.contains("another snapshot"),
        "{said}"
    );
    fs::rename(&snapshot, folder.path().join("renamed")).unwrap();
    let said = place.load("renamed").unwrap_err().to_string();
    assert!(
        said.contains("manifest.json") && said.contains("renamed"),
        "{said}"
    );
}

#[test]
fn a_newer_format_is_refused_in_plain_words() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path());
    small(&place, "s");
    let snapshot = folder.path().join("s");
    let manifest = fs::read_to_string(snapshot.join("manifest.json")).unwrap();
    let newer = manifest.replacen(
        "\"format\": 1",
        "\"format\": 2, \"tables_v2\": [], \"x\": 0",
        1,
    );
    assert_ne!(newer, manifest);
    fs::write(snapshot.join("manifest.json"), newer).unwrap();
    sum_again(&snapshot);
    let error = place.load("s").unwrap_err();
    let said = error.to_string();
    assert!(
        !error.is_damage() && said.contains("format 2") && said.contains("newer"),
        "{said}"
    );
}

/// Writes `SHA256SUMS` as the standard program does.
fn sum_again(snapshot: &Path) {
    let files: Vec<String> = names(snapshot)
        .into_iter()
        .filter(|n| n != "SHA256SUMS")
        .collect();
    let output = Command::new("sha256sum")
        .args(files)
        .current_dir(snapshot)
        .output()
        .unwrap();
    assert!(output.status.success());
    fs::write(snapshot.join("SHA256SUMS"), output.stdout).unwrap();
}

#[test]
fn the_checksums_are_those_of_the_standard_program() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path());
    small(&place, "s");
    let snapshot = folder.path().join("s");
    let check = || {
        Command::new("sha256sum")
            .args(["--strict", "-c", "SHA256SUMS"])
            .current_dir(&snapshot)
            .output()
            .unwrap()
    };
    let output = check();
    assert!(output.status.success(), "{output:?}");
    let checked = String::from_utf8(output.stdout).unwrap().lines().count();
    assert_eq!(checked, names(&snapshot).len() - 1, "every other file");
    let written = fs::read(snapshot.join("SHA256SUMS")).unwrap();
    sum_again(&snapshot);
    assert_eq!(fs::read(snapshot.join("SHA256SUMS")).unwrap(), written);
}

#[test]
fn what_is_unfinished_is_not_listed_and_swept_away() {
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path());
    let mut writer = place.create(super::draft(), "s").unwrap();
    writer.table(super::notes("t")).unwrap().close().unwrap();
    // What a process that is gone has left; nobody holds its lock.
    fs::create_dir(folder.path().join(".dead.part")).unwrap();
    fs::write(folder.path().join(".dead.part/0-t.parquet"), "PAR1").unwrap();
    assert!(place.list().unwrap().is_empty());
    assert!(
        place.create(super::draft(), "s").is_err(),
        "it is being made"
    );
    assert_eq!(
        names(folder.path()),
        [".s.part"],
        "the dead one is swept away, the living one is not"
    );
    writer.finish().unwrap();
    assert_eq!(names(folder.path()), ["s"]);
    assert!(place.create(super::draft(), "s").is_err(), "it is there");
    assert_eq!(read(&place.latest().unwrap().unwrap(), "t"), []);
    drop(place.create(super::draft(), "dropped").unwrap());
    assert_eq!(names(folder.path()), ["s"]);
}
