//! The shop's primary with Debezium behind it, its read database, and what psql says about both.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::views::{Rule, VIEWS, View};
use crate::support::carried::Carried;
use crate::support::{Ran, command, run, text};

/// The shop as Debezium carries it, its read tables, and the playbook of all reports.
pub struct Shop {
    pub carried: Carried,
    folder: tempfile::TempDir,
}

impl Shop {
    /// A shop with so many orders, all of it in the log. The read tables are empty.
    pub fn open(name: &'static str, orders: usize, seed: u64) -> Option<Shop> {
        let shop = Shop {
            carried: Carried::new(name)?,
            folder: tempfile::tempdir().unwrap(),
        };
        shop.make_primary(orders, seed);
        shop.make_reads();
        shop.carried.carry("shop.*");
        fs::write(shop.path("playbook.yaml"), super::views::playbook(&shop)).unwrap();
        Some(shop)
    }

    fn make_primary(&self, orders: usize, seed: u64) {
        let (postgres, primary) = (&self.carried.postgres, self.carried.primary_name());
        let variables = [
            ("orders", orders.to_string()),
            ("seed", (seed >> 1).to_string()),
        ];
        postgres.file(&primary, &file("schema.sql"), &[]);
        postgres.file(&primary, &file("data.sql"), &variables);
        self.primary("CREATE SCHEMA reports");
        for view in &VIEWS {
            self.primary(&format!(
                "SET search_path = shop; CREATE VIEW reports.{} AS {}",
                view.name,
                view.query()
            ));
        }
        self.primary("ANALYZE");
        // What a session says must count, not what a database is set to.
        self.primary(&format!(
            "ALTER DATABASE {primary} SET TimeZone = 'Asia/Kathmandu'"
        ));
    }

    fn make_reads(&self) {
        let reads = self.carried.reads_name();
        self.carried
            .postgres
            .file(&reads, &file("reports.sql"), &[]);
        self.reads(&format!(
            "ALTER DATABASE {reads} SET DateStyle = 'German'; ALTER DATABASE {reads} SET IntervalStyle = 'iso_8601'"
        ));
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    #[track_caller]
    pub fn primary(&self, sql: &str) -> String {
        self.carried.primary(sql)
    }

    #[track_caller]
    pub fn reads(&self, sql: &str) -> String {
        self.carried.reads(sql)
    }

    /// A command line of the built program: `{}` in the arguments stands for the playbook.
    pub fn command(&self, args: &[&str]) -> Command {
        let playbook = text(&self.path("playbook.yaml"));
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { &playbook } else { *a })
            .collect();
        command(&args)
    }

    pub fn trueup(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// Rows of a view's table, and in what they are not those of the primary's own view.
    pub fn differing(&self, view: &View) -> (usize, Vec<String>) {
        let columns = self.reads(&format!(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'reports.{}'::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            view.name
        ));
        let columns: Vec<&str> = columns.lines().collect();
        let sql = format!(
            "SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres'; COPY (SELECT {} FROM reports.{}) TO STDOUT",
            columns.join(", "),
            view.name
        );
        let (expected, actual) = (self.primary(&sql), self.reads(&sql));
        let (expected, actual) = (
            rows(view, &columns, &expected),
            rows(view, &columns, &actual),
        );
        let mut found = Vec::new();
        for (key, row) in &expected {
            match actual.get(key) {
                None => found.push(format!("missing {key:?}")),
                Some(other) => found.extend(
                    columns
                        .iter()
                        .zip(row.iter().zip(other))
                        .filter(|(column, (one, two))| !equal(view, column, one, two))
                        .map(|(column, (one, two))| format!("{key:?} {column}: {one} but {two}")),
                ),
            }
        }
        let extra = actual.keys().filter(|k| !expected.contains_key(*k));
        found.extend(extra.map(|k| format!("extra {k:?}")));
        (expected.len(), found)
    }

    /// Every table must hold the rows of the primary's own view and no others.
    #[track_caller]
    pub fn equal(&self, what: &str) {
        let mut counts = Vec::new();
        let mut wrong = Vec::new();
        for view in &VIEWS {
            let (rows, found) = self.differing(view);
            assert!(rows > 0, "{} is empty, and proves nothing", view.name);
            counts.push(format!("{} {rows}", view.name));
            if !found.is_empty() {
                let some: Vec<&str> = found.iter().take(5).map(String::as_str).collect();
                let some = some.join("\n  ");
                wrong.push(format!("{}: {}\n  {some}", view.name, found.len()));
            }
        }
        assert!(wrong.is_empty(), "{what}:\n{}", wrong.join("\n"));
        println!("{what}: all equal, {}", counts.join(", "));
    }
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/shop")
        .join(name)
}

/// Rows as COPY prints them, by key.
#[track_caller]
fn rows<'t>(view: &View, columns: &[&str], text: &'t str) -> HashMap<Vec<&'t str>, Vec<&'t str>> {
    let mut rows = HashMap::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let key = columns
            .iter()
            .zip(&cells)
            .filter(|(column, _)| view.key.contains(column))
            .map(|(_, cell)| *cell)
            .collect();
        let twice = rows.insert(key, cells);
        assert!(twice.is_none(), "{} has a key twice: {line}", view.name);
    }
    rows
}

/// Whether two cells are alike by the column's rule.
fn equal(view: &View, column: &str, one: &str, two: &str) -> bool {
    let rule = view.rules.iter().find(|(name, _)| *name == column);
    let sorted = |text: &str, separator: &str| {
        let mut parts: Vec<String> = text.split(separator).map(str::to_owned).collect();
        parts.sort();
        parts
    };
    match rule.map(|(_, rule)| rule) {
        None => one == two,
        Some(Rule::Parts(separator)) => sorted(one, separator) == sorted(two, separator),
        Some(Rule::Elements) => {
            let inner = |text: &str| text.trim_matches(['{', '}']).to_owned();
            sorted(&inner(one), ",") == sorted(&inner(two), ",")
        }
        Some(Rule::Tolerance(share)) => match (one.parse::<f64>(), two.parse::<f64>()) {
            (Ok(a), Ok(b)) => (a - b).abs() <= share * a.abs().max(b.abs()).max(1.0),
            _ => one == two,
        },
    }
}
