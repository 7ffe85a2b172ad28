//! The text of a query view: of any query, exactly its tables are replaced.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use trueup::projection::query::{Dialect, NoSource, Query};

use crate::support::{seed, size};

const SOURCES: &[&str] = &[
    "orders",
    "items",
    "from",
    "Größe",
    "two words",
    "a\"b",
    "日本",
];

/// A query, and what it must become, written side by side.
struct Both {
    rng: StdRng,
    dialect: Dialect,
    text: String,
    expected: String,
    /// Common table expressions, by what they are told apart by, as far as they are seen from here.
    seen: Vec<String>,
    tables: usize,
}

impl Both {
    fn new(seed: u64, dialect: Dialect) -> Both {
        Both {
            rng: StdRng::seed_from_u64(seed),
            dialect,
            text: String::new(),
            expected: String::new(),
            seen: Vec::new(),
            tables: 0,
        }
    }

    fn one_in(&mut self, n: u32) -> bool {
        self.rng.random_range(0..n) == 0
    }

    fn any<T: Copy>(&mut self, of: &[T]) -> T {
        *of.choose(&mut self.rng).expect("something to choose from")
    }

    /// Writes the same to both, with something that means nothing on either side.
    fn put(&mut self, text: &str) {
        for part in [self.gap(), text, self.gap()] {
            self.text.push_str(part);
            self.expected.push_str(part);
        }
    }

