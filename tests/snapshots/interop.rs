//! Other programs read the files: DuckDB sees the types and the values.

use std::process::Command;

use trueup::projection::cell::Cell;
use trueup::projection::types::ColumnType;
use trueup::snapshot::{Place, Table, TableKind};

use super::{column, draft, version};
use crate::support::{service, text};

/// Prints the types of a file's columns, then each row's values as text.
const SCRIPT: &str = "
import duckdb, json, sys
connection = duckdb.connect()
connection.execute(\"SET TimeZone = 'UTC'\")
file = sys.argv[1]
types = connection.execute('DESCRIBE SELECT * FROM read_parquet(?)', [file]).fetchall()
values = connection.execute('SELECT COLUMNS(*)::VARCHAR FROM read_parquet(?)', [file]).fetchall()
print(json.dumps({'types': {t[0]: t[1] for t in types}, 'rows': values}))
";

/// For each column its name, its type, what DuckDB calls that, a value, and what DuckDB makes of it.
fn columns() -> Vec<(
    &'static str,
    ColumnType,
    &'static str,
    Cell<'static>,
    &'static str,
)> {
    let int = |bits, unsigned| ColumnType::Int { bits, unsigned };
    let numeric = |p, s| ColumnType::Numeric { size: Some((p, s)) };
    let array = |of| ColumnType::Array(Box::new(of));
    let number = |t: &'static str| Cell::Numeric(t.into());
    let fixed = "12345678901234567890123456789012345.678";
    vec![
        (
            "bool",
            ColumnType::Bool,
            "BOOLEAN",
            Cell::Bool(true),
            "true",
        ),
        ("i8", int(8, false), "TINYINT", Cell::Int(-128), "-128"),
        (
            "i16",
            int(16, false),
            "SMALLINT",
            Cell::Int(-32_768),
            "-32768",
        ),
        ("i32", int(32, false), "INTEGER", Cell::Int(-7), "-7"),
        (
            "i64",
            int(64, false),
            "BIGINT",
            Cell::Int(i64::MIN.into()),
            "-9223372036854775808",
        ),
        ("u8", int(8, true), "UTINYINT", Cell::Int(255), "255"),
        (
            "u16",
            int(16, true),
            "USMALLINT",
            Cell::Int(65_535),
            "65535",
        ),
        (
            "u32",
            int(32, true),
            "UINTEGER",
            Cell::Int(u32::MAX.into()),
            "4294967295",
        ),
        (
            "u64",
            int(64, true),
            "UBIGINT",
            Cell::Int(u64::MAX.into()),
            "18446744073709551615",
        ),
        ("f32", ColumnType::Float32, "FLOAT", Cell::Float(1.5), "1.5"),
        (
            "f64",
            ColumnType::Float64,
            "DOUBLE",
            Cell::Float(0.1),
            "0.1",
        ),
        (
            "d9",
            numeric(9, 2),
            "DECIMAL(9,2)",
            number("-12.50"),
            "-12.50",
        ),
        (
            "d18",
            numeric(18, 4),
            "DECIMAL(18,4)",
            number("3.1415"),
            "3.1415",
        ),
        ("d38", numeric(38, 3), "DECIMAL(38,3)", number(fixed), fixed),
        (
            "d_short",
            numeric(10, 2),
            "DECIMAL(10,2)",
            number("1.5"),
            "1.50",
        ),
        ("d_nan", numeric(10, 2), "DECIMAL(10,2)", number("NaN"), "∅"),
        (
            "d_any",
            ColumnType::Numeric { size: None },
            "VARCHAR",
            number("1.50"),
            "1.50",
        ),
        (
            "text",
            ColumnType::TEXT,
            "VARCHAR",
            Cell::Text("ä€𝄞".into()),
            "ä€𝄞",
        ),
        (
            "bytes",
            ColumnType::Bytes,
            "BLOB",
            Cell::Bytes(vec![0, b'a', 255].into()),
            "\\x00a\\xFF",
        ),
        (
            "date",
            ColumnType::Date,
            "DATE",
            Cell::Date(20_416),
            "2025-11-24",
        ),
        (
            "time",
            ColumnType::Time { digits: 6 },
            "TIME",
            Cell::Time(45_296_000_007),
            "12:34:56.000007",
        ),
        (
            "at",
            ColumnType::Timestamp { digits: 6 },
            "TIMESTAMP",
            Cell::Timestamp(1),
            "1970-01-01 00:00:00.000001",
        ),
        (
            "at_tz",
            ColumnType::TimestampTz { digits: 6 },
            "TIMESTAMP WITH TIME ZONE",
            Cell::TimestampTz(-1),
            "1969-12-31 23:59:59.999999+00",
        ),
        (
            "uuid",
            ColumnType::Uuid,
            "UUID",
            Cell::Uuid(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef),
            "01234567-89ab-cdef-0123-456789abcdef",
        ),
        (
            "json",
            ColumnType::Json,
            "JSON",
            Cell::Json("{\"a\": 1.0}".into()),
            "{\"a\": 1.0}",
        ),
        (
            "list",
            array(int(32, false)),
            "INTEGER[]",
            Cell::Array(vec![Cell::Int(1), Cell::Null]),
            "[1, NULL]",
        ),
        (
            "list_empty",
            array(ColumnType::TEXT),
            "VARCHAR[]",
            Cell::Array(Vec::new()),
            "[]",
        ),
        (
            "list_d",
            array(numeric(6, 1)),
            "DECIMAL(6,1)[]",
            Cell::Array(vec![number("2.5")]),
            "[2.5]",
        ),
        (
            "other",
            ColumnType::Other("inet".to_owned()),
            "VARCHAR",
            Cell::Text("10.0.0.1".into()),
            "10.0.0.1",
        ),
    ]
}

#[test]
fn duckdb_reads_types_and_values() {
    let Some(python) = service("TRUEUP_TEST_PYTHON") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let place = Place::open(folder.path());
    let columns = columns();
    let mut writer = place.create(draft(), "s").unwrap();
    let table = Table {
        name: "t".to_owned(),
        kind: TableKind::Source,
        columns: columns
            .iter()
            .map(|(name, kind, ..)| column(name, kind.clone()))
            .collect(),
        key: vec![0],
        versioned: true,
    };
    let mut table = writer.table(table).unwrap();
    let row = columns.iter().map(|c| c.3.clone()).collect();
    let nulls = columns.iter().map(|_| Cell::Null).collect();
    table
        .rows(&[(row, Some(version(7))), (nulls, Some(version(8)))])
        .unwrap();
    table.close().unwrap();
    writer.finish().unwrap();

    let file = text(&folder.path().join("s/0-t.parquet"));
    let output = Command::new(python)
        .args(["-c", SCRIPT, &file])
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    for (nth, (name, _, kind, _, value)) in columns.iter().enumerate() {
        assert_eq!(found["types"][name], *kind, "{name}");
        assert_eq!(
            found["rows"][0][nth].as_str().unwrap_or("∅"),
            *value,
            "{name}"
        );
        assert!(found["rows"][1][nth].is_null(), "{name}");
    }
    let beside = |nth: usize| {
        found["rows"][0][columns.len() + nth]
            .as_str()
            .unwrap_or("∅")
            .to_owned()
    };
    assert_eq!(beside(0), r#"{"14":"1.5","15":"NaN"}"#);
    assert_eq!(
        [beside(1), beside(2), beside(4)],
        ["1", "7", "1700000000007"]
    );
    for (name, kind) in [
        ("trueup_exact", "JSON"),
        ("trueup_partition", "INTEGER"),
        ("trueup_offset", "BIGINT"),
        ("trueup_rank", "BLOB"),
        ("trueup_clock", "BIGINT"),
    ] {
        assert_eq!(found["types"][name], kind, "{name}");
    }
}
