//! Tables of every shape: rows in the primary, the same in the read store, and how they are written down.

use std::collections::HashSet;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::kind::Kind;
use super::systems::Systems;
use super::value;
use crate::support::pair::{Engine, Side};

/// The values of one row, those of its key first.
pub type Row = Vec<Option<String>>;

/// Which key is the primary key of the table of a side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Declared {
    /// On both.
    Both,
    /// Only in the primary: the playbook's `key:` must do for the read store.
    Primary,
    /// Only in the read store.
    Read,
    /// Nowhere.
    Nowhere,
}

/// A table's name, key and columns.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub name: &'static str,
    pub key: &'static [Kind],
    pub columns: &'static [Kind],
    pub declared: Declared,
    /// What the text of a key is in the read store of PostgreSQL, and of SQLite, where it is not what its kind says.
    pub reads_key_as: Option<[&'static str; 2]>,
}

use Kind::{
    Big, Bytes, Char, CharText, Citext, Date, DateTime, Flag, FlagInt, Float4, Float8, Free, Int,
    Ints, Json, Jsonb, Mood, Num, Nums, Price, Small, Span, Text, Texts, Time, Ts, Tz, Uuid,
    UuidText, Varchar, Wide,
};

const fn shape(
    name: &'static str,
    key: &'static [Kind],
    columns: &'static [Kind],
    declared: Declared,
) -> Shape {
    Shape {
        name,
        key,
        columns,
        declared,
        reads_key_as: None,
    }
}

const fn reading(as_type: [&'static str; 2], shape: Shape) -> Shape {
    Shape {
        reads_key_as: Some(as_type),
        ..shape
    }
}

/// Every kind of column and of key. Of each kind of column there are two somewhere, so that they can change places.
pub const SHAPES: &[Shape] = &[
    shape(
        "numbers",
        &[Big],
        &[
            Small, Small, Int, Int, Big, Big, Wide, Wide, Float4, Float4, Float8, Float8, Num, Num,
            Free, Free, Flag, Flag, FlagInt, FlagInt,
        ],
        Declared::Both,
    ),
    shape(
        "words",
        &[Text],
        &[
            Text, Text, Varchar, Varchar, Char, Char, CharText, CharText, Bytes, Bytes, Uuid, Uuid,
            UuidText, UuidText,
        ],
        Declared::Both,
    ),
    shape(
        "times",
        &[Tz],
        &[Date, Date, DateTime, DateTime, Time, Time, Ts, Ts, Tz, Tz],
        Declared::Both,
    ),
    shape(
        "nested",
        &[Uuid],
        &[Jsonb, Jsonb, Ints, Ints, Texts, Texts, Nums, Nums],
        Declared::Both,
    ),
    shape(
        "others",
        &[Bytes],
        &[
            Json, Json, Mood, Mood, Span, Span, Citext, Citext, Price, Price,
        ],
        Declared::Both,
    ),
    shape(
        "composite",
        &[Text, Int, Date],
        &[Text, Num, Flag, Flag, Tz],
        Declared::Both,
    ),
    shape(
        "heap",
        &[Int, Char],
        &[Text, Text, Free, Big, Float8],
        Declared::Primary,
    ),
    reading(
        ["text COLLATE folded", "TEXT COLLATE NOCASE"],
        shape(
            "folded",
            &[Text],
            &[Int, Varchar, Varchar],
            Declared::Primary,
        ),
    ),
    reading(
        ["citext", "TEXT COLLATE NOCASE"],
        shape("folds", &[Text], &[Int, Text, Text], Declared::Primary),
    ),
    shape("scaled", &[Num], &[Free, Free, Wide], Declared::Both),
    shape("bare", &[Ts], &[Text, Text, Big], Declared::Read),
    shape(
        "declared",
        &[Mood, Small],
        &[Text, Text, Num],
        Declared::Nowhere,
    ),
];

/// A shape with rows.
pub struct Table {
    pub shape: Shape,
    pub rows: Vec<Row>,
}

impl Shape {
    /// The kinds of all its columns, those of the key first.
    pub fn kinds(&self) -> impl Iterator<Item = Kind> + '_ {
        self.key.iter().chain(self.columns).copied()
    }

    pub fn kind(&self, at: usize) -> Kind {
        if at < self.key.len() {
            self.key[at]
        } else {
            self.columns[at - self.key.len()]
        }
    }

    pub fn width(&self) -> usize {
        self.key.len() + self.columns.len()
    }

    /// Whether rows that are equal are proven so by their hashes.
    pub fn is_hashed(&self) -> bool {
        self.kinds().all(Kind::is_hashed)
            && self.declared != Declared::Nowhere
            && self
                .reads_key_as
                .is_none_or(|[postgres, _]| postgres != "citext")
    }

    /// A row's key as a report shows it.
    pub fn key_of(&self, row: &Row) -> String {
        let parts = self.key.iter().zip(row);
        let parts = parts.map(|(kind, value)| kind.canonical(value.as_deref().unwrap()));
        parts.collect::<Vec<_>>().join("|")
    }

    /// A row's cell as SQL.
    pub fn literal(&self, at: usize, value: Option<&str>, engine: Engine, side: Side) -> String {
        let kind = self.kind(at);
        match value {
            // SQLite keeps the text that it is given, and a day is no moment.
            Some(day) if kind == DateTime && side == Side::Read && day.len() == 10 => {
                kind.literal(engine, Some(&format!("{day} 00:00:00")))
            }
            value => kind.literal(engine, value),
        }
    }

    fn create(&self, engine: Engine, side: Side, name: &str) -> String {
        let mut columns: Vec<String> = (0..self.width())
            .map(|at| {
                let own = self.kind(at).sql(engine, side);
                let read = self
                    .reads_key_as
                    .filter(|_| side == Side::Read && at < self.key.len());
                let sql_type = read.map_or(own, |of| of[usize::from(engine == Engine::Sqlite)]);
                let not_null = if at < self.key.len() { " NOT NULL" } else { "" };
                format!("c{at} {sql_type}{not_null}")
            })
            .collect();
        let key: Vec<String> = (0..self.key.len()).map(|at| format!("c{at}")).collect();
        let has_key = match self.declared {
            Declared::Both => true,
            Declared::Primary => side == Side::Primary,
            Declared::Read => side == Side::Read,
            Declared::Nowhere => false,
        };
        if side == Side::Read {
            // The other way round than in the primary, and with a number that no key collates.
            columns.reverse();
            columns.push("nr INTEGER UNIQUE".to_owned());
        }
        if has_key {
            columns.push(format!("PRIMARY KEY ({})", key.join(", ")));
        }
        format!(
            "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} ({});\n",
            columns.join(", ")
        )
    }

    /// Its source and its view in a playbook.
    pub fn yaml(&self) -> (String, String) {
        let name = self.name;
        let key: Vec<String> = (0..self.key.len()).map(|at| format!("c{at}")).collect();
        let key = key.join(", ");
        let declared = if matches!(self.declared, Declared::Read | Declared::Nowhere) {
            format!(", key: [{key}]")
        } else {
            String::new()
        };
        let source = format!("  {name}: {{ topic: compare.{name}, table: {name}{declared} }}\n");
        let columns: Vec<String> = (0..self.width())
            .map(|at| format!("c{at}: c{at}"))
            .collect();
        let view = format!(
            "  {name}:\n    table: {name}_read\n    key: [{key}]\n    from: {name}\n    columns: {{ {}, nr: \"@foreign\" }}\n",
            columns.join(", ")
        );
        (source, view)
    }

    /// An INSERT of numbered rows into the read store.
    pub fn insert(&self, rows: &[(usize, &Row)], engine: Engine) -> String {
        if rows.is_empty() {
            return String::new();
        }
        let names: Vec<String> = (0..self.width()).map(|at| format!("c{at}")).collect();
        let rows = rows
            .iter()
            .map(|(nr, row)| format!("({}, {nr})", self.cells(row, engine, Side::Read)));
        let rows = rows.collect::<Vec<_>>().join(",\n");
        format!(
            "INSERT INTO {}_read ({}, nr) VALUES {rows};\n",
            self.name,
            names.join(", ")
        )
    }

    fn cells(&self, row: &Row, engine: Engine, side: Side) -> String {
        let cells = row.iter().enumerate();
        let cells = cells.map(|(at, value)| self.literal(at, value.as_deref(), engine, side));
        cells.collect::<Vec<_>>().join(", ")
    }
}

