//! Real Debezium, keys and values in Avro through the registry.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde_json::Value;
use trueup::stream::{Kafka, KafkaConfig, Log, Range, Registry, RegistryConfig};

use super::{System, out, script, trueup};
use crate::support::text;

const COLUMNS: &[&str] = &[
    "id", "s", "i", "b", "f4", "f8", "n", "nv", "t", "v", "c", "by", "d", "ti", "tim", "ts", "tsm",
    "tz", "u", "j", "jb", "ia", "ta", "na", "my-col", "nn",
];

/// One column of every type that is read, by a name that Avro does not allow too.
fn table(schema: &str) -> String {
    format!(
        "CREATE TABLE {schema}.rows (
           id bigint PRIMARY KEY, s smallint, i int, b boolean, f4 real, f8 double precision, n numeric(10,2),
           nv numeric, t text, v varchar(20), c char(5), by bytea, d date, ti time, tim time(3), ts timestamp,
           tsm timestamp(3), tz timestamptz, u uuid, j json, jb jsonb, ia int[], ta text[], na numeric(10,2)[],
           \"my-col\" text, nn int NOT NULL DEFAULT 7)"
    )
}

const ROWS: &str = r#"
  INSERT INTO rows VALUES (1, -32768, 2147483647, true, 1.5, 2.25, -0.01, 12.345, E'aä\n"\\', 'v', 'c', '\x00ff',
    '2024-02-29', '01:02:03.000004', '01:02:03.004', '2024-01-31 12:34:56.789123', '2024-01-31 12:34:56.789',
    '2024-01-31 12:34:56.789123+02', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{"a":1}', '{"b":[1,2]}', '{1,NULL,3}',
    '{x,"y\"z"}', '{1.50,NULL}', 'dash', 8);
  INSERT INTO rows (id) VALUES (2);
  INSERT INTO rows VALUES (9223372036854775807, 32767, -2147483648, false, -3.4e38, 'NaN', 99999999.99,
    123456789012345678901234567890.123456789, '', '', '', '', '0001-01-01', '00:00', '23:59:59.999',
    'infinity', '1969-12-31 23:59:59.999', '-infinity', '00000000-0000-0000-0000-000000000000', 'null', '[]', '{}', '{}',
    '{}', '', -1);
  INSERT INTO rows (id, t, by, i) SELECT g, repeat('toast ' || g, 3000), decode(repeat('ab', 9000), 'hex'), g
    FROM generate_series(10, 40) g;
"#;

#[test]
fn debezium_in_avro_is_rebuilt_row_for_row() {
    let Some(system) = System::new("tu_avro") else {
        return;
    };
    system.primary(&table("public"));
    // Beyond a page, and not compressed: an update that does not touch them leaves them out.
    system.primary("ALTER TABLE rows ALTER t SET STORAGE EXTERNAL, ALTER by SET STORAGE EXTERNAL");
    system.primary(ROWS);
    let database = format!("{}_primary", system.name);
    for (name, form) in [(system.name, "avro"), ("tu_avro_json", "true")] {
        let _ = script("debezium").args(["drop", name]).output();
        let add = ["add", name, &database, "public.rows", form];
        out(&script("debezium").args(add).output().unwrap());
    }
    let captured = || {
        for slot in [system.name, "tu_avro_json"] {
            system.postgres.captured(&database, slot);
        }
    };
    captured();
    system.primary("UPDATE rows SET s = 1, n = n + 1 WHERE id BETWEEN 10 AND 20");
    system.primary("UPDATE rows SET t = 'short' WHERE id BETWEEN 15 AND 18");
    system.primary("DELETE FROM rows WHERE id BETWEEN 30 AND 33");
    system.primary("UPDATE rows SET id = id + 100 WHERE id IN (34, 35)");
    system.primary("INSERT INTO rows (id, t) VALUES (30, 'again')");
    // From here on another schema, under another id.
    system.primary("ALTER TABLE rows ADD COLUMN extra numeric(6,3), ALTER COLUMN i TYPE bigint");
    system.primary("UPDATE rows SET extra = 1.5, i = 5000000000 WHERE id BETWEEN 20 AND 25");
    system.primary("ALTER TABLE rows DROP COLUMN f4");
    system.primary("INSERT INTO rows (id, extra) VALUES (200, -0.001)");
    captured();
    alike_in_both_forms(&system);

    system.reads("CREATE SCHEMA read");
    system.reads(&table("read"));
    system.reads(
        "ALTER TABLE read.rows ADD COLUMN extra numeric(6,3), ALTER COLUMN i TYPE bigint, DROP COLUMN f4",
    );
    let columns: Vec<&str> = COLUMNS
        .iter()
        .filter(|c| **c != "f4")
        .chain(&["extra"])
        .copied()
        .collect();
    let topic = format!("{}.public.rows", system.name);
    let playbook = system.playbook(&topic, Some(&system.registry), &columns);
    let counts = system.replayed(&playbook);
    println!("counts {counts}");
    // 34 rows at first; 11, 4, 6 updates; 4 deletes and 2 changed keys, each with its tombstone; 4 inserts.
    assert_eq!(counts["read"], 34 + 11 + 4 + 6 + 2 * 4 + 2 * 3 + 2);
    system.equal();
    trueup(&["verify", &text(&playbook)]).exit(0);
    trueup(&["doctor", &text(&playbook), "--format", "json"]);
    // What was changed by hand is found and repaired.
    system.reads("UPDATE read.rows SET n = 0 WHERE id = 1");
    trueup(&["verify", &text(&playbook)]).exit(1);
    system.replayed(&playbook);
    system.equal();
}

