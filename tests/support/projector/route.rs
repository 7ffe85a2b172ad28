//! Where the records of a topic go: a read table, its columns and its key.

use serde_json::Value;

use super::event::text;

#[derive(Clone, Debug)]
pub struct Column {
    pub source: String,
    pub read: String,
    /// What the text is cast to.
    pub sql_type: String,
    pub is_key: bool,
}

/// From one topic into one table.
#[derive(Clone, Debug)]
pub struct Route {
    pub topic: String,
    pub table: String,
    pub columns: Vec<Column>,
    /// Gets the offset of the record that wrote the row.
    pub offset_column: Option<String>,
    /// Only rows whose column holds one of these values stay in the table.
    pub only: Option<(String, Vec<String>)>,
}

impl Route {
    pub fn new(topic: &str, table: &str) -> Route {
        Route {
            topic: topic.to_owned(),
            table: table.to_owned(),
            columns: Vec::new(),
            offset_column: None,
            only: None,
        }
    }

    /// What `tests/pgbench` makes, into a table like its `read.accounts`.
    pub fn accounts(topic: &str, table: &str) -> Route {
        Route::new(topic, table)
            .key("aid", "account_id", "int")
            .column("bid", "branch_id", "int")
            .column("abalance", "balance", "int")
            .column("filler", "filler", "char(84)")
    }

    pub fn key(self, source: &str, read: &str, sql_type: &str) -> Route {
        self.add(source, read, sql_type, true)
    }

    pub fn column(self, source: &str, read: &str, sql_type: &str) -> Route {
        self.add(source, read, sql_type, false)
    }

    pub fn offset_column(mut self, read: &str) -> Route {
        self.offset_column = Some(read.to_owned());
        self
    }

    pub fn only(mut self, source: &str, values: &[&str]) -> Route {
        let values = values.iter().map(|v| (*v).to_owned()).collect();
        self.only = Some((source.to_owned(), values));
        self
    }

    fn add(mut self, source: &str, read: &str, sql_type: &str, is_key: bool) -> Route {
        self.columns.push(Column {
            source: source.to_owned(),
            read: read.to_owned(),
            sql_type: sql_type.to_owned(),
            is_key,
        });
        self
    }

    /// The key columns and their places.
    pub fn keys(&self) -> impl Iterator<Item = (usize, &Column)> {
        self.columns.iter().enumerate().filter(|(_, c)| c.is_key)
    }

    /// Whether a source row belongs into the table.
    pub fn takes(&self, row: &Value) -> bool {
        self.only.as_ref().is_none_or(|(column, values)| {
            text(&row[column]).is_some_and(|value| values.contains(&value))
        })
    }

    /// One statement for any number of rows: an array for each column, the last one holds the offsets.
    pub fn upsert(&self) -> String {
        let count = self.columns.len();
        let mut names: Vec<&str> = self.columns.iter().map(|c| c.read.as_str()).collect();
        let mut arrays: Vec<String> = (1..=count).map(|n| format!("${n}::text[]")).collect();
        let mut values: Vec<String> = self
            .columns
            .iter()
            .enumerate()
            .map(|(n, c)| format!("u.c{n}::{}", c.sql_type))
            .collect();
        arrays.push(format!("${}::int8[]", count + 1));
        if let Some(column) = &self.offset_column {
            names.push(column);
            values.push(format!("u.c{count}"));
        }
        let aliases: Vec<String> = (0..=count).map(|n| format!("c{n}")).collect();
        let key: Vec<&str> = self.keys().map(|(_, c)| c.read.as_str()).collect();
        let set: Vec<String> = names
            .iter()
            .filter(|name| !key.contains(name))
            .map(|name| format!("{name} = excluded.{name}"))
            .collect();
        let action = if set.is_empty() {
            "NOTHING".to_owned()
        } else {
            format!("UPDATE SET {}", set.join(", "))
        };
        format!(
            "INSERT INTO {} ({}) SELECT {} FROM unnest({}) AS u ({}) ON CONFLICT ({}) DO {action}",
            self.table,
            names.join(", "),
            values.join(", "),
            arrays.join(", "),
            aliases.join(", "),
            key.join(", "),
        )
    }

    /// One statement for any number of keys.
    pub fn delete(&self) -> String {
        let keys: Vec<&Column> = self.keys().map(|(_, c)| c).collect();
        if let [key] = keys[..] {
            return format!(
                "DELETE FROM {} WHERE {} = ANY ($1::text[]::{}[])",
                self.table, key.read, key.sql_type
            );
        }
        let each = |form: &dyn Fn(usize) -> String, between: &str| {
            (0..keys.len()).map(form).collect::<Vec<_>>().join(between)
        };
        format!(
            "DELETE FROM {} AS t USING unnest({}) AS u ({}) WHERE {}",
            self.table,
            each(&|n| format!("${}::text[]", n + 1), ", "),
            each(&|n| format!("c{n}"), ", "),
            each(
                &|n| format!("t.{} = u.c{n}::{}", keys[n].read, keys[n].sql_type),
                " AND "
            ),
        )
    }
}
