use std::convert::Infallible;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

use super::super::{Log, Outcome, Range, ReadError, StreamError};
use super::{Archive, ArchiveConfig};

/// Files of one test.
struct Files(TempDir, Vec<PathBuf>);

impl Files {
    fn new() -> Files {
        Files(TempDir::new().unwrap(), Vec::new())
    }

    fn add(mut self, bytes: &[u8]) -> Files {
        let path = self.0.path().join(format!("{}.json", self.1.len()));
        std::fs::write(&path, bytes).unwrap();
        self.1.push(path);
        self
    }

    fn open(&self, compacted: bool) -> Log {
        Log::Archive(
            Archive::open(ArchiveConfig {
                files: self.1.clone(),
                compacted,
            })
            .unwrap(),
        )
    }
}

/// A line as kcat writes it.
fn line(topic: &str, partition: i32, offset: i64, key: &str, payload: &str) -> String {
    format!(
        "{{\"topic\":\"{topic}\",\"partition\":{partition},\"offset\":{offset},\"tstype\":\"create\",\
         \"ts\":1700000000000,\"broker\":1,\"key\":{key},\"payload\":{payload}}}\n"
    )
}

fn plain(topic: &str, partition: i32, offsets: impl Iterator<Item = i64>) -> String {
    offsets
        .map(|offset| {
            line(
                topic,
                partition,
                offset,
                &format!("\"k{offset}\""),
                "\"{}\"",
            )
        })
        .collect()
}

fn range(topic: &str, partition: i32, from: i64, to: i64) -> Range {
    Range {
        topic: Arc::from(topic),
        partition,
        from,
        to,
    }
}

type Found = (String, Option<String>, Option<String>);

fn read(log: &Log, ranges: &[Range]) -> Result<(Vec<Found>, Outcome), StreamError> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let mut found = Vec::new();
    let never = AtomicBool::new(false);
    let outcome = log.read(ranges, &never, |record| {
        found.push((record.at.to_string(), text(record.key), text(record.value)));
        Ok::<_, Infallible>(ControlFlow::Continue(()))
    });
    match outcome {
        Ok(outcome) => Ok((found, outcome)),
        Err(ReadError::Stream(error)) => Err(error),
        Err(ReadError::Sink(never)) => match never {},
    }
}

fn positions(found: &[Found]) -> Vec<&str> {
    found.iter().map(|found| found.0.as_str()).collect()
}

