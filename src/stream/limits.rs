//! The bounds of `stream`, on one page.

use std::time::Duration;

/// How long a cluster may take to answer a question before it counts as unreachable.
pub const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// The first wait for an answer over a connection that stands; each further one is longer.
pub const ANSWER_FIRST_WAIT: Duration = Duration::from_secs(1);

/// The same while connecting. Why no connection comes about is heard between two waits, so they are short.
pub const CONNECT_FIRST_WAIT: Duration = Duration::from_millis(200);

/// How long all brokers may be down at the start before that is the answer: a restart of one, not more.
pub const ALL_DOWN_WAIT: Duration = Duration::from_secs(4);

/// How long a read may go without a record, an open transaction included, before it is given up.
/// Longer than Kafka's default `transaction.timeout.ms` (60 s) and the broker's look at it (10 s), so that
/// a transaction whose producer died is aborted by the broker before we lose patience.
pub const STALL_WAIT: Duration = Duration::from_secs(75);

/// One look at the consumer's queue; a partly filled batch is handed out after this.
pub const BATCH_WAIT: Duration = Duration::from_millis(10);

/// Records taken from the consumer's queue in one call.
pub const BATCH_RECORDS: usize = 2_000;

/// A proof reads on over this many offsets to the next gap rather than seek there.
pub const PROOF_AHEAD_OFFSETS: i64 = 20_000;

/// The longest line of an archive. Kafka's own limit for a record is 1 MiB by default.
pub const LINE_MAX_BYTES: usize = 64 * 1024 * 1024;

/// Buffer in front of each archive file and behind its decompression.
pub const FILE_BUFFER_BYTES: usize = 256 * 1024;

/// How long one waits before a registry that does not answer is asked again; the last for every further time.
pub const REGISTRY_PAUSES: [Duration; 3] = [
    Duration::from_millis(200),
    Duration::from_millis(600),
    Duration::from_millis(2_000),
];

/// The longest answer of a registry.
pub const SCHEMA_ANSWER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Schemas that are kept …
pub const SCHEMAS_MAX: usize = 1_000;

/// … and the bytes of their texts.
pub const SCHEMAS_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Schemas that one refers to, directly or not.
pub const SCHEMA_REFERENCES_MAX: usize = 200;
