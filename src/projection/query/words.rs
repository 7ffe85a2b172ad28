//! Names that mean something to the databases themselves: functions whose value is not a function of the rows they read,
//! and aggregates that look at the order of their rows, or at the order of their additions.

use super::Dialect;

/// Another value at every call, or a write.
const VOLATILE_POSTGRES: &[&str] = &[
    "random",
    "random_normal",
    "setseed",
    "gen_random_uuid",
    "gen_random_bytes",
    "uuidv4",
    "uuidv7",
    "uuid_generate_v1",
    "uuid_generate_v1mc",
    "uuid_generate_v4",
    "nextval",
    "currval",
    "lastval",
    "setval",
    "clock_timestamp",
    "timeofday",
    "pg_sleep",
    "pg_sleep_for",
    "pg_sleep_until",
    "txid_current",
    "txid_current_if_assigned",
    "txid_current_snapshot",
    "pg_current_xact_id",
    "pg_current_xact_id_if_assigned",
    "pg_current_snapshot",
    "set_config",
    "query_to_xml",
    "dblink",
    "gen_salt",
];

/// What depends on who asks, and where.
const SESSION_POSTGRES: &[&str] = &[
    "current_user",
    "session_user",
    "user",
    "current_role",
    "system_user",
    "current_catalog",
    "current_database",
    "current_schema",
    "current_schemas",
    "current_query",
    "current_setting",
    "inet_client_addr",
    "inet_client_port",
    "inet_server_addr",
    "inet_server_port",
    "pg_backend_pid",
    "pg_postmaster_start_time",
    "pg_conf_load_time",
    "pg_is_in_recovery",
    "pg_current_wal_lsn",
    "pg_current_wal_insert_lsn",
    "pg_last_wal_replay_lsn",
    "version",
];

const VOLATILE_SQLITE: &[&str] = &[
    "random",
    "randomblob",
    "changes",
    "total_changes",
    "last_insert_rowid",
    "load_extension",
];

const SESSION_SQLITE: &[&str] = &[
    "sqlite_version",
    "sqlite_source_id",
    "sqlite_compileoption_get",
    "sqlite_compileoption_used",
    "sqlite_offset",
];

/// Written like columns, although they are calls.
const BARE_POSTGRES: &[&str] = &[
    "current_date",
    "current_time",
    "current_timestamp",
    "localtime",
    "localtimestamp",
    "current_user",
    "session_user",
    "user",
    "current_role",
    "current_catalog",
    "current_schema",
    "system_user",
];

const BARE_SQLITE: &[&str] = &["current_date", "current_time", "current_timestamp"];

/// Columns that every table has, and that a copy of it has otherwise.
const SYSTEM_POSTGRES: &[&str] = &["ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"];

const SYSTEM_SQLITE: &[&str] = &["rowid", "_rowid_"];

/// Written like calls, although no function is behind them.
const SYNTAX: &[&str] = &[
    "array",
    "coalesce",
    "greatest",
    "grouping",
    "least",
    "nullif",
    "row",
    "xmlelement",
    "xmlforest",
];

const UNORDERED: &[&str] = &[
    "array_agg",
    "string_agg",
    "group_concat",
    "json_agg",
    "json_agg_strict",
    "jsonb_agg",
    "jsonb_agg_strict",
    "json_arrayagg",
    "json_object_agg",
    "json_object_agg_strict",
    "json_object_agg_unique",
    "json_object_agg_unique_strict",
    "jsonb_object_agg",
    "jsonb_object_agg_strict",
    "jsonb_object_agg_unique",
    "jsonb_object_agg_unique_strict",
    "json_objectagg",
    "json_group_array",
    "json_group_object",
    "jsonb_group_array",
    "jsonb_group_object",
    "xmlagg",
];

const SUMS: &[&str] = &[
    "sum",
    "total",
    "avg",
    "stddev",
    "stddev_pop",
    "stddev_samp",
    "variance",
    "var_pop",
    "var_samp",
    "corr",
    "covar_pop",
    "covar_samp",
];

/// Functions of SQLite that are certainly no aggregates.
const SCALAR_SQLITE: &[&str] = &[
    "abs",
    "char",
    "coalesce",
    "concat",
    "concat_ws",
    "date",
    "datetime",
    "format",
    "glob",
    "hex",
    "ifnull",
    "iif",
    "instr",
    "json_extract",
    "julianday",
    "length",
    "like",
    "lower",
    "ltrim",
    "nullif",
    "printf",
    "quote",
    "replace",
    "round",
    "rtrim",
    "sign",
    "strftime",
    "substr",
    "substring",
    "time",
    "trim",
    "typeof",
    "unicode",
    "unixepoch",
    "upper",
];

/// Why a function of the database itself cannot stand in a query.
pub(super) fn refused(dialect: Dialect, name: &str) -> Option<&'static str> {
    let (volatile, session) = match dialect {
        Dialect::Postgres => (VOLATILE_POSTGRES, SESSION_POSTGRES),
        Dialect::Sqlite => (VOLATILE_SQLITE, SESSION_SQLITE),
    };
    if volatile.contains(&name) {
        Some("does not give the same value twice")
    } else if session.contains(&name) {
        Some("gives another value in another session")
    } else {
        None
    }
}

/// Whether a bare word is a call.
pub(super) fn is_bare_call(dialect: Dialect, word: &str) -> bool {
    let words = match dialect {
        Dialect::Postgres => BARE_POSTGRES,
        Dialect::Sqlite => BARE_SQLITE,
    };
    words.contains(&word)
}

/// Whether a call is only written like one.
pub(super) fn is_syntax(dialect: Dialect, name: &str) -> bool {
    dialect == Dialect::Postgres && SYNTAX.contains(&name)
}

/// Whether a column is the database's own.
pub(super) fn is_system_column(dialect: Dialect, name: &str) -> bool {
    let names = match dialect {
        Dialect::Postgres => SYSTEM_POSTGRES,
        Dialect::Sqlite => SYSTEM_SQLITE,
    };
    names.contains(&name)
}

/// Whether an aggregate keeps the order in which it meets its rows.
pub(super) fn keeps_order(name: &str) -> bool {
    UNORDERED.contains(&name)
}

/// Whether an aggregate of floats depends on the order of its additions.
pub(super) fn is_sum(name: &str) -> bool {
    SUMS.contains(&name) || name.starts_with("regr_")
}

/// Whether a function of SQLite is certainly no aggregate.
pub(super) fn is_scalar_sqlite(name: &str) -> bool {
    SCALAR_SQLITE.contains(&name)
}