#[test]
fn reads_what_kcat_writes() {
    let text = line(
        "t",
        0,
        0,
        r#""{\"id\":1}""#,
        r#""{\"name\":\"caf\u00e9 \ud83d\ude00\\n\"}""#,
    ) + &line("t", 0, 1, r#""plain""#, "null")
        + &line("t", 0, 2, "null", "\"\"")
        + "\n"
        + r#"{"headers":["a","1","b",null],"topic":"t","partition":0,"offset":3,"key":"k","payload":"é","more":[1]}"#
        + "\n";
    let files = Files::new().add(text.as_bytes());
    let log = files.open(false);
    let topic = log.topic("t").unwrap();
    assert_eq!((topic.extents[0].start, topic.extents[0].end), (0, 4));
    let (found, outcome) = read(&log, &[range("t", 0, 0, 4)]).unwrap();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(found[0].1, some(r#"{"id":1}"#));
    assert_eq!(found[0].2, some("{\"name\":\"café 😀\\n\"}"));
    assert_eq!(found[1], ("t:0:1".to_owned(), some("plain"), None));
    assert_eq!(found[2], ("t:0:2".to_owned(), None, some("")));
    assert_eq!(found[3].2, some("é"));
    assert_eq!(
        (outcome.records, outcome.gaps, outcome.stopped),
        (4, 0, false)
    );
    assert_eq!(outcome.next, [(Arc::from("t"), 0, 4)]);
    let peek = log.peek(&[range("t", 0, 0, 4)], 1).unwrap();
    assert_eq!((peek[0].first[0].offset, peek[0].last[0].offset), (0, 3));
    let headers = vec![
        ("a".to_owned(), b"1".to_vec()),
        ("b".to_owned(), Vec::new()),
    ];
    assert_eq!(peek[0].last[0].headers, headers);
    peek[0].last[0].lend(|record| assert_eq!(record.headers[0], ("a", b"1".as_slice())));
}

#[test]
fn packed_files_read_as_plain_ones() {
    let text = plain("t", 0, 0..3000);
    let (first, second) = text
        .as_bytes()
        .split_at(text.find("\"offset\":1000,").unwrap() - r#"{"topic":"t","partition":0,"#.len());
    assert!(second.starts_with(b"{"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(first).unwrap();
    let gzip = gzip.finish().unwrap();
    let zstd = zstd::encode_all(second, 1).unwrap();
    let log = Files::new().add(&gzip).add(&zstd);
    let (found, _) = read(&log.open(false), &[range("t", 0, 0, 3000)]).unwrap();
    assert_eq!(found.len(), 3000);

    let cut = Files::new().add(&gzip[..gzip.len() - 20]);
    let error = cut.open(false).topic("t").unwrap_err();
    assert!(matches!(error, StreamError::Archive { .. }), "{error}");
    let cut = Files::new().add(&zstd[..zstd.len() - 20]);
    let error = cut.open(false).topic("t").unwrap_err();
    assert!(
        matches!(&error, StreamError::Archive { problem, .. } if problem.contains("too early")),
        "{error}"
    );
}

#[test]
fn topics_and_partitions_interleave() {
    let mut text = String::new();
    for offset in 0..10 {
        text += &plain("a", 0, offset..=offset);
        text += &plain("b", 0, offset..=offset);
        text += &plain("a", 1, offset + 5..=offset + 5);
        // Of a topic that nobody wants, even half a character is of no interest.
        text += &line("c", 0, offset, "null", r#""\ud800""#);
    }
    let log = Files::new().add(text.as_bytes());
    let log = log.open(false);
    let topic = log.topic("a").unwrap();
    assert_eq!(topic.extents.len(), 2);
    assert_eq!((topic.extents[1].start, topic.extents[1].end), (5, 15));
    let (found, outcome) = read(&log, &[range("a", 1, 6, 8), range("a", 0, 0, 2)]).unwrap();
    assert_eq!(positions(&found), ["a:0:0", "a:0:1", "a:1:6", "a:1:7"]);
    assert_eq!(
        outcome.next,
        [(Arc::from("a"), 1, 8), (Arc::from("a"), 0, 2)]
    );
    let error = log.topic("aa").unwrap_err();
    assert!(matches!(error, StreamError::NoTopic { .. }), "{error}");
    let error = log.topic("shop.a").unwrap_err();
    assert!(error.to_string().contains("did you mean a"), "{error}");
}

#[test]
fn a_gap_is_named_with_its_line() {
    let text = plain("t", 0, (0..5).chain(7..10));
    let files = Files::new().add(text.as_bytes());
    let error = read(&files.open(false), &[range("t", 0, 0, 10)]).unwrap_err();
    assert!(
        matches!(error, StreamError::Gap { from: 5, to: 7, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("0.json:6"), "{error}");
    // A range that ends in the hole, and one that the hole does not touch.
    let error = read(&files.open(false), &[range("t", 0, 0, 6)]).unwrap_err();
    assert!(
        matches!(error, StreamError::Gap { from: 5, to: 6, .. }),
        "{error}"
    );
    let (found, _) = read(&files.open(false), &[range("t", 0, 7, 10)]).unwrap();
    assert_eq!(found.len(), 3);
    let (found, outcome) = read(&files.open(true), &[range("t", 0, 0, 10)]).unwrap();
    assert_eq!((found.len(), outcome.gaps), (8, 2));
    let error = read(&files.open(true), &[range("t", 0, 0, 11)]).unwrap_err();
    assert!(
        matches!(
            error,
            StreamError::OutOfRange {
                offset: 10,
                end: 10,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn files_may_overlap_but_not_contradict() {
    let (first, second) = (plain("t", 0, 0..6), plain("t", 0, 3..9));
    let files = Files::new().add(first.as_bytes()).add(second.as_bytes());
    let (found, outcome) = read(&files.open(false), &[range("t", 0, 0, 9)]).unwrap();
    assert_eq!((found.len(), outcome.records, outcome.gaps), (9, 9, 0));

    let other = second.replace("k4", "other");
    let files = Files::new().add(first.as_bytes()).add(other.as_bytes());
    let error = read(&files.open(false), &[range("t", 0, 0, 9)]).unwrap_err();
    assert!(
        matches!(&error, StreamError::Archive { line: 2, problem, .. } if problem.contains("t:0:4")),
        "{error}"
    );

    let files = Files::new()
        .add(plain("t", 0, 6..9).as_bytes())
        .add(first.as_bytes());
    let error = read(&files.open(false), &[range("t", 0, 0, 9)]).unwrap_err();
    assert!(
        matches!(error, StreamError::Gap { from: 0, to: 6, .. }),
        "{error}"
    );
    let error = read(&files.open(true), &[range("t", 0, 0, 9)]).unwrap_err();
    assert!(error.to_string().contains("comes after"), "{error}");
}

#[test]
fn broken_lines_are_named() {
    let good = plain("t", 0, 0..2);
    let broken = |tail: &[u8]| {
        let files = Files::new().add(&[good.as_bytes(), tail].concat());
        let log = files.open(false);
        let error = log
            .topic("t")
            .and_then(|_| read(&log, &[range("t", 0, 0, 3)]))
            .unwrap_err();
        let StreamError::Archive { line, problem, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(line, 3, "{problem}");
        problem
    };
    let third = line("t", 0, 2, "null", "null");
    assert!(broken(&third.as_bytes()[..40]).contains("cut off"));
    assert!(broken(b"% Reached end of topic t\n").contains("kcat -J"));
    assert!(
        broken(third.replace("\"offset\":2,", "").as_bytes()).contains("missing field `offset`")
    );
    assert!(
        broken(third.replace(",\"payload\":null", "").as_bytes())
            .contains("missing field `payload`")
    );
    assert!(
        broken(third.replace("\"key\":null", "\"key\":{}").as_bytes()).contains("key is no text")
    );
    assert!(
        broken(
            third
                .replace("\"partition\":0", "\"partition\":\"0\"")
                .as_bytes()
        )
        .contains("invalid type")
    );
    assert!(broken(b"{\"topic\":\"t\xff\"}\n").contains("byte 12 is not UTF-8"));
    // A whole last line without its end is one.
    let files = Files::new().add(&[good.as_bytes(), third.trim_end().as_bytes()].concat());
    assert_eq!(
        read(&files.open(false), &[range("t", 0, 0, 3)])
            .unwrap()
            .0
            .len(),
        3
    );
}

#[test]
fn an_archive_needs_files() {
    assert!(
        Archive::open(ArchiveConfig {
            files: Vec::new(),
            compacted: false
        })
        .is_err()
    );
    let missing = Archive::open(ArchiveConfig {
        files: vec!["/nowhere/t.json".into()],
        compacted: false,
    });
    assert!(missing.unwrap_err().to_string().contains("/nowhere/t.json"));
    let folder = TempDir::new().unwrap();
    let folder = Archive::open(ArchiveConfig {
        files: vec![folder.path().to_owned()],
        compacted: false,
    });
    assert!(matches!(folder.unwrap_err(), StreamError::Io { .. }));
}

#[test]
fn a_read_can_be_stopped_and_refused() {
    let files = Files::new().add(plain("t", 0, 0..100).as_bytes());
    let log = files.open(false);
    let ranges = [range("t", 0, 10, 90)];
    let stop = AtomicBool::new(false);
    let outcome = log.read(&ranges, &stop, |record| {
        stop.store(record.at.offset == 20, Ordering::Relaxed);
        Ok::<_, Infallible>(ControlFlow::Continue(()))
    });
    let outcome = outcome.unwrap();
    assert_eq!(
        (outcome.next[0].2, outcome.stopped, outcome.records),
        (21, true, 11)
    );
    stop.store(false, Ordering::Relaxed);
    let until = |last: i64| {
        let outcome = log.read(&ranges, &stop, |record| {
            let flow = if record.at.offset == last {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            };
            Ok::<_, Infallible>(flow)
        });
        outcome.unwrap()
    };
    assert_eq!((until(30).next[0].2, until(30).stopped), (31, true));
    assert!(!until(89).stopped);
    let refused = log.read(&ranges, &stop, |_| Err("full"));
    assert!(matches!(refused, Err(ReadError::Sink("full"))));
    let twice = log.read(&[ranges[0].clone(), ranges[0].clone()], &stop, |_| {
        Err("never")
    });
    assert!(matches!(
        twice,
        Err(ReadError::Stream(StreamError::Config { .. }))
    ));
}