impl Table {
    /// A table with about so many rows.
    pub fn random(shape: Shape, count: usize, rng: &mut StdRng, plain: bool) -> Table {
        let (mut rows, mut keys) = (Vec::new(), HashSet::new());
        for _ in 0..count {
            let mut row: Row = Vec::new();
            for (at, kind) in shape.kinds().enumerate() {
                let is_key = at < shape.key.len();
                let is_null = !is_key && rng.random_bool(0.15);
                // NaN of a key is a key like any other, but its row is not found by it everywhere.
                let plain = plain || is_key;
                row.push((!is_null).then(|| value::value(kind, rng, plain)));
            }
            // Of every other key of text, its like in the other case.
            if shape.key[0] == Text && rng.random_bool(0.5) {
                let mut other = row.clone();
                other[0] = other[0].as_ref().map(|text| text.to_uppercase());
                if keys.insert(shape.key_of(&other)) {
                    rows.push(other);
                }
            }
            if keys.insert(shape.key_of(&row)) {
                rows.push(row);
            }
        }
        Table { shape, rows }
    }

    /// Makes the tables of both sides anew, and fills that of the primary.
    pub fn create(&self, systems: &Systems) {
        let Shape { name, .. } = self.shape;
        let engine = systems.engine(Side::Primary);
        let rows = self.rows.iter();
        let rows = rows.map(|row| format!("({})", self.shape.cells(row, engine, Side::Primary)));
        let mut sql = self.shape.create(engine, Side::Primary, name);
        sql += &format!(
            "INSERT INTO {name} VALUES {};\n",
            rows.collect::<Vec<_>>().join(",\n")
        );
        if engine == Engine::Postgres {
            // A table that is taken for ten times as large as one range.
            sql += &format!(
                "ALTER TABLE {name} SET (autovacuum_enabled = false); ANALYZE {name}; UPDATE pg_class SET reltuples = 4e7 WHERE oid = '{name}'::regclass;"
            );
        }
        systems.sql(Side::Primary, &sql);
        let engine = systems.engine(Side::Read);
        systems.sql(
            Side::Read,
            &self
                .shape
                .create(engine, Side::Read, &format!("{name}_read")),
        );
    }

    /// Its rows with their numbers.
    pub fn numbered(&self) -> Vec<(usize, &Row)> {
        self.rows.iter().enumerate().collect()
    }
}

/// A playbook over these tables.
pub fn playbook(systems: &Systems, tables: &[Table]) {
    let (sources, views): (Vec<String>, Vec<String>) =
        tables.iter().map(|t| t.shape.yaml()).unzip();
    systems.playbook(&sources.concat(), &views.concat());
}
