//! The lines of one file, whatever it is packed with.

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::super::StreamError;
use super::super::limits::{FILE_BUFFER_BYTES, LINE_MAX_BYTES};

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A file being read line by line.
pub(super) struct Lines {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    /// Of the line last read, from 1.
    pub(super) number: u64,
    line: Vec<u8>,
    /// Whether the line last read had its end, which the last one of a file cut off has not.
    ended: bool,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Lines, StreamError> {
        let reader = open(path).map_err(|source| StreamError::Io {
            file: path.to_owned(),
            source,
        })?;
        Ok(Lines {
            path: path.to_owned(),
            reader,
            number: 0,
            line: Vec::new(),
            ended: true,
        })
    }

    /// The next line that is not empty, without its end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, StreamError> {
        loop {
            self.line.clear();
            self.number += 1;
            let limit = LINE_MAX_BYTES as u64 + 1;
            let read = self
                .reader
                .by_ref()
                .take(limit)
                .read_until(b'\n', &mut self.line);
            if let Err(source) = read {
                return Err(self.failed(source));
            }
            if self.line.is_empty() {
                return Ok(None);
            }
            self.ended = self.line.last() == Some(&b'\n');
            if !self.ended && self.line.len() > LINE_MAX_BYTES {
                let mebibytes = LINE_MAX_BYTES >> 20;
                return Err(self.problem(format!(
                    "the line is longer than {mebibytes} MiB; is this the output of kcat -J?"
                )));
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        std::str::from_utf8(&self.line).map(Some).map_err(|error| {
            let column = error.valid_up_to() + 1;
            self.problem(format!(
                "byte {column} is not UTF-8: kcat -J cannot record binary keys or values; write those as {{\"base64\": \"…\"}}"
            ))
        })
    }

    /// A problem with the line last read.
    pub(super) fn problem(&self, problem: String) -> StreamError {
        let problem = if self.ended {
            problem
        } else {
            format!(
                "the last line is cut off ({problem}); record the file again, or delete that line"
            )
        };
        StreamError::Archive {
            file: self.path.clone(),
            line: self.number,
            problem,
        }
    }

    /// Where the line last read is.
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.number)
    }

    fn failed(&mut self, source: io::Error) -> StreamError {
        match source.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::InvalidData
            | ErrorKind::InvalidInput
            | ErrorKind::Other => {
                self.ended = true;
                self.problem(format!(
                    "the compressed data end too early or are damaged ({source}); record the file again"
                ))
            }
            _ => StreamError::Io {
                file: self.path.clone(),
                source,
            },
        }
    }
}

fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let file = File::open(path)?;
    if !file.metadata()?.is_file() {
        // An archive is read twice, which a pipe cannot be.
        return Err(io::Error::new(
            ErrorKind::InvalidInput,
            "it is not a regular file",
        ));
    }
    let mut reader = BufReader::with_capacity(FILE_BUFFER_BYTES, file);
    // By its first bytes: names lie after a download.
    let head = reader.fill_buf()?;
    if head.starts_with(GZIP) {
        let unpacked = flate2::bufread::MultiGzDecoder::new(reader);
        return Ok(Box::new(BufReader::with_capacity(
            FILE_BUFFER_BYTES,
            unpacked,
        )));
    }
    if head.starts_with(ZSTD) {
        let unpacked = zstd::stream::read::Decoder::with_buffer(reader)?;
        return Ok(Box::new(BufReader::with_capacity(
            FILE_BUFFER_BYTES,
            unpacked,
        )));
    }
    Ok(Box::new(reader))
}