/// What is opened is what Connect's own JSON converter has written of the same changes, row by row and type by type.
fn alike_in_both_forms(system: &System) {
    let registry = Registry::open(&RegistryConfig {
        url: system.registry.clone(),
        shown: system.registry.clone(),
    });
    let avro = changes(system, "tu_avro.public.rows", Some(registry.unwrap()));
    let json = changes(system, "tu_avro_json.public.rows", None);
    assert_eq!(avro.len(), json.len());
    for (at, ours) in &avro {
        let theirs = &json[at];
        assert_eq!(ours, theirs, "{at:?}");
    }
    println!("{} changes are alike", avro.len());
}

/// By position in the primary and key: operation, row, and types of the row.
fn changes(
    system: &System,
    topic: &str,
    registry: Option<Registry>,
) -> BTreeMap<(u64, String), Value> {
    let config = KafkaConfig {
        brokers: system.brokers.clone(),
        properties: Vec::new(),
    };
    let log = Log::Kafka(Kafka::open(config).unwrap().with_registry(registry));
    let ranges: Vec<Range> = log
        .topic(topic)
        .unwrap()
        .extents
        .iter()
        .map(|e| Range {
            topic: topic.into(),
            partition: e.partition,
            from: e.start,
            to: e.end,
        })
        .collect();
    let mut found = BTreeMap::new();
    log.scan(&ranges, |record| {
        let Some(value) = record.value else {
            return ControlFlow::Continue(());
        };
        let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let (value, key) = (parse(value), parse(record.key.unwrap()));
        let (value, key, schema) = match record.value_frame.schema() {
            Some(schema) => (value, key, parse(schema.as_bytes())),
            None => (
                value["payload"].clone(),
                key["payload"].clone(),
                value["schema"].clone(),
            ),
        };
        // Each connector took its own snapshot.
        let lsn = match value["op"].as_str() {
            Some("r") => 0,
            _ => value["source"]["lsn"].as_u64().unwrap(),
        };
        let at = (lsn, format!("{} {key}", value["op"]));
        let after = schema["fields"].as_array().unwrap().iter();
        let after = after.clone().find(|f| f["field"] == "after").unwrap();
        let types: Vec<String> = after["fields"]
            .as_array()
            .unwrap()
            .iter()
            .map(kind)
            .collect();
        let row = serde_json::json!([fixed(&value["after"]), types]);
        assert_eq!(found.insert(at, row), None);
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

/// A row with its columns named as Avro has them.
fn fixed(row: &Value) -> Value {
    let text = row.to_string().replace("\"my-col\"", "\"my_col\"");
    serde_json::from_str(&text).unwrap()
}

fn kind(field: &Value) -> String {
    let name = field["field"].as_str().unwrap().replace('-', "_");
    let items = field
        .get("items")
        .map(|i| (i["type"].clone(), i.get("name").cloned()));
    format!(
        "{name} {} {} {:?} {:?} {items:?}",
        field["type"],
        field["optional"],
        field.get("name"),
        field.get("parameters")
    )
}
