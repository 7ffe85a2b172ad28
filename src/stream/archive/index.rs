//! Which offsets an archive holds, and where: built by one light pass that unescapes nothing.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use serde::Deserialize;

use super::super::StreamError;
use super::file::Lines;

/// All topics of an archive.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) topics: HashMap<String, BTreeMap<i32, Runs>>,
}

/// Offsets of one partition that ascend within one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    file: usize,
    first: i64,
    last: i64,
}

/// The runs of a partition, in file order.
#[derive(Debug, Default)]
pub(super) struct Runs(Vec<Run>);

impl Runs {
    fn add(&mut self, file: usize, offset: i64) {
        match self.0.last_mut() {
            Some(run) if run.file == file && run.last < offset => run.last = offset,
            _ => self.0.push(Run {
                file,
                first: offset,
                last: offset,
            }),
        }
    }

    /// The lowest offset.
    pub(super) fn start(&self) -> i64 {
        self.0.iter().map(|run| run.first).min().unwrap_or(0)
    }

    /// The offset after the highest.
    pub(super) fn end(&self) -> i64 {
        self.0.iter().map(|run| run.last + 1).max().unwrap_or(0)
    }

    /// Whether that file holds an offset in `from..to`.
    pub(super) fn touches(&self, file: usize, from: i64, to: i64) -> bool {
        self.0
            .iter()
            .any(|run| run.file == file && run.first < to && run.last >= from)
    }

    /// Whether some run begins no later than one before it ended: a copy, or files in the wrong order.
    pub(super) fn goes_back(&self) -> bool {
        self.0.windows(2).any(|pair| pair[1].first <= pair[0].last)
    }

    /// Stretches (both ends included) that more than one run covers: only there can a position come twice.
    pub(super) fn overlaps(&self) -> Vec<(i64, i64)> {
        let mut sorted = self.0.clone();
        sorted.sort_by_key(|run| run.first);
        let mut overlaps: Vec<(i64, i64)> = Vec::new();
        let mut reached = i64::MIN;
        for run in sorted {
            if run.first <= reached {
                let end = run.last.min(reached);
                match overlaps.last_mut() {
                    Some(last) if run.first <= last.1 => last.1 = last.1.max(end),
                    _ => overlaps.push((run.first, end)),
                }
            }
            reached = reached.max(run.last);
        }
        overlaps
    }
}

impl Index {
    pub(super) fn build(files: &[PathBuf]) -> Result<Index, StreamError> {
        let mut index = Index::default();
        for (number, file) in files.iter().enumerate() {
            let mut lines = Lines::open(file)?;
            while let Some(line) = lines.next()? {
                if let Some(scan) = Scan::glance(line) {
                    index.add(number, &scan);
                    continue;
                }
                match serde_json::from_str::<Scan<'_>>(line) {
                    Ok(scan) => index.add(number, &scan),
                    Err(error) => {
                        let problem = super::line::describe(&error);
                        return Err(lines.problem(problem));
                    }
                }
            }
        }
        Ok(index)
    }

    fn add(&mut self, file: usize, scan: &Scan<'_>) {
        if let Some(partitions) = self.topics.get_mut(&*scan.topic) {
            partitions
                .entry(scan.partition)
                .or_default()
                .add(file, scan.offset);
            return;
        }
        let partitions = self
            .topics
            .entry(scan.topic.clone().into_owned())
            .or_default();
        partitions
            .entry(scan.partition)
            .or_default()
            .add(file, scan.offset);
    }
}

#[derive(Deserialize)]
struct Scan<'a> {
    #[serde(borrow)]
    topic: Cow<'a, str>,
    partition: i32,
    offset: i64,
}

impl<'a> Scan<'a> {
    /// The position of a line that begins as kcat begins its lines. The rest is not looked at, which makes this
    /// pass several times faster; reading does look at it.
    fn glance(line: &'a str) -> Option<Scan<'a>> {
        let line = line.trim_end().strip_suffix('}')?;
        let (topic, rest) = line.strip_prefix("{\"topic\":\"")?.split_once('"')?;
        let (partition, rest) = rest.strip_prefix(",\"partition\":")?.split_once(',')?;
        let (offset, _) = rest.strip_prefix("\"offset\":")?.split_once(',')?;
        if topic.contains('\\') {
            return None;
        }
        Some(Scan {
            topic: Cow::Borrowed(topic),
            partition: partition.parse().ok()?,
            offset: offset.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glance_sees_what_a_scan_sees_or_nothing() {
        for line in [
            r#"{"topic":"t","partition":0,"offset":7,"key":null}"#,
            r#"{"topic":"t\u0041","partition":0,"offset":7,"key":null}"#,
            r#"{ "topic":"t","partition":0,"offset":7,"key":null}"#,
            r#"{"topic":"t","partition":0,"offset":7}"#,
        ] {
            let scan: Scan<'_> = serde_json::from_str(line).unwrap();
            if let Some(glance) = Scan::glance(line) {
                assert_eq!(
                    (glance.topic, glance.partition, glance.offset),
                    (scan.topic, scan.partition, scan.offset)
                );
            }
        }
        assert!(Scan::glance(r#"{"topic":"t","partition":0,"offset":7,"key":null}"#).is_some());
        assert!(Scan::glance(r#"{"topic":"t","partition":0,"offset":7,"key":nu"#).is_none());
    }

    #[test]
    fn overlaps_are_what_two_runs_cover() {
        let mut runs = Runs::default();
        for (file, first, last) in [(0, 0, 9), (1, 5, 14), (2, 20, 29), (3, 22, 23), (3, 22, 40)] {
            (first..=last).for_each(|offset| runs.add(file, offset));
        }
        assert_eq!(runs.overlaps(), [(5, 9), (22, 29)]);
        assert_eq!((runs.start(), runs.end()), (0, 41));
        assert!(runs.goes_back());
        assert!(runs.touches(1, 14, 15) && !runs.touches(1, 15, 16));
    }
}
