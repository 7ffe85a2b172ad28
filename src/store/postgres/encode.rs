//! The bulk form: COPY text, written byte by byte into one buffer, nothing allocated for a cell.

use crate::projection::cell::{Cell, Row};
use crate::projection::change::Key;
use crate::projection::text;
use crate::projection::version::Version;
use crate::store::marks;
use crate::store::{Batch, Encoder, Origin, Shadow};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Collects COPY text for the shadow and for the tables of later changes and of tombstones.
#[derive(Debug)]
pub(super) struct CopyEncoder {
    first: Vec<u8>,
    again: Vec<u8>,
    gone: Vec<u8>,
    scratch: String,
    columns: usize,
    key: Vec<usize>,
    rank_words: usize,
}

impl CopyEncoder {
    pub(super) fn new(shadow: &Shadow) -> CopyEncoder {
        CopyEncoder {
            first: Vec::new(),
            again: Vec::new(),
            gone: Vec::new(),
            scratch: String::new(),
            columns: shadow.columns.len(),
            key: shadow.key.clone(),
            rank_words: shadow.rank_words,
        }
    }

    /// A row of the shadow as [`Encoder::first`] takes it, without an arrival.
    pub(super) fn settled(&mut self, row: &Row<'_>, version: &Version) {
        for cell in row {
            write_cell(&mut self.first, &mut self.scratch, cell);
            self.first.push(b'\t');
        }
        write_version(&mut self.first, version, self.rank_words);
        self.first.push(b'\n');
    }
}

impl Encoder for CopyEncoder {
    fn first(&mut self, row: &Row<'_>, origin: &Origin) {
        self.settled(row, &origin.version);
    }

    fn again(&mut self, key: &Key<'_>, row: Option<&Row<'_>>, origin: &Origin) {
        let out = &mut self.again;
        for at in 0..self.columns {
            let cell = match self.key.iter().position(|k| *k == at) {
                Some(place) => &key.0[place],
                None => row.map_or(&Cell::Null, |row| &row[at]),
            };
            write_cell(out, &mut self.scratch, cell);
            out.push(b'\t');
        }
        write_version(out, &origin.version, self.rank_words);
        out.push(b'\t');
        write_int(out, origin.arrival);
        out.extend_from_slice(if row.is_some() { b"\tf\t" } else { b"\tt\t" });
        write_holes(out, row);
        out.push(b'\n');
    }

    fn gone(&mut self, key: &Key<'_>, version: &Version) {
        for cell in &key.0 {
            write_cell(&mut self.gone, &mut self.scratch, cell);
            self.gone.push(b'\t');
        }
        write_version(&mut self.gone, version, self.rank_words);
        self.gone.push(b'\n');
    }

    fn bytes(&self) -> usize {
        self.first.len() + self.again.len() + self.gone.len()
    }

    fn take(&mut self) -> Batch {
        // The next batch will be about as large.
        let fresh = |buffer: &mut Vec<u8>| {
            let room = buffer.len();
            std::mem::replace(buffer, Vec::with_capacity(room))
        };
        Batch::Copy {
            first: fresh(&mut self.first),
            again: fresh(&mut self.again),
            gone: fresh(&mut self.gone),
        }
    }
}

fn write_int(out: &mut Vec<u8>, int: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(int).as_bytes());
}

fn write_version(out: &mut Vec<u8>, version: &Version, words: usize) {
    write_int(out, version.partition);
    out.push(b'\t');
    write_int(out, version.offset);
    out.push(b'\t');
    write_rank(out, version, words);
    out.push(b'\t');
    match version.clock {
        Some(clock) => write_int(out, clock),
        None => out.extend_from_slice(b"\\N"),
    }
}

/// The bytes of `Rank::to_bytes`, without its allocation.
fn write_rank(out: &mut Vec<u8>, version: &Version, words: usize) {
    out.extend_from_slice(b"\\\\x");
    write_hex(out, &[version.rank.epoch]);
    for word in version.rank.words.iter().take(words) {
        write_hex(out, &word.to_be_bytes());
    }
}

fn write_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    for b in bytes {
        out.push(DIGITS[usize::from(b >> 4)]);
        out.push(DIGITS[usize::from(b & 15)]);
    }
}

/// The places of what is not known; a key among them says that the record does not tell the row.
fn write_holes(out: &mut Vec<u8>, row: Option<&Row<'_>>) {
    let mut any = false;
    for (at, cell) in row.into_iter().flatten().enumerate() {
        if let Some(mark) = marks::of(at, cell) {
            out.push(if any { b',' } else { b'{' });
            write_int(out, mark);
            any = true;
        }
    }
    out.extend_from_slice(if any { b"}" } else { b"\\N" });
}

