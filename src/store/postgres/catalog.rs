//! What the catalog says: who the database is, a table's columns and keys, what hangs on it.

use sqlx::{AssertSqlSafe, Column as _, Executor as _, SqlSafeStr as _, Statement as _};

use super::{Catalog, Described, Identity, Obstacle, Postgres, StoreError, TableName, all, get};
use crate::projection::types::Column;
use crate::store::CatalogColumn;
use crate::store::dialect::{
    postgres as sql, postgres_catalog as questions, postgres_obstacles as obstacles,
};

/// Names offered for a mistyped one.
const NEAR_NAMES_MAX: usize = 3;

impl Postgres {
    pub(super) async fn read_identity(&self) -> Result<Identity, StoreError> {
        let rows = self
            .ask("asking who the database is", questions::IDENTITY)
            .await?;
        let row = rows
            .first()
            .ok_or_else(|| self.empty("asking who the database is"))?;
        let (system, name): (String, String) = (get(row, 0)?, get(row, 1)?);
        Ok(Identity {
            database: format!("{system}/{name}"),
            engine: format!("PostgreSQL {}", get::<i32>(row, 2)? / 10_000),
            encoding: get(row, 3)?,
        })
    }

    pub(super) async fn read_captured(&self, table: &Catalog) -> Result<bool, StoreError> {
        let act = "asking whether the table is published";
        let rows = self.ask(act, &questions::captured(table)).await?;
        rows.first().map_or(Ok(false), |row| get(row, 0))
    }

    /// The server parses the query and tells its columns; nothing runs.
    pub(super) async fn read_columns_of(&self, query: &str) -> Result<Vec<Described>, StoreError> {
        let act = "asking what the query gives";
        let fail = |e| self.fail(act, e);
        let mut connection = self.acquire().await?;
        let prepared = (&mut *connection)
            .prepare(AssertSqlSafe(query.to_owned()).into_sql_str())
            .await
            .map_err(fail)?;
        let oids = prepared
            .columns()
            .iter()
            .map(|c| c.type_info().oid().map_or(0, |oid| oid.0));
        let oids: Vec<String> = oids.map(|oid| oid.to_string()).collect();
        let kinds = all(&mut connection, &questions::type_names(&oids))
            .await
            .map_err(fail)?;
        let described = prepared.columns().iter().zip(&kinds).map(|(column, kind)| {
            Ok(Described {
                name: column.name().to_owned(),
                kind: Some(sql::column_type(&get::<String>(kind, 0)?)),
            })
        });
        described.collect()
    }

    pub(super) async fn read_volatile(
        &self,
        functions: &[String],
    ) -> Result<Vec<String>, StoreError> {
        if functions.is_empty() {
            return Ok(Vec::new());
        }
        let act = "looking up functions";
        let rows = self.ask(act, &questions::volatile(functions)).await?;
        rows.iter().map(|row| get(row, 0)).collect()
    }

    pub(super) fn empty(&self, act: &str) -> StoreError {
        StoreError::Sql {
            act: act.to_owned(),
            problem: format!("{} gave no answer", self.database),
        }
    }

    pub(super) async fn read_tables(&self) -> Result<Vec<TableName>, StoreError> {
        names(&self.ask("listing the tables", questions::TABLES).await?)
    }

