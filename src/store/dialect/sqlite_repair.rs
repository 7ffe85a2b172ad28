//! SQLite: repairs of rows as SQL.

use crate::store::{Output, Relation, Scan, Target};

use super::sqlite::{Bind, Statement, names, quoted, table};

/// Triggers of a table or view: name and text.
pub const TRIGGERS: &str = "SELECT name, sql FROM main.sqlite_schema \
     WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name";

/// Foreign keys that refer to a table, a row for each column: table, number, what a delete and an update do, column.
pub const REFERRING: &str = "SELECT s.name, CAST(f.id AS TEXT), f.on_delete, f.on_update, f.\"to\" \
     FROM main.sqlite_schema AS s, pragma_foreign_key_list(s.name, 'main') AS f \
     WHERE s.type = 'table' AND f.\"table\" = ? COLLATE NOCASE ORDER BY s.name, f.id, f.seq";

/// Tables that a table's own foreign keys refer to.
pub const REFERRED: &str =
    "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?, 'main') ORDER BY 1";

/// The rows that repairs may touch: the columns of an image, and behind them the key's.
#[must_use]
pub fn rows(target: &Target) -> Scan {
    let stored = target.stored_columns().map(|c| &c.column);
    let output = |column: &_| Output {
        column: Clone::clone(column),
        cast: None,
    };
    let outputs: Vec<Output> = stored.chain(target.key_columns()).map(output).collect();
    Scan {
        relation: Relation::Table(target.table.table.clone()),
        key: (outputs.len() - target.key.len()..outputs.len()).collect(),
        outputs,
        filter: Vec::new(),
        scope: target.scope.clone(),
        from: None,
        to: None,
    }
}

/// Deletes the row of a key, given as it is stored.
#[must_use]
pub fn delete(target: &Target, key: &[Bind]) -> Statement {
    let mut binds = Vec::with_capacity(2 * key.len());
    let text = format!(
        "DELETE FROM {} WHERE {}",
        table(&target.table.table),
        of_key(target, key, &mut binds)
    );
    Statement { text, binds }
}

/// Sets columns of the row of a key, given as it is stored. The words of the table for conflicts do not count: they may
/// say that another row is to go.
#[must_use]
pub fn update(target: &Target, key: &[Bind], set: Vec<(&str, Bind)>) -> Statement {
    let columns = set.iter().map(|(name, _)| format!("{} = ?", quoted(name)));
    let columns: Vec<String> = columns.collect();
    let mut binds: Vec<Bind> = set.into_iter().map(|(_, bind)| bind).collect();
    let text = format!(
        "UPDATE OR ABORT {} SET {} WHERE {}",
        table(&target.table.table),
        columns.join(", "),
        of_key(target, key, &mut binds)
    );
    Statement { text, binds }
}

/// Inserts a row.
#[must_use]
pub fn insert(target: &Target, set: Vec<(&str, Bind)>) -> Statement {
    let text = format!(
        "INSERT OR ABORT INTO {} ({}) VALUES ({})",
        table(&target.table.table),
        names("", set.iter().map(|(name, _)| *name)),
        vec!["?"; set.len()].join(", ")
    );
    let binds = set.into_iter().map(|(_, bind)| bind).collect();
    Statement { text, binds }
}

/// The row of a key within the scope. Each column is compared twice: as it is for the sake of its index, and by its bytes.
fn of_key(target: &Target, key: &[Bind], binds: &mut Vec<Bind>) -> String {
    let mut all = Vec::with_capacity(key.len() + 1);
    for (column, bind) in target.key_columns().zip(key) {
        all.push(format!(
            "{0} = ? AND {0} COLLATE BINARY = ?",
            quoted(&column.name)
        ));
        binds.extend([bind.clone(), bind.clone()]);
    }
    if let Some(scope) = &target.scope {
        all.push(format!("({scope}\n)")); // A comment at its end must not hide the bracket.
    }
    all.join(" AND ")
}

#[cfg(test)]
mod tests {
    use super::super::sqlite::lookup;
    use super::*;
    use crate::projection::cell::Cell;
    use crate::projection::change::Key;
    use crate::projection::types::{Column, ColumnType};
    use crate::store::{Catalog, CatalogColumn, TableName};

    #[test]
    fn repairs_as_sql() {
        let column = |name: &str, kind, generated| CatalogColumn {
            column: Column {
                name: name.to_owned(),
                kind,
                nullable: true,
            },
            sql_type: String::new(),
            has_default: false,
            generated,
            is_list: false,
        };
        let columns = vec![
            column("te`nant", ColumnType::TEXT, false),
            column("shout", ColumnType::TEXT, true),
            column("id", ColumnType::INT64, false),
            column("v", ColumnType::TEXT, false),
        ];
        let target = Target {
            run: "r".to_owned(),
            columns: [2, 0, 3]
                .map(|at: usize| columns[at].column.clone())
                .to_vec(),
            key: vec![0, 1],
            table: Catalog {
                table: TableName {
                    schema: None,
                    name: "accounts".to_owned(),
                },
                id: 0,
                columns,
                primary_key: Vec::new(),
                unique_keys: Vec::new(),
                indexes: Vec::new(),
                rows_estimate: None,
                bytes: 0,
            },
            fill: Vec::new(),
            scope: Some("te = 5 -- ours".to_owned()),
            reverts: None,
        };
        let text = |t: &str| Bind::Text(t.to_owned());
        let stored = [Bind::Int(7), text("a")];
        let wanted = [Key(vec![Cell::Int(7), Cell::Text("a".into())])];
        let found = lookup(&rows(&target), &wanted).expect("sorted");
        let all = [
            found.expect("a key that can be held"),
            delete(&target, &stored),
            update(&target, &stored, vec![("v", text("new"))]),
            insert(&target, vec![("id", Bind::Int(7)), ("te`nant", text("a"))]),
        ];
        for statement in &all {
            assert_eq!(statement.text.matches('?').count(), statement.binds.len());
        }
        let texts: Vec<&str> = all.iter().map(|s| s.text.as_str()).collect();
        insta::assert_snapshot!(texts.join("\n"), @"
        SELECT `te``nant`, `id`, `v`, `id`, `te``nant` FROM `main`.`accounts` WHERE (te = 5 -- ours
        ) AND (`id`, `te``nant` COLLATE BINARY) IN (VALUES (?,?)) ORDER BY `id`, `te``nant` COLLATE BINARY
        DELETE FROM `main`.`accounts` WHERE `id` = ? AND `id` COLLATE BINARY = ? AND `te``nant` = ? AND `te``nant` COLLATE BINARY = ? AND (te = 5 -- ours
        )
        UPDATE OR ABORT `main`.`accounts` SET `v` = ? WHERE `id` = ? AND `id` COLLATE BINARY = ? AND `te``nant` = ? AND `te``nant` COLLATE BINARY = ? AND (te = 5 -- ours
        )
        INSERT OR ABORT INTO `main`.`accounts` (`id`, `te``nant`) VALUES (?, ?)
        ");
    }
}
