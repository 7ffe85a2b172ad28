//! The statements of a catch-up that every database writes alike, but for its quotes.

use crate::store::TableName;

/// How a database quotes.
#[derive(Clone, Copy)]
pub struct Quotes {
    /// A name.
    pub name: fn(&str) -> String,
    /// A table.
    pub table: fn(&TableName) -> String,
}

impl Quotes {
    fn list(self, names: &[&str]) -> String {
        let quoted: Vec<String> = names.iter().map(|n| (self.name)(n)).collect();
        quoted.join(", ")
    }

    /// What all of these SELECTs give, each row once, their columns named so; without rows that have a NULL among `filled`.
    #[must_use]
    pub fn each_once(self, selects: &[String], names: &[&str], filled: &[&str]) -> String {
        let list = self.list(names);
        let place = |nth: usize| (self.name)(&format!("trueup_{nth}"));
        let each = |(nth, select): (usize, &String)| {
            // A comment at its end must not swallow the bracket.
            format!("{} ({list}) AS ({select}\n)", place(nth))
        };
        let with: Vec<String> = selects.iter().enumerate().map(each).collect();
        let filled = filled.iter().enumerate().map(|(nth, name)| {
            let word = if nth > 0 { "AND" } else { "WHERE" };
            format!(" {word} {} IS NOT NULL", (self.name)(name))
        });
        let filled: String = filled.collect();
        let all: Vec<String> = (0..selects.len())
            .map(|nth| format!("SELECT {list} FROM {}{filled}", place(nth)))
            .collect();
        let once = match all.as_slice() {
            [one] => one.replacen("SELECT", "SELECT DISTINCT", 1),
            _ => all.join(" UNION "),
        };
        format!("WITH {} {once}", with.join(", "))
    }

    /// One column of a table.
    #[must_use]
    pub fn column_of(self, from: &TableName, column: &str) -> String {
        format!("SELECT {} FROM {}", (self.name)(column), (self.table)(from))
    }

    /// The keys of so many rows of a table, any of them.
    #[must_use]
    pub fn any_keys(self, from: &TableName, key: &[&str], rows: usize) -> String {
        format!(
            "SELECT {} FROM {} ORDER BY random() LIMIT {rows}",
            self.list(key),
            (self.table)(from)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::{postgres, sqlite};
    use super::*;

    #[test]
    fn selects_of_keys() {
        let postgres = Quotes {
            name: postgres::quoted,
            table: postgres::table,
        };
        let sqlite = Quotes {
            name: sqlite::quoted,
            table: sqlite::table,
        };
        let name = TableName {
            schema: None,
            name: "t".to_owned(),
        };
        let selects = [postgres.column_of(&name, "a"), "SELECT 2 -- two".to_owned()];
        insta::assert_snapshot!(postgres.each_once(&selects, &["k"], &[]), @r#"
WITH "trueup_0" ("k") AS (SELECT "a" FROM "t"
), "trueup_1" ("k") AS (SELECT 2 -- two
) SELECT "k" FROM "trueup_0" UNION SELECT "k" FROM "trueup_1"
"#);
        insta::assert_snapshot!(sqlite.each_once(&selects[1..], &["k", "l"], &["k", "l"]), @"
WITH `trueup_0` (`k`, `l`) AS (SELECT 2 -- two
) SELECT DISTINCT `k`, `l` FROM `trueup_0` WHERE `k` IS NOT NULL AND `l` IS NOT NULL
");
        insta::assert_snapshot!(sqlite.any_keys(&name, &["k", "l"], 3), @"SELECT `k`, `l` FROM `main`.`t` ORDER BY random() LIMIT 3");
    }
}
