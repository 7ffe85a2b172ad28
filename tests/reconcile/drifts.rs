//! Random drifts, repaired and taken back: every kind of difference, type and key; no row is touched that was right.

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use crate::support::pair::{Engine, Pair, Side};
use crate::support::{seed, size};

/// A value in both databases' spelling.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Null,
    Int(i64),
    Real(f64),
    Bool(bool),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    fn sql(&self, engine: Engine) -> String {
        match (self, engine) {
            (Value::Null, _) => "NULL".to_owned(),
            (Value::Int(i64::MIN), _) => "(-9223372036854775807 - 1)".to_owned(),
            (Value::Int(i), _) => i.to_string(),
            (Value::Real(f), _) => format!("{f:?}"),
            (Value::Bool(b), Engine::Sqlite) => i64::from(*b).to_string(),
            (Value::Bool(b), Engine::Postgres) => b.to_string(),
            (Value::Text(t), _) => format!("'{}'", t.replace('\'', "''")),
            (Value::Bytes(b), Engine::Sqlite) => format!("X'{}'", hex(b)),
            (Value::Bytes(b), Engine::Postgres) => format!("'\\x{}'", hex(b)),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Int,
    Real,
    Numeric,
    Bool,
    Text,
    Bytes,
    Uuid,
    Time,
    Json,
}

impl Kind {
    const ALL: [Kind; 9] = [
        Kind::Int,
        Kind::Real,
        Kind::Numeric,
        Kind::Bool,
        Kind::Text,
        Kind::Bytes,
        Kind::Uuid,
        Kind::Time,
        Kind::Json,
    ];

    fn sql(self, engine: Engine) -> &'static str {
        match (self, engine) {
            (Kind::Int, _) => "BIGINT",
            (Kind::Real, _) => "DOUBLE PRECISION",
            (Kind::Numeric, _) => "NUMERIC(20,4)",
            (Kind::Bool, _) => "BOOLEAN",
            (Kind::Text, _) => "TEXT",
            (Kind::Bytes, Engine::Sqlite) => "BLOB",
            (Kind::Bytes, Engine::Postgres) => "BYTEA",
            (Kind::Uuid, _) => "UUID",
            (Kind::Time, Engine::Sqlite) => "DATETIME",
            (Kind::Time, Engine::Postgres) => "TIMESTAMP",
            (Kind::Json, Engine::Sqlite) => "JSON",
            (Kind::Json, Engine::Postgres) => "JSONB",
        }
    }

    fn value(self, rng: &mut StdRng) -> Value {
        const TEXTS: &[&str] = &[
            "", " ", "a", "B", "a-b", "a_b", "ä", "漢字", "😀", "it's", "\\N", "NULL", "a\tb",
            "a\nb", "a\\b", "\"q\"", "0", "-1", "{}", "%s",
        ];
        match self {
            Kind::Int => Value::Int(
                *[
                    i64::MIN,
                    i64::MIN + 1,
                    -1,
                    0,
                    1,
                    9_007_199_254_740_993,
                    i64::MAX,
                ]
                .choose(rng)
                .unwrap(),
            ),
            Kind::Real => Value::Real(
                *[
                    0.0,
                    0.1,
                    -1.5,
                    1e300,
                    -1e-300,
                    123_456.789,
                    9_007_199_254_740_992.0,
                ]
                .choose(rng)
                .unwrap(),
            ),
            Kind::Numeric => Value::Real(f64::from(rng.random_range(-80_000..80_000)) / 16.0),
            Kind::Bool => Value::Bool(rng.random()),
            Kind::Text => match rng.random_range(0..4) {
                0 => Value::Text(format!("t{}", rng.random_range(0..1_000_000))),
                _ => Value::Text((*TEXTS.choose(rng).unwrap()).to_owned()),
            },
            Kind::Bytes => {
                Value::Bytes((0..rng.random_range(0..5)).map(|_| rng.random()).collect())
            }
            Kind::Uuid => {
                let n: u128 = if rng.random_bool(0.2) {
                    u128::MAX
                } else {
                    rng.random()
                };
                let h = format!("{n:032x}");
                Value::Text(format!(
                    "{}-{}-{}-{}-{}",
                    &h[..8],
                    &h[8..12],
                    &h[12..16],
                    &h[16..20],
                    &h[20..]
                ))
            }
            Kind::Time => Value::Text(format!(
                "20{:02}-0{}-1{} 0{}:00:59.{:06}",
                rng.random_range(0..99),
                rng.random_range(1..9),
                rng.random_range(0..9),
                rng.random_range(0..9),
                rng.random_range(0..1_000) * 1_000 + 1,
            )),
            Kind::Json => Value::Text(
                (*[
                    "{}",
                    "[]",
                    "null",
                    "1",
                    "\"x\"",
                    "{\"a\": [1, null]}",
                    "{\"b\": \"it's\"}",
                ]
                .choose(rng)
                .unwrap())
                .to_owned(),
            ),
        }
    }
}

