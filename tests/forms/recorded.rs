//! Records of Debezium 3.3.1 on PostgreSQL 15, as they were: what is read of each column, against what the primary prints.
//!
//! `forms.jsonl` has rows of a table of every type: under the defaults (`bare`, `schemas`, `flat`), under text forms (`modes`)
//! and under the lossy ones (`double`); `forms.rows.jsonl` is the primary's own text of the same rows.

use std::collections::BTreeMap;

use serde::Deserialize;
use trueup::projection::cell::Cell;
use trueup::projection::change::{Change, Op};
use trueup::projection::decode::{self, Decoded, Decoder, Ignored, Settings, Source};
use trueup::projection::record::{Frame, Position, Record};
use trueup::projection::text;
use trueup::projection::types::{Column, ColumnType};
use trueup::projection::version::{Guard, Order};
use trueup::store::dialect::postgres::column_type;

#[derive(Deserialize)]
pub(super) struct Recorded {
    /// How the connector was set up.
    #[serde(default)]
    pub(super) form: String,
    /// `r` or `c`, or what it is.
    pub(super) what: String,
    pub(super) key: Option<String>,
    pub(super) value: Option<String>,
}

#[derive(Clone, Deserialize)]
pub(super) struct Written {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) nullable: bool,
    pub(super) list: bool,
}

fn lines<T: serde::de::DeserializeOwned>(text: &str) -> Vec<T> {
    let lines = text.lines().filter(|line| !line.is_empty());
    lines.map(|l| serde_json::from_str(l).unwrap()).collect()
}

/// The records of all types; those with a schema have it back.
pub(super) fn forms() -> Vec<Recorded> {
    let schema = include_str!("recorded/forms.schema.json").trim();
    let mut all: Vec<Recorded> = lines(include_str!("recorded/forms.jsonl"));
    for recorded in all.iter_mut().filter(|r| r.form == "schemas") {
        let payload = recorded.value.take().unwrap();
        recorded.value = Some(format!("{{\"schema\":{schema},\"payload\":{payload}}}"));
    }
    all
}

pub(super) fn columns() -> Vec<Written> {
    lines(include_str!("recorded/forms.columns.jsonl"))
}

/// The primary's text of each row, by its number.
fn rows() -> BTreeMap<i64, BTreeMap<String, Option<String>>> {
    let rows: Vec<BTreeMap<String, Option<String>>> =
        lines(include_str!("recorded/forms.rows.jsonl"));
    let numbered = rows.into_iter().map(|row| {
        let id = row["id"].as_deref().unwrap().parse().unwrap();
        (id, row)
    });
    numbered.collect()
}

/// What the connector of a form was set up with.
pub(super) fn settings(form: &str) -> Settings {
    let properties: &[(&str, &str)] = match form {
        "modes" => &[
            ("decimal.handling.mode", "string"),
            ("time.precision.mode", "isostring"),
            ("binary.handling.mode", "hex"),
            ("hstore.handling.mode", "map"),
            ("interval.handling.mode", "string"),
            ("unavailable.value.placeholder", "hex:2a2a2a"),
        ],
        "double" => &[
            ("decimal.handling.mode", "double"),
            ("time.precision.mode", "connect"),
            ("binary.handling.mode", "base64-url-safe"),
        ],
        "flat" => &[("flattened", "true"), ("add.fields", "op,lsn,source.ts_ms")],
        _ => &[],
    };
    of(properties)
}

pub(super) fn of(properties: &[(&str, &str)]) -> Settings {
    let owned = properties
        .iter()
        .map(|(p, v)| ((*p).to_owned(), (*v).to_owned()));
    Settings::of(&owned.collect::<Vec<_>>()).unwrap()
}

pub(super) fn column(name: &str, kind: &str, nullable: bool) -> Column {
    Column {
        name: name.to_owned(),
        kind: column_type(kind),
        nullable,
    }
}

/// A decoder of the key `id` and some columns.
pub(super) fn decoder(columns: Vec<Column>, settings: Settings) -> Decoder {
    let mut all = vec![column("id", "bigint", false)];
    all.extend(columns);
    let source = Source {
        name: "t".to_owned(),
        columns: all,
        key: vec![0],
        former: Vec::new(),
        computed: Vec::new(),
        settings,
    };
    Decoder::new(source, Guard::new(Order::Lsn, Vec::new()))
}

pub(super) fn record<'a>(key: Option<&'a str>, value: Option<&'a str>) -> Record<'a> {
    Record {
        at: Position {
            topic: "t",
            partition: 3,
            offset: 17,
        },
        key: key.map(str::as_bytes),
        value: value.map(str::as_bytes),
        headers: &[],
        key_frame: Frame::None,
        value_frame: Frame::None,
    }
}