fn write_cell(out: &mut Vec<u8>, scratch: &mut String, cell: &Cell<'_>) {
    match cell {
        Cell::Null | Cell::Unchanged => out.extend_from_slice(b"\\N"),
        Cell::Bool(b) => out.push(if *b { b't' } else { b'f' }),
        Cell::Int(i) => match i64::try_from(*i) {
            Ok(i) => write_int(out, i),
            Err(_) => write_int(out, *i),
        },
        Cell::Numeric(t) | Cell::Text(t) | Cell::Json(t) => write_escaped(out, t.as_bytes()),
        Cell::Bytes(b) => {
            out.extend_from_slice(b"\\\\x");
            write_hex(out, b);
        }
        Cell::Uuid(u) => write_uuid(out, *u),
        Cell::Array(_) => {
            scratch.clear();
            text::write(scratch, cell);
            write_escaped(out, scratch.as_bytes());
        }
        Cell::Added(by) => write_cell(out, scratch, by),
        // Their text needs no escape.
        Cell::Float(_)
        | Cell::Date(_)
        | Cell::Time(_)
        | Cell::Timestamp(_)
        | Cell::TimestampTz(_) => {
            scratch.clear();
            text::write(scratch, cell);
            out.extend_from_slice(scratch.as_bytes());
        }
    }
}

fn write_uuid(out: &mut Vec<u8>, uuid: u128) {
    let bytes = uuid.to_be_bytes();
    for (i, part) in [0..4, 4..6, 6..8, 8..10, 10..16].into_iter().enumerate() {
        if i > 0 {
            out.push(b'-');
        }
        write_hex(out, &bytes[part]);
    }
}

fn needs_escape(b: u8) -> bool {
    matches!(b, b'\\' | b'\n' | b'\r' | b'\t')
}

/// Most texts need no escape, and looking at all of their bytes without a way out is the faster look.
fn write_escaped(out: &mut Vec<u8>, text: &[u8]) {
    if !text.iter().fold(false, |any, b| any | needs_escape(*b)) {
        out.extend_from_slice(text);
        return;
    }
    for b in text {
        match b {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b => out.push(*b),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projection::version::Rank;

    fn encoder() -> CopyEncoder {
        CopyEncoder {
            first: Vec::new(),
            again: Vec::new(),
            gone: Vec::new(),
            scratch: String::new(),
            columns: 3,
            key: vec![0],
            rank_words: 1,
        }
    }

    fn origin(arrival: u64) -> Origin {
        Origin {
            version: Version {
                rank: Rank {
                    epoch: 1,
                    words: [258, 0, 0],
                },
                partition: 2,
                offset: 30,
                clock: None,
            },
            arrival,
        }
    }

    fn texts(encoder: &mut CopyEncoder) -> [String; 3] {
        match encoder.take() {
            Batch::Copy { first, again, gone } => {
                [first, again, gone].map(|text| String::from_utf8(text).expect("text"))
            }
            Batch::Rows { .. } => unreachable!("this encoder writes COPY text"),
        }
    }

    #[test]
    fn a_first_row() {
        let mut encoder = encoder();
        let row = vec![
            Cell::Int(-7),
            Cell::Text("tab\tback\\slash\nline\r".into()),
            Cell::Bytes(vec![0, 255].into()),
        ];
        encoder.first(&row, &origin(0));
        assert_eq!(
            texts(&mut encoder)[0],
            "-7\ttab\\tback\\\\slash\\nline\\r\t\\\\x00ff\t2\t30\t\\\\x010000000000000102\t\\N\n"
        );
        assert_eq!(encoder.bytes(), 0);
    }

    #[test]
    fn later_changes() {
        let mut encoder = encoder();
        let key = Key(vec![Cell::Int(1)]);
        encoder.again(
            &key,
            Some(&vec![Cell::Int(1), Cell::Unchanged, Cell::Unchanged]),
            &origin(8),
        );
        encoder.again(&key, None, &origin(9));
        let trail = "2\t30\t\\\\x010000000000000102\t\\N";
        encoder.gone(&key, &origin(0).version);
        let [_, again, gone] = texts(&mut encoder);
        assert_eq!(
            again,
            format!("1\t\\N\t\\N\t{trail}\t8\tf\t{{1,2}}\n1\t\\N\t\\N\t{trail}\t9\tt\t\\N\n")
        );
        assert_eq!(gone, format!("1\t{trail}\n"));
    }

    #[test]
    fn the_rank_is_that_of_the_version() {
        let version = origin(0).version;
        for words in 0..=3 {
            let mut out = Vec::new();
            write_rank(&mut out, &version, words);
            let mut want = b"\\\\x".to_vec();
            write_hex(&mut want, &version.rank.to_bytes(words));
            assert_eq!(out, want);
        }
    }

    #[test]
    fn other_kinds() {
        let mut scratch = String::new();
        for (cell, want) in [
            (
                Cell::Uuid(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff),
                "00112233-4455-6677-8899-aabbccddeeff",
            ),
            (
                Cell::Array(vec![Cell::Text("a\\b".into()), Cell::Null]),
                "{\"a\\\\\\\\b\",NULL}",
            ),
            (Cell::Float(0.1), "0.1"),
            (Cell::Int(i128::from(u64::MAX)), "18446744073709551615"),
            (Cell::Date(0), "1970-01-01"),
            (Cell::Null, "\\N"),
        ] {
            let mut out = Vec::new();
            write_cell(&mut out, &mut scratch, &cell);
            assert_eq!(String::from_utf8_lossy(&out), want);
        }
    }
}
