//! The kinds of columns: their types on either side, and whether PostgreSQL's hash is used for them.

use crate::support::pair::{Engine, Side};

/// A kind of column; the types of its two sides need not be the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Small,
    Int,
    Big,
    Wide,
    Float4,
    Float8,
    Num,
    Free,
    Flag,
    FlagInt,
    Text,
    Varchar,
    Char,
    CharText,
    Bytes,
    Date,
    DateTime,
    Time,
    Ts,
    Tz,
    Uuid,
    UuidText,
    Jsonb,
    Json,
    Ints,
    Texts,
    Nums,
    Mood,
    Span,
    Citext,
    Price,
}

impl Kind {
    /// Its type in PostgreSQL, primary and read side, then the same in SQLite.
    fn types(self) -> [&'static str; 4] {
        match self {
            Kind::Small => ["smallint", "integer", "SMALLINT", "INTEGER"],
            Kind::Int => ["integer", "bigint", "INT", "BIGINT"],
            Kind::Big => ["bigint", "bigint", "BIGINT", "BIGINT"],
            Kind::Wide => ["bigint", "numeric(20,0)", "BIGINT", "NUMERIC"],
            Kind::Float4 => ["real", "double precision", "REAL", "DOUBLE"],
            Kind::Float8 => ["double precision", "double precision", "REAL", "REAL"],
            Kind::Num => ["numeric(20,4)", "numeric", "NUMERIC(20,4)", "NUMERIC"],
            Kind::Free => ["numeric", "numeric", "NUMERIC", "DECIMAL"],
            Kind::Flag => ["boolean", "boolean", "BOOLEAN", "BOOLEAN"],
            Kind::FlagInt => ["boolean", "bigint", "BOOLEAN", "INTEGER"],
            Kind::Text => ["text", "text", "TEXT", "TEXT"],
            Kind::Varchar => [
                "varchar(60)",
                "text COLLATE folded",
                "VARCHAR(60)",
                "TEXT COLLATE NOCASE",
            ],
            Kind::Char => ["character(12)", "character(20)", "CHAR(12)", "CHAR(20)"],
            Kind::CharText => ["character(12)", "text", "CHAR(12)", "TEXT"],
            Kind::Bytes => ["bytea", "bytea", "BLOB", "BLOB"],
            Kind::Date => ["date", "date", "DATE", "DATE"],
            Kind::DateTime => ["date", "timestamp", "DATE", "DATETIME"],
            Kind::Time => ["time(3)", "time", "TIME", "TIME"],
            Kind::Ts => ["timestamp(3)", "timestamp", "TIMESTAMP", "TIMESTAMP"],
            Kind::Tz => ["timestamptz", "timestamptz", "TIMESTAMPTZ", "TIMESTAMPTZ"],
            Kind::Uuid => ["uuid", "uuid", "UUID", "UUID"],
            Kind::UuidText => ["uuid", "text", "UUID", "TEXT"],
            Kind::Jsonb => ["jsonb", "jsonb", "JSON", "JSON"],
            Kind::Json => ["json", "json", "JSON", "JSON"],
            Kind::Ints => ["integer[]", "integer[]", "INTEGER[]", "INTEGER[]"],
            Kind::Texts => ["text[]", "text[]", "TEXT[]", "TEXT[]"],
            Kind::Nums => ["numeric[]", "numeric[]", "NUMERIC[]", "NUMERIC[]"],
            Kind::Mood => ["mood", "mood", "TEXT", "TEXT"],
            Kind::Span => ["interval", "interval", "TEXT", "TEXT"],
            Kind::Citext => ["citext", "citext", "TEXT COLLATE NOCASE", "TEXT"],
            Kind::Price => ["price", "price", "NUMERIC", "NUMERIC"],
        }
    }

    /// Its type on one side.
    pub fn sql(self, engine: Engine, side: Side) -> &'static str {
        let at = usize::from(engine == Engine::Sqlite) * 2 + usize::from(side == Side::Read);
        self.types()[at]
    }

    /// Whether equal values, however they are written, have equal hashes in PostgreSQL: the merge is not needed then.
    pub fn is_hashed(self) -> bool {
        !matches!(
            self,
            Kind::Json
                | Kind::Mood
                | Kind::Span
                | Kind::Citext
                | Kind::Jsonb
                | Kind::Nums
                | Kind::Ints
                | Kind::Texts
        )
    }

    fn is_number(self) -> bool {
        matches!(
            self,
            Kind::Small
                | Kind::Int
                | Kind::Big
                | Kind::Wide
                | Kind::Float4
                | Kind::Float8
                | Kind::Num
                | Kind::Free
                | Kind::Price
                | Kind::Flag
                | Kind::FlagInt
        )
    }

    /// A value as SQL.
    pub fn literal(self, engine: Engine, value: Option<&str>) -> String {
        let Some(value) = value else {
            return "NULL".to_owned();
        };
        match engine {
            // That number without its sign is none of 64 bits.
            Engine::Sqlite if self.is_number() && value == "-9223372036854775808" => {
                "(-9223372036854775807 - 1)".to_owned()
            }
            Engine::Sqlite if self.is_number() => value.to_owned(),
            Engine::Sqlite if self == Kind::Bytes => {
                format!("X'{}'", value.trim_start_matches("\\x"))
            }
            _ => format!("'{}'", value.replace('\'', "''")),
        }
    }

    /// What is the same for equal values: how a report shows them, or near it.
    pub fn canonical(self, value: &str) -> String {
        match self {
            Kind::Char => value.trim_end_matches(' ').to_owned(),
            Kind::Float4 | Kind::Float8 => format!("{:?}", value.parse::<f64>().unwrap() + 0.0),
            Kind::Flag => if matches!(value, "1" | "t") { "t" } else { "f" }.to_owned(),
            Kind::Num | Kind::Free | Kind::Wide | Kind::Price if value.contains('.') => {
                value.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            _ => value.to_owned(),
        }
    }
}