/// What one record does.
pub(super) fn change(
    decoder: &mut Decoder,
    key: Option<&str>,
    value: Option<&str>,
) -> Result<Change<'static>, String> {
    let record = record(key, value);
    let mut out = Vec::new();
    let done = decoder
        .decode(&record, &mut out)
        .map_err(|e| e.to_string())?;
    assert_eq!(done, Decoded::Changes(1));
    Ok(out.pop().unwrap().into_owned())
}

/// What was read of one column: its text, or why there is none.
fn read(recorded: &Recorded, written: &Written) -> (String, Cell<'static>) {
    let settings = settings(&recorded.form);
    let column = column(&written.name, &written.kind, written.nullable);
    let mut decoder = decoder(vec![column], settings);
    match change(
        &mut decoder,
        recorded.key.as_deref(),
        recorded.value.as_deref(),
    ) {
        Ok(Change {
            op: Op::Put(row), ..
        }) => {
            let cell = row.into_iter().nth(1).unwrap();
            let said = match &cell {
                Cell::Null => "NULL".to_owned(),
                Cell::Unchanged => "unchanged".to_owned(),
                cell => text::of(cell).unwrap(),
            };
            (said, cell)
        }
        Ok(Change { op: Op::Lost, .. }) => ("lost".to_owned(), Cell::Unchanged),
        other => (format!("{other:?}"), Cell::Unchanged),
    }
}

fn is(kind: &ColumnType, name: &str, cell: &Cell<'_>, want: Option<&str>) -> bool {
    let Some(want) = want else {
        return *cell == Cell::Null;
    };
    let same = |kind: &ColumnType| text::read(kind, want).is_some_and(|w| w == *cell);
    match (kind, cell) {
        // The amount is what counts.
        (ColumnType::Other(_), Cell::Text(t)) if name == "mon" => {
            let numeric = ColumnType::Numeric { size: None };
            text::read(&numeric, t) == text::read(&numeric, want)
        }
        _ => same(kind),
    }
}

/// What is read differs from what the primary has in exactly these ways. Of `lost` and of what is unchanged the row is taken
/// from the primary; the rest the connector has destroyed without a trace, and a plan names the columns.
const KNOWN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/forms/recorded/forms.known.txt"
);

#[test]
fn every_recorded_value_is_exact_or_known_not_to_be() {
    let (rows, mut found) = (rows(), Vec::new());
    let mut exact = 0;
    for recorded in forms() {
        let id: i64 = {
            let mut decoder = decoder(Vec::new(), settings(&recorded.form));
            let key = change(
                &mut decoder,
                recorded.key.as_deref(),
                recorded.value.as_deref(),
            );
            match key.unwrap().key.0[0] {
                Cell::Int(id) => i64::try_from(id).unwrap(),
                ref other => panic!("{other:?}"),
            }
        };
        for written in columns().iter().filter(|c| c.name != "id") {
            let kind = column_type(&written.kind);
            let settings = settings(&recorded.form);
            let named = written.kind == "name";
            if named || decode::unreadable(&kind, written.list, &settings).is_some() {
                continue;
            }
            let (said, cell) = read(&recorded, written);
            let want = rows[&(id % 100)][&written.name].as_deref();
            if is(&kind, &written.name, &cell, want) {
                exact += 1;
                continue;
            }
            found.push(format!(
                "{} {} {}: {} for {}",
                recorded.form,
                recorded.what,
                written.name,
                said,
                want.unwrap_or("NULL")
            ));
        }
    }
    found.sort();
    found.dedup();
    println!("{exact} values exact, {} known not to be", found.len());
    let known = std::fs::read_to_string(KNOWN).unwrap();
    let known: Vec<&str> = known.lines().collect();
    let new: Vec<&String> = found
        .iter()
        .filter(|f| !known.contains(&f.as_str()))
        .collect();
    let gone: Vec<&&str> = known
        .iter()
        .filter(|k| !found.iter().any(|f| f == **k))
        .collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "new:\n{}\ngone:\n{gone:#?}",
        new.iter()
            .map(|s| s.as_str())
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(exact > 2_000, "only {exact} were looked at");
}

