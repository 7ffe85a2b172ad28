//! Every bound on one page, units last.

use std::time::Duration;

/// Memory of the set of key hashes, in bytes; beyond it, keys not in the set are sorted out by the database.
pub const KEY_SET_BYTES_MAX: usize = 192 << 20;
/// Rows collected before a batch goes to the store, in bytes of its bulk form.
pub const BATCH_BYTES: usize = 8 << 20;
/// Batches between the thread that reads the log and the one that writes the store.
pub const BATCHES_IN_FLIGHT: usize = 2;
/// Folded rows held while settling, in bytes.
pub const SETTLE_BYTES_MAX: usize = 32 << 20;
/// Rounds of catching up with a log that moves on while the shadow is being checked.
pub const CATCH_UP_ROUNDS_MAX: u32 = 5;
/// Records that a load sets aside at most; beyond that, it is not the records that are wrong.
pub const QUARANTINED_MAX: usize = 10_000;
/// Keys that are settled from the primary at once.
pub const LOOKUP_KEYS: usize = 500;
/// Percent of a query view's rows that are exchanged by their keys at most while it is caught up; beyond that, and …
pub const TOUCHED_PERCENT_MAX: u64 = 8;
/// … beyond this number of keys in any case, it is derived whole …
pub const TOUCHED_KEYS_MAX: u64 = 1_000_000;
/// … but not for so few.
pub const TOUCHED_KEYS_FEW: u64 = 1_000;
/// Keys whose rows are exchanged at once.
pub const EXCHANGE_KEYS: usize = 20_000;
/// Keys that `touched_by` leaves out, and that are looked at nevertheless.
pub const UNTOUCHED_KEYS: usize = 1_000;
/// Keys named in a message …
pub const KEYS_SHOWN_MAX: usize = 5;
/// … and of those that a replay would break.
pub const BROKEN_KEYS_SHOWN: usize = 10;
/// Differing keys that are looked at again; the verdict on those beyond stays unknown.
pub const RECHECK_KEYS_MAX: usize = 100_000;
/// Keys that one pass over the log explains, beside those that differ …
pub const EXPLAIN_KEYS: u64 = 200_000;
/// … how often keys that changed during a pass are looked for again …
pub const EXPLAIN_ROUNDS: usize = 4;
/// … of a query view fewer, since each leads to rows of several sources, …
pub const EXPLAIN_QUERY_KEYS: usize = 50_000;
/// … each of which is compared with so many earlier states of its source rows at most …
pub const EXPLAIN_STATES: usize = 64;
/// … and which part of the rows that agree is looked at when nothing is said, in percent.
pub const EXPLAIN_SAMPLE_PERCENT: f64 = 1.0;
/// Parts that a timeline has at most.
pub const TIMELINE_PARTS: u64 = 24;
/// Differences kept as samples in a report.
pub const SAMPLES_MAX: usize = 10;
/// Rows of a table that is compared as one range.
pub const RANGE_ROWS: u64 = 4_000_000;
/// How long `verify` waits for lag to pass before it says "unknown".
pub const LAG_WAIT: Duration = Duration::from_secs(60);
/// How long the check of a replay follows keys that keep changing, all views together.
pub const CHECK_WAIT: Duration = Duration::from_secs(30);
/// Pause between two looks at differing keys.
pub const RECHECK_PAUSE: Duration = Duration::from_millis(500);
/// How long a swap waits for snapshots that are older than the load.
pub const OLD_SNAPSHOT_WAIT: Duration = Duration::from_secs(60);
/// How long a cutover pauses the projector when the playbook says nothing.
pub const PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long the command that resumes it may take …
pub const RESUME_MAX: Duration = Duration::from_secs(60);
/// … and how often it is tried.
pub const RESUME_TRIES: u32 = 3;
/// What catching up may take for the projector to be paused for the rest of it; more rounds come first, while they get shorter.
pub const CLOSE_ENOUGH: Duration = Duration::from_millis(500);
/// How often a cutover is tried.
pub const CUTOVER_TRIES: u32 = 3;
/// How long an act may wait for its database before a new connection is asked whether that is still there, and how often then …
pub const PULSE_EVERY: Duration = Duration::from_secs(15);
/// … how long the answer may take …
pub const PULSE_WAIT: Duration = Duration::from_secs(10);
/// … how soon it is asked again when there was none …
pub const PULSE_PAUSE: Duration = Duration::from_secs(1);
/// … and for how long all of it may go unanswered before the database counts as unreachable.
pub const SERVER_SILENT_MAX: Duration = Duration::from_secs(45);
/// Records looked at, at each end of a partition, to choose the order.
pub const PEEK_RECORDS: usize = 20;
/// Time between two plain progress lines.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// Time between two looks at a projector's checkpoint, to see whether it moves.
pub const CHECKPOINT_LOOK: Duration = Duration::from_secs(2);
/// Rows of the primary that a swap may drop when the playbook says nothing.
pub const DELETES_MAX: u64 = 1_000;
/// Rows that are repaired in one transaction.
pub const REPAIR_ROWS: usize = 200;
/// Times that keys which moved while they were repaired go round again.
pub const REPAIR_ROUNDS_MAX: usize = 10;
/// Times that a batch of repairs waits for a lock, beyond the wait of the database itself.
pub const REPAIR_TRIES_MAX: usize = 5;
/// Percent of a table's rows that a reconciliation may repair when the playbook says nothing …
pub const REPAIRS_MAX_PERCENT: f64 = 10.0;
/// … and the number of rows that it may repair in any case.
pub const REPAIRS_MAX_AT_LEAST: u64 = 1_000;
/// Differences that a plan shows.
pub const DIFFERENCES_SHOWN: usize = 20;
/// How long a saved plan is good for.
pub const PLAN_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Time between two looks at how far the log has the primary, or the projector the log.
pub const LAG_LOOK: Duration = Duration::from_millis(250);
/// What a projector gets to write what its group has already committed: Kafka's own interval of auto-commits.
pub const COMMIT_AHEAD: Duration = Duration::from_secs(5);
/// What differing keys get to agree by themselves where nothing can tell whether they are under way.
pub const HEAL_WAIT: Duration = Duration::from_secs(10);
/// What records sent before a message of our own get to arrive in other partitions after it.
pub const IN_FLIGHT: Duration = Duration::from_secs(1);
/// Records of a log that is read whole for what it says of differing keys.
pub const HISTORY_RECORDS_MAX: i64 = 5_000_000;
/// Rows that one row group of a snapshot holds, and that are read from it at once …
pub const SNAPSHOT_GROUP_ROWS: usize = 64 << 10;
/// … unless their cells take this much memory before, in bytes.
pub const SNAPSHOT_GROUP_BYTES: usize = 8 << 20;
/// How long a snapshot may take to be written where a process that writes one cannot be told from one that is gone.
pub const SNAPSHOT_UNFINISHED_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Size of the parts that a file is sent to an object store in, in bytes; the store's own least is 5 MiB …
pub const OBJECT_PART_BYTES: usize = 8 << 20;
/// … and how many of them are under way at once.
pub const OBJECT_PARTS_IN_FLIGHT: usize = 4;
/// How often a request to an object store is tried again …
pub const OBJECT_RETRIES_MAX: usize = 5;
/// … and for how long.
pub const OBJECT_RETRY_TIME: Duration = Duration::from_secs(60);
/// How long one request to an object store may take with its body, when `AWS_TIMEOUT` does not say so.
pub const OBJECT_TIMEOUT: Duration = Duration::from_secs(300);
/// Records of each partition that the doctor reads when it is not told.
pub const DOCTOR_RECORDS: u64 = 100_000;
/// Keys that the doctor remembers where it saw them; those beyond are not looked for in other partitions.
pub const DOCTOR_KEYS_MAX: usize = 3_500_000;
/// Time between two looks at what work has to wait for: the operator's file, replicas that lag.
pub const PACE_LOOK: Duration = Duration::from_millis(500);
/// How far a replica may lag before work waits for it, when the playbook says nothing. A batch of a load is replayed in
/// far less, so that a replica beyond it does not keep up; and a reader of replicas is used to about that much.
pub const REPLICA_LAG_MAX: Duration = Duration::from_millis(1_500);
/// Shares of a second that a rate is kept in: no second sees more than this part of it at once.
pub const RATE_PARTS: u64 = 20;
/// Seconds of a rate that one pushed-down hash covers at most …
pub const RATE_RANGE_SECONDS: u64 = 10;
/// … but never fewer rows.
pub const RATE_RANGE_ROWS_MIN: u64 = 10_000;
/// How long one statement is read from at a rate before it is begun anew where it was: no snapshot is held for longer.
pub const PACED_READ_MAX: Duration = Duration::from_secs(300);
/// How long `plan` reads each of the systems to see how fast they are.
pub const MEASURE: Duration = Duration::from_secs(2);
/// How long `plan` waits for the first row of a query, whose time says how long it takes to derive.
pub const MEASURE_QUERY: Duration = Duration::from_secs(10);
/// Rows a second that `plan` reckons with where there are too few to measure.
pub const ROWS_PER_SECOND: f64 = 200_000.0;
/// Percent of a table's rows beyond which `plan` would rather rebuild it than repair it row by row, where a replay is no slower.
pub const REBUILD_PERCENT: f64 = 2.0;
/// How long nothing may come forward before it is said what is waited for: longer than a checkpoint or a lock of a
/// migration takes, shorter than anybody's patience.
pub const STALL_AFTER: Duration = Duration::from_secs(60);
