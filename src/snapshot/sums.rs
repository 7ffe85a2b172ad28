//! Checksums: every file of a snapshot has one in `SHA256SUMS`, which `sha256sum -c SHA256SUMS` reads too.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Read as _, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// The file that holds them.
pub(super) const SUMS: &str = "SHA256SUMS";
/// The file that says what the others are.
pub(super) const MANIFEST: &str = "manifest.json";
/// The file that joins later; it has a checksum of its own.
pub(super) const VERIFIED: &str = "verified.json";

/// Name and checksum of each file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums(pub(super) BTreeMap<String, String>);

impl Sums {
    /// The one text that says these: whatever differs from it was changed.
    pub(super) fn text(&self) -> String {
        self.0
            .iter()
            .map(|(name, sum)| format!("{sum}  {name}\n"))
            .collect()
    }

    /// Reads [`Sums::text`]; `None` for anything else.
    pub(super) fn read(text: &[u8]) -> Option<Sums> {
        let text = std::str::from_utf8(text).ok()?;
        let mut sums = Sums::default();
        for line in text.lines() {
            let (sum, name) = line.split_once("  ")?;
            let hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
            if sum.len() != 64 || !sum.bytes().all(hex) || !is_file_name(name) {
                return None;
            }
            sums.0.insert(name.to_owned(), sum.to_owned());
        }
        (sums.text() == text).then_some(sums)
    }
}

/// Whether a snapshot names its files so: nothing that leads out of its folder.
fn is_file_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(is_plain)
}

fn is_plain(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"._-".contains(&b)
}

/// The name of a table as a part of a file's name.
pub(super) fn plain(table: &str) -> String {
    const CHARS_MAX: usize = 80;
    let plain = |c: char| {
        if c.is_ascii() && is_plain(c as u8) {
            c
        } else {
            '_'
        }
    };
    table.chars().take(CHARS_MAX).map(plain).collect()
}

/// The checksum of a text.
pub(super) fn of(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// The checksum of a file.
pub(super) fn of_file(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex(&hash.finalize())),
            n => hash.update(&buffer[..n]),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// A new file that adds up its checksum while it is written.
pub(super) struct Summed {
    file: BufWriter<File>,
    hash: Sha256,
    bytes: u64,
}

impl Summed {
    pub(super) fn create(path: &Path) -> io::Result<Summed> {
        Ok(Summed {
            file: BufWriter::new(File::create_new(path)?),
            hash: Sha256::new(),
            bytes: 0,
        })
    }

    /// Puts it on disk; gives its checksum and size.
    pub(super) fn close(self) -> io::Result<(String, u64)> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        Ok((hex(&self.hash.finalize()), self.bytes))
    }
}

impl Write for Summed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