/// A table with rows, and what is done to its copy.
struct Case {
    engine: Engine,
    key: Vec<Kind>,
    columns: Vec<(Kind, bool)>,
    rows: Vec<(Vec<Value>, Vec<Value>)>,
    /// Index of a row, or of a row to come, and what is wrong with it in the copy.
    drifts: Vec<Drift>,
}

enum Drift {
    Missing(usize),
    Changed(usize, Vec<(usize, Value)>),
    Extra(Vec<Value>, Vec<Value>),
}

impl Case {
    fn random(engine: Engine, rng: &mut StdRng, drifts: usize) -> Case {
        let key = match rng.random_range(0..5) {
            0 => vec![Kind::Int],
            1 => vec![Kind::Text],
            2 => vec![Kind::Uuid],
            3 => vec![Kind::Int, Kind::Text],
            _ => vec![Kind::Uuid, Kind::Int],
        };
        let columns: Vec<(Kind, bool)> = (0..rng.random_range(1..7))
            .map(|_| (*Kind::ALL.choose(rng).unwrap(), rng.random_bool(0.7)))
            .collect();
        let row = |rng: &mut StdRng| -> Vec<Value> {
            let value = |(kind, nullable): &(Kind, bool)| {
                if *nullable && rng.random_bool(0.2) {
                    Value::Null
                } else {
                    kind.value(rng)
                }
            };
            columns.iter().map(value).collect()
        };
        let mut keys: Vec<Vec<Value>> = Vec::new();
        for at in 0..drifts * 4 {
            // The ends of each type's range come first, then keys that are likely to be new.
            let part = |kind: &Kind| match kind {
                Kind::Int if at >= 7 => Value::Int(rng.random_range(-1_000_000..1_000_000)),
                Kind::Text if at >= 20 => {
                    Value::Text(format!("k{}", rng.random_range(0..1_000_000)))
                }
                kind => kind.value(rng),
            };
            let new: Vec<Value> = key.iter().map(part).collect();
            if !keys.contains(&new) {
                keys.push(new);
            }
        }
        keys.shuffle(rng);
        let extra = keys.split_off(keys.len() * 3 / 4);
        let rows: Vec<(Vec<Value>, Vec<Value>)> = keys.into_iter().map(|k| (k, row(rng))).collect();
        let mut which: Vec<usize> = (0..rows.len()).collect();
        which.shuffle(rng);
        let mut extra = extra.into_iter();
        let mut all = Vec::new();
        while all.len() < drifts {
            match rng.random_range(0..3) {
                0 => all.extend(which.pop().map(Drift::Missing)),
                1 => all.extend(extra.next().map(|k| Drift::Extra(k, row(rng)))),
                _ => {
                    let Some(at) = which.pop() else { break };
                    let changes: Vec<(usize, Value)> = (0..columns.len())
                        .filter_map(|c| {
                            let new = row(rng).swap_remove(c);
                            (new != rows[at].1[c] && rng.random_bool(0.5)).then_some((c, new))
                        })
                        .collect();
                    if !changes.is_empty() {
                        all.push(Drift::Changed(at, changes));
                    }
                }
            }
        }
        Case {
            engine,
            key,
            columns,
            rows,
            drifts: all,
        }
    }

