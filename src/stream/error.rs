//! What can go wrong with a log. Each message says what, where, and what to do next; none holds a password.

use std::path::PathBuf;

use thiserror::Error;

/// Why a log could not be asked or read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StreamError {
    /// No broker answered, or it let us not in: network, TLS or authentication.
    #[error("cannot reach Kafka at {brokers}: {reason}; {hint}")]
    Unreachable {
        /// The brokers asked.
        brokers: String,
        /// What the client library heard.
        reason: String,
        /// What to look at.
        hint: &'static str,
    },
    /// The schema registry did not answer, let us not in, or is none.
    #[error("cannot use the schema registry at {url}: {reason}; {hint}")]
    Registry {
        /// Its URL without the password.
        url: String,
        /// What was heard.
        reason: String,
        /// What to look at.
        hint: &'static str,
    },
    /// The cluster knows us and does not allow it.
    #[error(
        "Kafka does not allow {what}: {reason}; have the right granted to this user (READ and DESCRIBE on topics, DESCRIBE on groups)"
    )]
    Denied {
        /// What was tried.
        what: String,
        /// The cluster's answer.
        reason: String,
    },
    /// There is no such topic.
    #[error("there is no topic \"{topic}\" in {place}{}", near_names(.near))]
    NoTopic {
        /// The name asked for.
        topic: String,
        /// The cluster or the files searched.
        place: String,
        /// Names that look like it.
        near: Vec<String>,
    },
    /// The topic has fewer partitions.
    #[error(
        "topic {topic} has no partition {partition}, it has {count} of them; it was made anew: plan again"
    )]
    NoPartition {
        /// Topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many it has.
        count: usize,
    },
    /// An archive lacks offsets, or has them out of order.
    #[error("{place}: {topic} partition {partition} lacks the offsets {from} to {}; {hint}", to - 1)]
    Gap {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The first offset that is missing.
        from: i64,
        /// The first one after it that is not.
        to: i64,
        /// File and line where the gap shows.
        place: String,
        /// What to do.
        hint: &'static str,
    },
    /// Offsets were asked for that the log does not hold.
    #[error(
        "{topic} partition {partition} has no offset {offset}: it holds {start} to {end} (not included); older records were deleted by retention, or the topic was made anew: plan again"
    )]
    OutOfRange {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The offset asked for.
        offset: i64,
        /// The first offset held.
        start: i64,
        /// The next offset to be written.
        end: i64,
    },
    /// The reader skipped records that are there. Never expected; nothing behind them was handed out.
    #[error(
        "{topic} partition {partition}: records between the offsets {from} and {to} exist, but did not arrive at the first reading; run the same command again, and report this"
    )]
    Lost {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The first offset of the gap.
        from: i64,
        /// The offset after it.
        to: i64,
    },
    /// A transaction that nobody ends keeps committed readers from going on.
    #[error(
        "{topic} partition {partition}: a transaction open since offset {offset} hides the records up to {to}, and did not end within {seconds} s; find its producer (kafka-transactions.sh find-hanging), then run again"
    )]
    OpenTransaction {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The last stable offset.
        offset: i64,
        /// The end of the range.
        to: i64,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The cluster answers, but no records come.
    #[error(
        "no record of {topic} partition {partition} came for {seconds} s, waiting for offset {offset}; look whether the partition has a leader, then run again"
    )]
    Stalled {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The offset waited for.
        offset: i64,
        /// How long it was waited for.
        seconds: u64,
    },
    /// An archive file that does not hold what it should.
    #[error("{}:{line}: {problem}", file.display())]
    Archive {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A file that cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A setting or an argument that cannot be used. Nothing was connected to.
    #[error("{problem}")]
    Config {
        /// Which one, why, and what instead.
        problem: String,
    },
    /// This kind of log cannot do that.
    #[error("{what}")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// Anything else that the client library or the cluster reports.
    #[error("Kafka at {brokers}: {what}: {reason}")]
    Kafka {
        /// The brokers.
        brokers: String,
        /// What was being done.
        what: String,
        /// What was reported.
        reason: String,
    },
}

/// Why a read ended before the ends of its ranges.
#[derive(Debug, Error)]
pub enum ReadError<E> {
    /// The log failed.
    #[error("{0}")]
    Stream(#[from] StreamError),
    /// The one who takes the records failed.
    #[error("{0}")]
    Sink(E),
}

fn near_names(near: &[String]) -> String {
    match near {
        [] => "; check the name".to_owned(),
        _ => format!("; did you mean {}?", near.join(" or ")),
    }
}

/// The three names most like `wanted`, the best first; none that is not alike at all.
pub(super) fn alike<'a>(wanted: &str, names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut ranked: Vec<(usize, &str)> = names
        .filter(|name| !name.starts_with("__"))
        .map(|name| (distance(wanted, name), name))
        .filter(|(distance, name)| {
            // A forgotten or a superfluous prefix is the usual mistake, however long it is.
            *distance <= wanted.len() / 3 || name.ends_with(wanted) || wanted.ends_with(name)
        })
        .collect();
    ranked.sort();
    ranked
        .into_iter()
        .take(3)
        .map(|(_, name)| name.to_owned())
        .collect()
}

/// Edit distance in bytes, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let replaced = diagonal + usize::from(!x.eq_ignore_ascii_case(&y));
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_names_are_found() {
        let names = [
            "shop.public.orders",
            "shop.public.customers",
            "__consumer_offsets",
            "other",
        ];
        let near = |wanted| alike(wanted, names.into_iter());
        assert_eq!(near("shop.public.order")[0], "shop.public.orders");
        assert_eq!(near("orders"), ["shop.public.orders"]);
        assert!(near("x").is_empty());
    }

    #[test]
    fn distance_counts_edits() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "Sitting"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
