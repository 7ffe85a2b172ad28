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