    fn gap(&mut self) -> &'static str {
        match self.rng.random_range(0..12) {
            0 => "\n",
            1 => " /* FROM orders é 𝄞 */ ",
            2 => " -- JOIN items, 日本\n",
            3 => "\t",
            4 => "\r\n",
            5 => "  \n\n ",
            6 if self.dialect == Dialect::Postgres => "/* /* FROM orders */ ' */",
            _ => " ",
        }
    }

    fn quoted(&mut self, name: &str) -> String {
        match (self.dialect, self.rng.random_range(0..3)) {
            (Dialect::Sqlite, 0) => format!("[{name}]"),
            (Dialect::Sqlite, 1) => format!("`{name}`"),
            _ => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    /// A name in any of its spellings.
    fn spelt(&mut self, name: &str) -> String {
        let plain = matches!(name, "orders" | "items" | "日本");
        match (plain, self.rng.random_range(0..4)) {
            (true, 0) => name.to_owned(),
            (true, 1) if self.dialect == Dialect::Postgres => name.to_uppercase(),
            (true, 2) => name.to_owned(),
            _ => self.quoted(name),
        }
    }

    fn table(&mut self) {
        let name = self.any(SOURCES);
        let schema = self.any(&["", "", "public.", "\"Shop\" . "]);
        let written = format!("{schema}{}", self.spelt(name));
        self.put("");
        if schema.is_empty() && self.seen.iter().any(|seen| seen == name) {
            self.text.push_str(&written);
            self.expected.push_str(&written);
            self.alias();
            return;
        }
        self.tables += 1;
        self.text.push_str(&written);
        self.expected.push_str(&format!("<{name}>"));
        if self.one_in(2) {
            self.expected
                .push_str(&format!(" AS \"{}\"", name.replace('"', "\"\"")));
            self.put("");
        } else {
            self.alias();
        }
    }

    fn alias(&mut self) {
        let alias = self.any(&["o", "AS items", "AS \"orders\"", "AS \"ü from\""]);
        self.put(&format!(" {alias}"));
    }

    fn value(&mut self, depth: u32) {
        let plain = [
            "1",
            "o.x",
            "'FROM orders'",
            "'it''s ü, items'",
            "\"orders\".\"日本\"",
            "items",
            "lower('x')",
        ];
        let own: &[&str] = match self.dialect {
            Dialect::Postgres => &[
                "$$ FROM orders $$",
                "E'\\' FROM items'",
                "x::text",
                "$ü$ ' $ü$",
                "ARRAY[1, 2]",
            ],
            Dialect::Sqlite => &["[from].[items]", "`orders`", "x'00'", "x ->> '$.orders'"],
        };
        match self.rng.random_range(0..8) {
            0 if depth > 0 => {
                self.put("(");
                self.query(depth - 1);
                self.put(")");
            }
            1 if depth > 0 => {
                self.put("CASE WHEN EXISTS (");
                self.query(depth - 1);
                self.put(") THEN");
                self.value(depth - 1);
                self.put("END");
            }
            2 if depth > 0 => {
                self.put("count(");
                self.value(depth - 1);
                self.put(")");
            }
            3 | 4 => {
                let value = self.any(own);
                self.put(value);
            }
            _ => {
                let value = self.any(&plain);
                self.put(value);
            }
        }
    }

    fn relation(&mut self, depth: u32) {
        match self.rng.random_range(0..8) {
            0 if depth > 0 => {
                self.put("(");
                self.query(depth - 1);
                self.put(") AS orders");
            }
            1 if depth > 0 => {
                self.put("(");
                self.relation(depth - 1);
                self.put("CROSS JOIN");
                self.relation(depth - 1);
                self.put(")");
            }
            2 => self.put(match self.dialect {
                Dialect::Postgres => "generate_series(1, 2) AS items",
                Dialect::Sqlite => "json_each('[1]') AS items",
            }),
            _ => self.table(),
        }
    }

    fn select(&mut self, depth: u32) {
        self.put("SELECT");
        self.value(depth);
        if self.one_in(2) {
            let alias = self.any(&["AS orders", "AS \"from items\"", "AS ü"]);
            self.put(&format!(" {alias},"));
            self.value(depth);
        }
        self.put("FROM");
        self.relation(depth);
        for _ in 0..self.rng.random_range(0..3) {
            let join = self.any(&[",", "CROSS JOIN", "LEFT JOIN"]);
            self.put(join);
            self.relation(depth);
            if join == "LEFT JOIN" {
                self.put("ON");
                self.value(depth);
                self.put("=");
                self.value(depth);
            }
        }
        if self.one_in(3) {
            self.put("WHERE");
            self.value(depth);
            self.put("IN (");
            self.value(depth);
            self.put(")");
        }
    }

    fn query(&mut self, depth: u32) {
        let before = self.seen.len();
        if depth > 0 && self.one_in(3) {
            self.with(depth);
        }
        self.select(depth);
        if self.one_in(4) {
            self.put("UNION ALL");
            self.select(depth);
        }
        self.seen.truncate(before);
    }

    fn with(&mut self, depth: u32) {
        let recursive = self.one_in(2);
        self.put(if recursive { "WITH RECURSIVE" } else { "WITH" });
        let names: Vec<&str> = SOURCES
            .iter()
            .copied()
            .filter(|_| self.rng.random_range(0..3) == 0)
            .collect();
        let names = if names.is_empty() {
            vec!["items"]
        } else {
            names
        };
        let mutual = recursive || self.dialect == Dialect::Sqlite;
        if mutual {
            self.seen
                .extend(names.iter().map(|name| (*name).to_owned()));
        }
        for (nth, name) in names.iter().enumerate() {
            let spelt = self.spelt(name);
            self.put(&format!("{}{spelt}", if nth > 0 { "," } else { "" }));
            self.put("AS (");
            self.query(depth - 1);
            self.put(")");
            if !mutual {
                self.seen.push((*name).to_owned());
            }
        }
    }
}

fn resolve(schema: Option<&str>, name: &str) -> Result<String, NoSource> {
    assert!(
        matches!(schema, None | Some("public" | "Shop")),
        "{schema:?}"
    );
    let known = SOURCES.contains(&name).then(|| name.to_owned());
    known.ok_or(NoSource {
        what: format!("{name} is no source"),
        fix: String::new(),
    })
}

/// Whatever stands around them, the tables are replaced, all of them, and nothing else is.
#[test]
fn exactly_the_tables_are_replaced() {
    let seed = seed();
    let mut tables = 0;
    for n in 0..size(2_000, 100_000) as u64 {
        for dialect in [Dialect::Postgres, Dialect::Sqlite] {
            let mut both = Both::new(seed.wrapping_add(n), dialect);
            both.query(3);
            let Both { text, expected, .. } = &both;
            let query = Query::parse(text, dialect, None, &resolve);
            let query =
                query.unwrap_or_else(|problems| panic!("{dialect:?}\n{text}\n{problems:?}"));
            assert_eq!(
                &query.over(|name| format!("<{name}>")),
                expected,
                "{dialect:?}\n{text}"
            );
            tables += both.tables;
        }
    }
    assert!(tables > 0, "no query had a table");
}

/// A query with a piece missing is read as another query, or refused; it never ends the program, and what is read still
/// stands in the text byte for byte.
#[test]
fn a_piece_missing_is_no_disaster() {
    let seed = seed();
    let (mut read, mut refused) = (0, 0);
    for n in 0..size(2_000, 100_000) as u64 {
        let dialect = [Dialect::Postgres, Dialect::Sqlite][(n % 2) as usize];
        let mut both = Both::new(seed.wrapping_add(n), dialect);
        both.query(2);
        let places: Vec<usize> = both.text.char_indices().map(|(at, _)| at).collect();
        let (a, b) = (both.any(&places), both.any(&places));
        let text = format!("{}{}", &both.text[..a.min(b)], &both.text[a.max(b)..]);
        let any = |_: Option<&str>, name: &str| Ok(name.to_owned());
        match Query::parse(&text, dialect, None, &any) {
            Ok(query) => {
                read += 1;
                let mut rest = text.as_str();
                for kept in query.over(|_| "\0".to_owned()).split('\0').skip(1) {
                    let kept = kept.split_once(" AS \"").map_or(kept, |(before, _)| before);
                    let at = rest
                        .find(kept)
                        .unwrap_or_else(|| panic!("{text}\nlost {kept}"));
                    rest = &rest[at + kept.len()..];
                }
            }
            Err(problems) => {
                refused += 1;
                assert!(!problems.is_empty(), "{text}");
            }
        }
    }
    assert!(read > 0 && refused > 0, "{read} read, {refused} refused");
}