    fn names(&self, prefix: &str) -> Vec<String> {
        let key = (0..self.key.len()).map(|i| format!("{prefix}k{i}"));
        key.chain((0..self.columns.len()).map(|i| format!("{prefix}c{i}")))
            .collect()
    }

    fn table(&self, name: &str, prefix: &str, more: &str) -> String {
        let names = self.names(prefix);
        let keys = self.key.iter().map(|k| (*k, false));
        let kinds = keys.chain(self.columns.iter().copied());
        let columns: Vec<String> = names
            .iter()
            .zip(kinds)
            .map(|(n, (k, null))| {
                format!(
                    "{n} {}{}",
                    k.sql(self.engine),
                    if null { "" } else { " NOT NULL" }
                )
            })
            .collect();
        format!(
            "CREATE TABLE {name} ({}{more}, PRIMARY KEY ({}));\n",
            columns.join(", "),
            names[..self.key.len()].join(", ")
        )
    }

    fn insert(&self, table: &str, columns: &[String], rows: &[(Vec<Value>, Vec<Value>)]) -> String {
        let bracket = |(key, row): &(Vec<Value>, Vec<Value>)| {
            let values: Vec<String> = key.iter().chain(row).map(|v| v.sql(self.engine)).collect();
            format!(
                "INSERT INTO {table} ({}) VALUES ({});\n",
                columns.join(", "),
                values.join(", ")
            )
        };
        rows.iter().map(bracket).collect()
    }

    fn where_key(&self, key: &[Value]) -> String {
        let parts: Vec<String> = key
            .iter()
            .enumerate()
            .map(|(i, v)| format!("rk{i} = {}", v.sql(self.engine)))
            .collect();
        parts.join(" AND ")
    }

    fn drift_sql(&self) -> String {
        let mut sql = String::new();
        for drift in &self.drifts {
            sql.push_str(&match drift {
                Drift::Missing(at) => format!(
                    "DELETE FROM r WHERE {};\n",
                    self.where_key(&self.rows[*at].0)
                ),
                Drift::Extra(key, row) => {
                    self.insert("r", &self.names("r"), &[(key.clone(), row.clone())])
                }
                Drift::Changed(at, changes) => {
                    let sets: Vec<String> = changes
                        .iter()
                        .map(|(c, v)| format!("rc{c} = {}", v.sql(self.engine)))
                        .collect();
                    format!(
                        "UPDATE r SET {} WHERE {};\n",
                        sets.join(", "),
                        self.where_key(&self.rows[*at].0)
                    )
                }
            });
        }
        sql
    }

    /// A table that the read store's own triggers write each touched row into.
    fn watch(&self) -> String {
        let key = |row: &str| -> String {
            let parts: Vec<String> = (0..self.key.len())
                .map(|i| format!("CAST({row}.rk{i} AS TEXT)"))
                .collect();
            parts.join(" || '/' || ")
        };
        let mut sql = "CREATE TABLE touched (op TEXT, k TEXT);\n".to_owned();
        for (op, row) in [("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")] {
            let write = format!("INSERT INTO touched VALUES ('{op}', {});", key(row));
            sql.push_str(&match self.engine {
                Engine::Sqlite => format!("CREATE TRIGGER t_{op} AFTER {op} ON r BEGIN {write} END;\n"),
                Engine::Postgres => format!(
                    "CREATE FUNCTION f_{op}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {write} RETURN NULL; END $$;\n\
                     CREATE TRIGGER t_{op} AFTER {op} ON r FOR EACH ROW EXECUTE FUNCTION f_{op}();\n"
                ),
            });
        }
        sql
    }