    pub(super) async fn read_catalog(&self, table: &TableName) -> Result<Catalog, StoreError> {
        let act = format!("reading the catalog of {table}");
        let mut connection = self.acquire().await?;
        let fail = |e| self.fail(&act, e);
        let found = all(&mut connection, &questions::relation(table))
            .await
            .map_err(fail)?;
        let Some(relation) = found.first() else {
            let near = all(&mut connection, questions::NAMES).await.map_err(fail)?;
            return Err(self.no_table(table, names(&near)?));
        };
        let kind: String = get(relation, 3)?;
        if !matches!(kind.as_str(), "r" | "p" | "v" | "m") {
            return Err(StoreError::Refused(format!("{table} is no table or view")));
        }
        let id: i64 = get(relation, 2)?;
        let columns = all(&mut connection, &questions::columns(id))
            .await
            .map_err(fail)?;
        let found = all(&mut connection, &questions::indexes(id))
            .await
            .map_err(fail)?;
        let mut primary_key = Vec::new();
        let (mut unique_keys, mut indexes) = (Vec::new(), Vec::new());
        for row in &found {
            let columns: Vec<String> = get(row, 0)?;
            if get::<bool>(row, 1)? {
                primary_key.clone_from(&columns);
            }
            let is_unique: bool = get(row, 2)?;
            if is_unique {
                unique_keys.push(columns);
            } else {
                indexes.push(columns);
            }
        }
        let unsigned = |n: i64| u64::try_from(n).unwrap_or(0);
        Ok(Catalog {
            table: TableName {
                schema: Some(get(relation, 0)?),
                name: get(relation, 1)?,
            },
            id,
            columns: columns.iter().map(column).collect::<Result<_, _>>()?,
            primary_key,
            unique_keys,
            indexes,
            rows_estimate: get::<Option<i64>>(relation, 4)?.map(unsigned),
            bytes: unsigned(get(relation, 5)?),
        })
    }

    fn no_table(&self, wanted: &TableName, names: Vec<TableName>) -> StoreError {
        let mut near: Vec<(usize, String)> = names
            .into_iter()
            .map(|n| {
                (
                    distance(&n.name.to_lowercase(), &wanted.name.to_lowercase()),
                    n.to_string(),
                )
            })
            .filter(|(distance, _)| *distance <= 1 + wanted.name.chars().count() / 4)
            .collect();
        near.sort();
        let near: Vec<String> = near
            .into_iter()
            .take(NEAR_NAMES_MAX)
            .map(|(_, n)| n)
            .collect();
        StoreError::NoTable {
            table: wanted.to_string(),
            database: self.database.clone(),
            hint: if near.is_empty() {
                String::new()
            } else {
                format!("; did you mean {}?", near.join(" or "))
            },
        }
    }

    pub(super) async fn read_obstacles(
        &self,
        table: &Catalog,
    ) -> Result<Vec<Obstacle>, StoreError> {
        let act = format!("looking for what hangs on {}", table.table);
        let rows = self
            .ask(&act, &obstacles::obstacles(table.id, self.version))
            .await?;
        rows.iter().map(obstacle).collect()
    }
}

pub(super) fn obstacle(row: &sqlx::postgres::PgRow) -> Result<Obstacle, StoreError> {
    Ok(Obstacle {
        what: get(row, 0)?,
        name: get(row, 1)?,
    })
}

/// Schema and name, row by row.
fn names(rows: &[sqlx::postgres::PgRow]) -> Result<Vec<TableName>, StoreError> {
    let name = |row| {
        Ok(TableName {
            schema: Some(get(row, 0)?),
            name: get(row, 1)?,
        })
    };
    rows.iter().map(name).collect()
}

fn column(row: &sqlx::postgres::PgRow) -> Result<CatalogColumn, StoreError> {
    let base: String = get(row, 1)?;
    Ok(CatalogColumn {
        column: Column {
            name: get(row, 0)?,
            kind: sql::column_type(&base),
            nullable: get(row, 3)?,
        },
        sql_type: get(row, 2)?,
        has_default: get(row, 4)?,
        generated: get(row, 5)?,
        is_list: get(row, 6)?,
    })
}

/// Letters to change, add or drop.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = corner + usize::from(x != *y);
            corner = row[j + 1];
            row[j + 1] = change.min(corner + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn near_names() {
        assert_eq!(distance("acounts", "accounts"), 1);
        assert_eq!(distance("orders", "order"), 1);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("same", "same"), 0);
    }
}