/// The types of the columns of `toast.jsonl`.
fn types(name: &str) -> &'static str {
    match name {
        "t" => "text",
        "vc" => "character varying",
        "ch" => "character(9000)",
        "ci" => "citext",
        "bin" => "bytea",
        "j" => "json",
        "jb" => "jsonb",
        "x" => "xml",
        "tsv" => "tsvector",
        "lt" => "ltree",
        "h" => "hstore",
        "rn" => "numrange",
        "ta" => "text[]",
        "vca" => "character varying[]",
        "cha" => "character(8)[]",
        "cia" => "citext[]",
        "i2" => "smallint[]",
        "i4" => "integer[]",
        "i8" => "bigint[]",
        "f4" => "real[]",
        "f8" => "double precision[]",
        "na" => "numeric[]",
        "nb" => "numeric(10,2)[]",
        "ua" => "uuid[]",
        "da" => "date[]",
        "tma" => "time without time zone[]",
        "ts" => "timestamp without time zone[]",
        "tz" => "timestamp with time zone[]",
        "ea" => "mood[]",
        "bina" => "bytea[]",
        "ja" => "json[]",
        "jba" => "jsonb[]",
        "ine" => "inet[]",
        "cid" => "cidr[]",
        "mac" => "macaddr[]",
        "r4" => "int4range[]",
        "o" => "oid[]",
        "lta" => "ltree[]",
        "ha" => "hstore[]",
        _ => "",
    }
}

/// What the placeholder of a TOASTed value is for each type; NULL is what the connector writes where it has none, and then
/// nothing tells it from a NULL.
#[test]
fn what_an_update_did_not_touch_is_never_written() {
    let all: Vec<Recorded> = lines(include_str!("recorded/toast.jsonl"));
    assert_eq!(all.len(), 4);
    for recorded in &all {
        let settings = match recorded.form.as_str() {
            "modes" => of(&[
                ("binary.handling.mode", "hex"),
                ("time.precision.mode", "isostring"),
                ("hstore.handling.mode", "map"),
            ]),
            "double" => of(&[
                ("binary.handling.mode", "base64"),
                ("time.precision.mode", "connect"),
            ]),
            "flat" => of(&[
                ("flattened", "true"),
                ("add.fields.prefix", "_m_"),
                ("add.fields", "op:OPX,lsn:MY_LSN,source.snapshot"),
            ]),
            _ => Settings::default(),
        };
        let value = recorded.value.as_deref().unwrap();
        let json: serde_json::Value = serde_json::from_str(value).unwrap();
        let row = json.get("after").unwrap_or(&json).as_object().unwrap();
        let mut looked_at = 0;
        for name in row.keys().filter(|name| !types(name).is_empty()) {
            looked_at += 1;
            for nullable in [true, false] {
                let mut decoder =
                    decoder(vec![column(name, types(name), nullable)], settings.clone());
                let done = change(&mut decoder, recorded.key.as_deref(), Some(value)).unwrap();
                match done.op {
                    Op::Put(cells) => {
                        assert_eq!(cells[1], Cell::Unchanged, "{} {name}", recorded.form)
                    }
                    Op::Lost => {
                        assert!(nullable && row[name].is_null(), "{} {name}", recorded.form)
                    }
                    other => panic!("{} {name}: {other:?}", recorded.form),
                }
            }
        }
        assert_eq!(looked_at, 39, "{}", recorded.form);
    }
}

#[test]
fn records_that_say_nothing_about_rows() {
    let mut all: Vec<Recorded> = lines(include_str!("recorded/kinds.jsonl"));
    // As the MySQL connector has it.
    all.push(Recorded {
        form: String::new(),
        what: "schema change".to_owned(),
        key: Some(r#"{"databaseName":"shop"}"#.to_owned()),
        value: Some(
            r#"{"source":{"connector":"mysql","name":"s","db":"shop","file":"b.1","pos":4},"ts_ms":1,"databaseName":"shop","schemaName":null,"ddl":"CREATE TABLE t (id INT)","tableChanges":[{"type":"CREATE","id":"t","table":{}}]}"#.to_owned(),
        ),
    });
    let mut seen = Vec::new();
    for flattened in [false, true] {
        for recorded in &all {
            let settings = if flattened {
                of(&[("flattened", "true")])
            } else {
                Settings::default()
            };
            let name = column("name", "text", true);
            let mut decoder = decoder(vec![name], settings);
            let one = record(recorded.key.as_deref(), recorded.value.as_deref());
            // A source whose own column is called as a key of the record is another matter.
            if flattened && matches!(recorded.what.as_str(), "transaction" | "notification") {
                continue;
            }
            let mut out = Vec::new();
            let done = decoder.decode(&one, &mut out);
            let Ok(Decoded::Ignored(kind)) = done else {
                panic!("{}: {done:?}", recorded.what)
            };
            assert_eq!(kind.word(), recorded.what);
            assert!(out.is_empty());
            seen.push(kind);
        }
    }
    for kind in [
        Ignored::Heartbeat,
        Ignored::Message,
        Ignored::Notification,
        Ignored::SchemaChange,
        Ignored::Transaction,
    ] {
        assert!(seen.contains(&kind), "{kind:?}");
    }
}