    fn run(&self, pair: &Pair) {
        let more = ", seen BIGINT NOT NULL, note TEXT";
        let start = match self.engine {
            Engine::Sqlite => "DROP TABLE IF EXISTS p; BEGIN;",
            Engine::Postgres => "DROP TABLE IF EXISTS p;",
        };
        let end = if self.engine == Engine::Sqlite {
            "COMMIT;"
        } else {
            ""
        };
        pair.sql(
            Side::Primary,
            &format!(
                "{start}{}{}{end}",
                self.table("p", "p", ""),
                self.insert("p", &self.names("p"), &self.rows)
            ),
        );
        let start = start.replace("p;", "r; DROP TABLE IF EXISTS touched;");
        let mut table = self
            .table("r", "r", more)
            .replace("seen BIGINT NOT NULL", "seen BIGINT NOT NULL DEFAULT 7");
        if self.engine == Engine::Postgres {
            table.insert_str(
                0,
                "DROP FUNCTION IF EXISTS f_INSERT, f_UPDATE, f_DELETE CASCADE;",
            );
        }
        pair.sql(
            Side::Read,
            &format!(
                "{start}{table}{}UPDATE r SET note = 'mine';{}{}{end}",
                self.insert("r", &self.names("r"), &self.rows),
                self.drift_sql(),
                self.watch(),
            ),
        );
        let (theirs, ours) = (self.names("p"), self.names("r"));
        let columns: Vec<String> = ours
            .iter()
            .zip(&theirs)
            .map(|(r, p)| format!("{r}: {p}"))
            .collect();
        pair.playbook_of(
            "none",
            &format!(
                "sources: {{ p: {{ topic: x.public.p, table: p }} }}\nviews:\n  r:\n    from: p\n    key: [{}]\n    columns: {{ {}, seen: \"@offset\", note: \"@foreign\" }}\n",
                ours[..self.key.len()].join(", "),
                columns.join(", ")
            ),
        );
        self.check(pair, &theirs, &ours);
    }

    fn check(&self, pair: &Pair, theirs: &[String], ours: &[String]) {
        fn refs(names: &[String]) -> Vec<&str> {
            names.iter().map(String::as_str).collect()
        }
        let mut all = refs(ours);
        all.extend(["seen", "note"]);
        let before = pair.dump(Side::Read, "r", &all);
        let found = pair
            .trueup(&[
                "reconcile",
                "{}",
                "--format",
                "json",
                "--repairs-max",
                "100%",
                "--allow-shrink",
            ])
            .exit(1)
            .json();
        let view = &found["views"][0];
        let count = |name: &str| view[name].as_u64().unwrap() as usize;
        assert_eq!(
            count("missing") + count("changed") + count("extra"),
            self.drifts.len()
        );
        pair.trueup(&[
            "reconcile",
            "{}",
            "--apply",
            "--yes",
            "--quiet",
            "--repairs-max",
            "100%",
            "--allow-shrink",
        ])
        .exit(0);
        assert_eq!(
            pair.dump(Side::Read, "r", &refs(ours)),
            pair.dump(Side::Primary, "p", &refs(theirs)),
        );
        // All, and all different: a key may hold a line break, so they are not read as lines.
        let query = "SELECT count(*) FROM touched UNION ALL SELECT count(*) FROM (SELECT DISTINCT k FROM touched) AS keys";
        let drifts = self.drifts.len().to_string();
        assert_eq!(
            pair.lines(Side::Read, query),
            [drifts.as_str(), &drifts],
            "a row was touched that was right, or twice"
        );
        pair.trueup(&["verify", "{}"]).exit(0);
        pair.trueup(&["undo", "{}", "latest", "--yes", "--quiet"])
            .exit(0);
        assert_eq!(
            pair.dump(Side::Read, "r", &all),
            before,
            "undone is as before"
        );
    }
}

fn drifts(engine: Engine, name: &str, total: usize) {
    let Some(pair) = Pair::new(engine, name) else {
        return;
    };
    let mut rng = StdRng::seed_from_u64(seed());
    let mut done = 0;
    while done < total {
        let many = 25.min(total - done);
        let case = Case::random(engine, &mut rng, many);
        done += case.drifts.len();
        println!(
            "{engine:?}: key {:?}, columns {:?}, {} rows, {done} drifts of {total}",
            case.key,
            case.columns,
            case.rows.len()
        );
        case.run(&pair);
    }
}

#[test]
fn on_sqlite() {
    drifts(Engine::Sqlite, "drifts", size(250, 1_000));
}

#[test]
fn on_postgres() {
    drifts(Engine::Postgres, "drifts", size(75, 200));
}
