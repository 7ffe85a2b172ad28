//! Questions about followers of the database, and about what sessions wait for.

/// Position, how far it is behind in seconds where it is a standby, whether and who may not see its followers.
pub const STANDING: &str = "SELECT CASE WHEN pg_is_in_recovery() THEN NULL ELSE (pg_current_wal_lsn() - '0/0'::pg_lsn)::text END, \
     CASE WHEN NOT pg_is_in_recovery() THEN NULL WHEN pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() THEN 0 \
     ELSE coalesce(extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()), 0) END::float8, \
     CASE WHEN NOT pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AND EXISTS (SELECT FROM pg_stat_replication) \
     THEN current_user::text END";

/// Followers that stream: name and position. A replica has replayed so far; a logical reader was sent so much, since it says
/// only now and then what it has done, and nothing while nothing is written. Logical readers of other databases are none of
/// this one; a base backup follows nothing.
pub const FOLLOWERS: &str = "SELECT coalesce(s.slot_name::text, nullif(r.application_name, ''), 'pid ' || r.pid), \
     ((CASE WHEN s.slot_type = 'logical' THEN r.sent_lsn ELSE r.replay_lsn END) - '0/0'::pg_lsn)::text \
     FROM pg_stat_replication r LEFT JOIN pg_replication_slots s ON s.active_pid = r.pid \
     WHERE r.state IN ('streaming', 'catchup') AND (s.database IS NULL OR s.database = current_database()) ORDER BY 1";

/// The statements of these sessions that have not ended, each with what it waits for and with every session in its way.
#[must_use]
pub fn waiting(pids: &[i32]) -> String {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    format!(
        "SELECT a.pid::bigint, greatest(extract(epoch FROM clock_timestamp() - a.query_start), 0)::bigint, \
         left(regexp_replace(a.query, '\\s+', ' ', 'g'), 120), CASE WHEN a.wait_event_type IN ('Client', 'IO') THEN NULL ELSE a.wait_event_type || ': ' || a.wait_event END, \
         (SELECT string_agg(DISTINCT l.relation::regclass::text, ', ') FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted AND l.relation IS NOT NULL), \
         b.pid::bigint, coalesce(b.usename::text, ''), coalesce(b.application_name, ''), \
         greatest(extract(epoch FROM clock_timestamp() - coalesce(b.xact_start, b.query_start)), 0)::bigint, \
         coalesce(left(regexp_replace(b.query, '\\s+', ' ', 'g'), 120), '') \
         FROM pg_stat_activity a LEFT JOIN LATERAL (SELECT DISTINCT unnest(pg_blocking_pids(a.pid)) AS pid) AS x ON TRUE \
         LEFT JOIN pg_stat_activity b ON b.pid = x.pid \
         WHERE a.pid = ANY ('{{{}}}'::int[]) AND a.pid <> pg_backend_pid() AND a.state = 'active' AND a.application_name = 'trueup' \
         ORDER BY x.pid IS NULL, a.query_start, b.pid",
        pids.join(",")
    )
}
