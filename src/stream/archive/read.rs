//! Reading ranges of an archive in file order.

use std::collections::{HashMap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::projection::record::Frame;
use crate::projection::record::Position;
use crate::projection::record::Record;

use super::super::progress::Progress;
use super::super::types::{Outcome, OwnedRecord, Peek, Range};
use super::super::{Flow, ReadError, StreamError};
use super::Archive;
use super::file::Lines;
use super::index::Runs;
use super::line::{self, Line};

/// What is kept across the lines of one read.
struct Reading {
    progress: Progress,
    compacted: bool,
    /// No partition goes back to offsets passed, so that a range whose end has come is done with.
    ascending: bool,
    /// For each lane, the stretches that the archive holds more than once.
    overlaps: Vec<Vec<(i64, i64)>>,
    /// What stood at the positions of those stretches, to tell a copy from a contradiction.
    seen: HashMap<(usize, i64), u64>,
    key: Vec<u8>,
    value: Vec<u8>,
}

impl Archive {
    pub(in super::super) fn read<E>(
        &self,
        ranges: &[Range],
        stop: &AtomicBool,
        mut each: impl FnMut(usize, &Record<'_>) -> Result<Flow, E>,
    ) -> Result<Outcome, ReadError<E>> {
        let mut reading = self.start(ranges)?;
        let index = self.index()?;
        for (number, file) in self.config.files.iter().enumerate() {
            let wanted = reading.progress.lanes.iter().any(|lane| {
                let partitions = index.topics.get(&*lane.range.topic);
                partitions
                    .and_then(|partitions| partitions.get(&lane.range.partition))
                    .is_some_and(|runs| runs.touches(number, lane.range.from, lane.range.to))
            });
            if !wanted {
                continue;
            }
            let mut lines = Lines::open(file)?;
            loop {
                if reading.progress.open == 0 && reading.ascending {
                    return Ok(reading.progress.outcome(false));
                }
                if stop.load(Ordering::Relaxed) {
                    return Ok(reading.progress.outcome(true));
                }
                match reading.line(&mut lines, &mut each)? {
                    None => break,
                    Some(ControlFlow::Continue(())) => {}
                    Some(ControlFlow::Break(())) => {
                        let stopped = reading.progress.open > 0;
                        return Ok(reading.progress.outcome(stopped));
                    }
                }
            }
        }
        self.finish(reading)
    }

    pub(in super::super) fn peek(
        &self,
        ranges: &[Range],
        per_partition: usize,
    ) -> Result<Vec<Peek>, StreamError> {
        let mut first: Vec<Vec<OwnedRecord>> = vec![Vec::new(); ranges.len()];
        let mut last: Vec<VecDeque<OwnedRecord>> = vec![VecDeque::new(); ranges.len()];
        let never = AtomicBool::new(false);
        let read = self.read(ranges, &never, |index, record| {
            let owned = OwnedRecord::of(&ranges[index].topic, record);
            if first[index].len() < per_partition {
                first[index].push(owned.clone());
            }
            last[index].push_back(owned);
            if last[index].len() > per_partition {
                last[index].pop_front();
            }
            Ok::<_, std::convert::Infallible>(Flow::Next)
        });
        match read {
            Ok(_) => {}
            Err(ReadError::Stream(error)) => return Err(error),
            Err(ReadError::Sink(never)) => match never {},
        }
        Ok(first
            .into_iter()
            .zip(last)
            .map(|(first, last)| Peek {
                first,
                last: last.into(),
            })
            .collect())
    }

    fn start(&self, ranges: &[Range]) -> Result<Reading, StreamError> {
        let index = self.index()?;
        let mut overlaps = Vec::with_capacity(ranges.len());
        let mut ascending = true;
        for range in ranges {
            // Names the topic, and those that look like it.
            self.topic(&range.topic)?;
            let runs = index
                .topics
                .get(&*range.topic)
                .and_then(|topic| topic.get(&range.partition));
            let (start, end) = runs.map_or((0, 0), |runs| (runs.start(), runs.end()));
            let before = range.from < start && !self.config.compacted;
            if range.from < range.to && (before || range.to > end) {
                let offset = if before { range.from } else { range.to - 1 };
                let Range {
                    topic, partition, ..
                } = range;
                let topic = topic.to_string();
                return Err(StreamError::OutOfRange {
                    topic,
                    partition: *partition,
                    offset,
                    start,
                    end,
                });
            }
            ascending &= !runs.is_some_and(Runs::goes_back);
            overlaps.push(runs.map(|runs| runs.overlaps()).unwrap_or_default());
        }
        Ok(Reading {
            progress: Progress::new(ranges)?,
            compacted: self.config.compacted,
            ascending,
            overlaps,
            seen: HashMap::new(),
            key: Vec::new(),
            value: Vec::new(),
        })
    }

    /// All files are read: what is still open ends in a hole.
    fn finish<E>(&self, mut reading: Reading) -> Result<Outcome, ReadError<E>> {
        for index in 0..reading.progress.lanes.len() {
            let lane = &reading.progress.lanes[index];
            if lane.done {
                continue;
            }
            let to = lane.range.to;
            if !self.config.compacted {
                return Err(reading.gap(index, to, self.place()).into());
            }
            reading.progress.skip(index, to);
            reading.progress.close(index);
        }
        Ok(reading.progress.outcome(false))
    }
}

impl Reading {
    /// Takes one line; `None` at the end of the file.
    fn line<E>(
        &mut self,
        lines: &mut Lines,
        each: &mut impl FnMut(usize, &Record<'_>) -> Result<Flow, E>,
    ) -> Result<Option<ControlFlow<()>>, ReadError<E>> {
        let Some(text) = lines.next()? else {
            return Ok(None);
        };
        let taken = match serde_json::from_str::<Line<'_>>(text) {
            Ok(line) => self.take(&line, each),
            Err(error) => Err(Trouble::Line(line::describe(&error))),
        };
        match taken {
            Ok(flow) => Ok(Some(flow)),
            Err(Trouble::Line(problem)) => Err(lines.problem(problem).into()),
            Err(Trouble::Gap(index, to)) => Err(self.gap(index, to, lines.place()).into()),
            Err(Trouble::Sink(error)) => Err(ReadError::Sink(error)),
        }
    }

    fn take<E>(
        &mut self,
        line: &Line<'_>,
        each: &mut impl FnMut(usize, &Record<'_>) -> Result<Flow, E>,
    ) -> Result<ControlFlow<()>, Trouble<E>> {
        const GO_ON: ControlFlow<()> = ControlFlow::Continue(());
        let offset = line.offset;
        let Some(index) = self.progress.find(&line.topic, line.partition) else {
            return Ok(GO_ON);
        };
        let lane = &self.progress.lanes[index];
        let (next, range) = (lane.next, &lane.range);
        if offset < range.from || offset >= range.to {
            return Ok(GO_ON);
        }
        if lane.done && offset >= next {
            // Beyond what the caller still wanted.
            return Ok(GO_ON);
        }
        let topic = Arc::clone(&range.topic);
        let key = line::bytes("key", line.key, &mut self.key).map_err(Trouble::Line)?;
        let value = line::bytes("payload", line.payload, &mut self.value).map_err(Trouble::Line)?;
        let texts = match line.headers {
            Some(raw) => line::headers(raw).map_err(Trouble::Line)?,
            None => Vec::new(),
        };
        let headers: Vec<(&str, &[u8])> = texts
            .iter()
            .map(|(name, value)| (&**name, value.as_bytes()))
            .collect();

        if self.overlaps[index]
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&offset))
        {
            let mut hasher = DefaultHasher::new();
            (key, value, &headers).hash(&mut hasher);
            let hash = hasher.finish();
            match self.seen.insert((index, offset), hash) {
                Some(before) if before == hash => return Ok(GO_ON),
                Some(_) => {
                    let (partition, differs) =
                        (line.partition, "is here a second time with other contents");
                    return Err(Trouble::Line(format!(
                        "{topic}:{partition}:{offset} {differs}; are these files of one cluster?"
                    )));
                }
                None => {}
            }
        }
        if offset < next {
            let (partition, order) = (line.partition, "give the files oldest first");
            return Err(Trouble::Line(format!(
                "{topic}:{partition}:{offset} comes after {}; {order}",
                next - 1
            )));
        }
        if offset > next {
            if !self.compacted {
                return Err(Trouble::Gap(index, offset));
            }
            self.progress.skip(index, offset);
        }
        let at = Position {
            topic: &topic,
            partition: line.partition,
            offset,
        };
        let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len);
        let flow = each(
            index,
            &Record {
                at,
                key,
                value,
                headers: &headers,
                key_frame: Frame::None,
                value_frame: Frame::None,
            },
        )
        .map_err(Trouble::Sink)?;
        self.progress.took(index, offset, bytes);
        match flow {
            Flow::Next => {}
            Flow::Enough => self.progress.close(index),
            Flow::Stop => return Ok(ControlFlow::Break(())),
        }
        Ok(GO_ON)
    }

    fn gap(&self, index: usize, to: i64, place: String) -> StreamError {
        let lane = &self.progress.lanes[index];
        StreamError::Gap {
            topic: lane.range.topic.to_string(),
            partition: lane.range.partition,
            from: lane.next,
            to,
            place,
            hint: "give all files, oldest first, or say that the topic is compacted",
        }
    }
}

/// Why a line was not taken.
enum Trouble<E> {
    Line(String),
    Gap(usize, i64),
    Sink(E),
}
