//! Tables as SQLite's schema has them.

use std::collections::{BTreeMap, HashSet};
use std::fs;

use sqlx::{
    AssertSqlSafe, Column as _, Executor as _, SqlSafeStr as _, SqliteConnection, Statement as _,
};

use crate::projection::types::Column;
use crate::store::dialect::sqlite::{Bind, TABLES, quoted};
use crate::store::{Catalog, CatalogColumn, Described, Identity, Obstacle, StoreError, TableName};

use super::error::{Doing, failed};
use super::{Sqlite, fetch, int, value, words};

/// Files up to this size are small enough to count a table's rows.
const COUNTED_BYTES_MAX: u64 = 32 << 20;

/// Files up to this size are small enough to walk a table's pages for its size.
const MEASURED_BYTES_MAX: u64 = 256 << 20;

/// The shortest row that a table can hold, for a bound on how many there are.
const ROW_BYTES_MIN: u64 = 4;

/// How a table is made, beyond its columns.
#[derive(Debug)]
pub(super) struct Kind {
    /// Its name as the schema spells it.
    pub(super) name: String,
    /// `table`, `view`, `virtual` or `shadow`.
    pub(super) what: String,
    /// Its identity: a hash of the SQL that made it.
    pub(super) id: i64,
    /// `STRICT`.
    pub(super) strict: bool,
    without_rowid: bool,
}

pub(super) async fn identity(store: &Sqlite) -> Result<Identity, StoreError> {
    let doing = store.file.doing("", "reading the encoding");
    let mut session = store.reader().await?;
    let rows = fetch(&mut session, "PRAGMA encoding", Vec::new())
        .await
        .map_err(|e| failed(doing, &e))?;
    Ok(Identity {
        database: store.file.path.display().to_string(),
        engine: "SQLite 3".to_owned(),
        encoding: rows.first().map(|r| words(r, 0)).unwrap_or_default(),
    })
}

pub(super) async fn tables(store: &Sqlite) -> Result<Vec<TableName>, StoreError> {
    let doing = store.file.doing("", "listing the tables");
    let mut session = store.reader().await?;
    let rows = fetch(&mut session, TABLES, Vec::new()).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    let name = |row| TableName {
        schema: None,
        name: words(row, 0),
    };
    Ok(rows.iter().map(name).collect())
}

/// SQLite knows the names that a query gives, and its types only once it has run.
pub(super) async fn columns_of(store: &Sqlite, query: &str) -> Result<Vec<Described>, StoreError> {
    let doing = store.file.doing("", "asking what the query gives");
    let mut session = store.reader().await?;
    let prepared = (&mut session)
        .prepare(AssertSqlSafe(query.to_owned()).into_sql_str())
        .await
        .map_err(|e| failed(doing, &e))?;
    let described = prepared.columns().iter().map(|column| Described {
        name: column.name().to_owned(),
        kind: None,
    });
    Ok(described.collect())
}

pub(super) async fn catalog(store: &Sqlite, table: &TableName) -> Result<Catalog, StoreError> {
    let shown = table.to_string();
    let doing = store.file.doing(&shown, "reading the catalog");
    let mut session = store.reader().await?;
    let kind = kind(&mut session, doing, table).await?;
    let (columns, mut primary) = columns(&mut session, doing, &kind).await?;
    primary.sort_unstable();
    let primary_key: Vec<String> = primary.into_iter().map(|(_, name)| name).collect();
    let mut unique_keys = unique(&mut session, doing, &kind).await?;
    if !primary_key.is_empty() && !unique_keys.contains(&primary_key) {
        unique_keys.insert(0, primary_key.clone());
    }
    let file_bytes = fs::metadata(&store.file.path).map_or(0, |m| m.len());
    Ok(Catalog {
        rows_estimate: estimate(&mut session, doing, &kind, file_bytes).await?,
        bytes: bytes(&mut session, &kind, file_bytes).await,
        table: TableName {
            schema: None,
            name: kind.name,
        },
        id: kind.id,
        columns,
        primary_key,
        unique_keys,
        // A query that lacks an index makes one for itself.
        indexes: Vec::new(),
    })
}

/// What the schema says of a table or view.
pub(super) async fn kind(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    table: &TableName,
) -> Result<Kind, StoreError> {
    if let Some(schema) = table.schema.as_deref().filter(|s| *s != "main") {
        return Err(StoreError::Refused(format!(
            "{table}: a SQLite file has one schema, main; there is no {schema}"
        )));
    }
    let sql = "SELECT l.name, l.type, coalesce(s.sql, ''), l.strict, l.wr \
               FROM pragma_table_list AS l LEFT JOIN main.sqlite_schema AS s ON s.name = l.name \
               WHERE l.schema = 'main' AND l.name = ? COLLATE NOCASE";
    let binds = vec![Bind::Text(table.name.clone())];
    let rows = fetch(session, sql, binds).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    let Some(row) = rows.first() else {
        return Err(StoreError::NoTable {
            table: table.to_string(),
            database: doing.database.to_owned(),
            hint: near(session, doing, &table.name).await?,
        });
    };
    Ok(Kind {
        name: words(row, 0),
        what: words(row, 1),
        id: fingerprint(&words(row, 2)),
        strict: int(row, 3) == 1,
        without_rowid: int(row, 4) == 1,
    })
}

/// FNV-1a, 64 bits. A table's root page would change with every VACUUM.
fn fingerprint(sql: &str) -> i64 {
    let hash = sql.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    i64::from_ne_bytes(hash.to_ne_bytes())
}

async fn near(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    wanted: &str,
) -> Result<String, StoreError> {
    let sql = "SELECT name FROM main.sqlite_schema WHERE type IN ('table', 'view') \
               AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'trueup\\_%' ESCAPE '\\'";
    let rows = fetch(session, sql, Vec::new())
        .await
        .map_err(|e| failed(doing, &e))?;
    let wanted = wanted.to_lowercase();
    let mut found: Vec<(usize, String)> = rows
        .iter()
        .map(|row| words(row, 0))
        .map(|name| (distance(&name.to_lowercase(), &wanted), name))
        .filter(|(distance, name)| {
            *distance <= 2 || name.to_lowercase().contains(&wanted) || wanted.contains(name)
        })
        .collect();
    found.sort();
    let names: Vec<String> = found.into_iter().take(3).map(|(_, name)| name).collect();
    Ok(if names.is_empty() {
        String::new()
    } else {
        format!("; did you mean {}?", names.join(" or "))
    })
}

/// Letters to insert, remove or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = before + usize::from(x != *y);
            before = row[j + 1];
            row[j + 1] = cost.min(row[j] + 1).min(before + 1);
        }
    }
    row[b.len()]
}

type Primary = Vec<(i64, String)>;

async fn columns(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    kind: &Kind,
) -> Result<(Vec<CatalogColumn>, Primary), StoreError> {
    let sql = "SELECT name, type, \"notnull\", dflt_value IS NOT NULL, pk, hidden FROM pragma_table_xinfo(?, 'main')";
    let name = || vec![Bind::Text(kind.name.clone())];
    let rows = fetch(session, sql, name()).await;
    let rows = rows.map_err(|e| failed(doing, &e))?;
    let sql = "SELECT count(*) FROM pragma_index_list(?, 'main') WHERE origin = 'pk'";
    let indexed = fetch(session, sql, name())
        .await
        .map_err(|e| failed(doing, &e))?;
    let pk_index = indexed.first().is_some_and(|r| int(r, 0) > 0);
    let keyed = rows.iter().filter(|r| int(r, 4) > 0).count();
    let (mut columns, mut primary) = (Vec::new(), Vec::new());
    for row in &rows {
        let (name, declared) = (words(row, 0), words(row, 1));
        let (place, hidden) = (int(row, 4), int(row, 5));
        if hidden == 1 {
            continue; // A virtual table's own.
        }
        if place > 0 {
            primary.push((place, name.clone()));
        }
        // The row number under a name, which SQLite fills and never leaves NULL: the only primary key without an index.
        let rowid = place > 0
            && keyed == 1
            && !kind.without_rowid
            && !pk_index
            && declared.eq_ignore_ascii_case("INTEGER");
        let not_null = int(row, 2) == 1 || rowid || (place > 0 && kind.without_rowid);
        columns.push(CatalogColumn {
            column: Column {
                kind: value::kind(&declared),
                nullable: !not_null,
                name,
            },
            sql_type: declared,
            has_default: int(row, 3) == 1 || rowid,
            generated: hidden > 1,
            is_list: false,
        });
    }
    Ok((columns, primary))
}

async fn unique(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    kind: &Kind,
) -> Result<Vec<Vec<String>>, StoreError> {
    let sql = "SELECT l.seq, i.name FROM pragma_index_list(?, 'main') AS l, pragma_index_info(l.name, 'main') AS i \
               WHERE l.\"unique\" = 1 AND l.partial = 0 ORDER BY l.seq DESC, i.seqno";
    let binds = vec![Bind::Text(kind.name.clone())];
    let rows = fetch(session, sql, binds).await;
    let mut keys: BTreeMap<i64, Vec<String>> = BTreeMap::new();
    for row in &rows.map_err(|e| failed(doing, &e))? {
        keys.entry(-int(row, 0)).or_default().push(words(row, 1));
    }
    // An expression has no name; such an index is no key of columns.
    Ok(keys
        .into_values()
        .filter(|key| key.iter().all(|c| !c.is_empty()))
        .collect())
}

/// Counted when the file is small; else by ANALYZE; else by the span of row numbers.
async fn estimate(
    session: &mut SqliteConnection,
    doing: Doing<'_>,
    kind: &Kind,
    file_bytes: u64,
) -> Result<Option<u64>, StoreError> {
    let first = async |session: &mut SqliteConnection, sql: &str, binds: Vec<Bind>| {
        let rows = fetch(session, sql, binds).await;
        rows.map_err(|e| failed(doing, &e))
            .map(|rows| rows.into_iter().next())
    };
    let table = format!("main.{}", quoted(&kind.name));
    let whole = |i: i64| u64::try_from(i).ok();
    if file_bytes <= COUNTED_BYTES_MAX && kind.what == "table" {
        let sql = format!("SELECT count(*) FROM {table}");
        let row = first(session, &sql, Vec::new()).await?;
        return Ok(row.and_then(|r| whole(int(&r, 0))));
    }
    let known = "SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_stat1'";
    if first(session, known, Vec::new()).await?.is_some() {
        let sql = "SELECT max(CAST(stat AS INTEGER)) FROM main.sqlite_stat1 WHERE tbl = ? HAVING count(*) > 0";
        let binds = vec![Bind::Text(kind.name.clone())];
        if let Some(row) = first(session, sql, binds).await? {
            return Ok(whole(int(&row, 0)));
        }
    }
    if kind.what != "table" || kind.without_rowid {
        return Ok(None);
    }
    // Two looks at the ends of the tree; together in one SELECT they would read all of it.
    let sql = format!(
        "SELECT coalesce((SELECT max(rowid) FROM {table}) - (SELECT min(rowid) FROM {table}) + 1, 0)"
    );
    let row = first(session, &sql, Vec::new()).await?;
    let span = row.and_then(|r| whole(int(&r, 0)));
    Ok(span.map(|s| s.min(file_bytes / ROW_BYTES_MIN)))
}

async fn bytes(session: &mut SqliteConnection, kind: &Kind, file_bytes: u64) -> u64 {
    if kind.what != "table" {
        return 0;
    }
    if file_bytes > MEASURED_BYTES_MAX {
        return file_bytes; // An upper bound that costs nothing.
    }
    let sql = "SELECT sum(pgsize) FROM dbstat WHERE aggregate = TRUE AND name IN \
               (SELECT name FROM main.sqlite_schema WHERE tbl_name = ? AND rootpage > 0)";
    let found = fetch(session, sql, vec![Bind::Text(kind.name.clone())]).await;
    let size = found.ok().and_then(|rows| rows.first().map(|r| int(r, 0)));
    size.and_then(|s| u64::try_from(s).ok()).unwrap_or(0)
}

/// Contents are exchanged in place, so that what hangs on the table stays. In the way is only what would act on the
/// exchange itself: triggers, and foreign keys that delete or change rows of other tables.
pub(super) async fn obstacles(
    store: &Sqlite,
    table: &Catalog,
) -> Result<Vec<Obstacle>, StoreError> {
    let shown = table.table.to_string();
    let doing = store.file.doing(&shown, "reading what hangs on the table");
    let mut session = store.reader().await?;
    let kind = kind(&mut session, doing, &table.table).await?;
    let mut found = Vec::new();
    let mut add = |what: &str, name: String| {
        found.push(Obstacle {
            what: what.to_owned(),
            name,
        });
    };
    if kind.what != "table" {
        let what = match kind.what.as_str() {
            "view" => "view",
            _ => "virtual table",
        };
        add(what, kind.name.clone());
    }
    if fs::metadata(&store.file.path).is_ok_and(|m| m.permissions().readonly()) {
        add("read-only file", store.file.path.display().to_string());
    }
    let sql = "SELECT name FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY name";
    let name = || vec![Bind::Text(kind.name.clone())];
    let rows = fetch(&mut session, sql, name()).await;
    for row in &rows.map_err(|e| failed(doing, &e))? {
        add("trigger", words(row, 0));
    }
    let sql = "SELECT s.name, f.\"from\", coalesce(f.\"to\", ''), f.on_delete, f.on_update \
               FROM main.sqlite_schema AS s, pragma_foreign_key_list(s.name, 'main') AS f \
               WHERE s.type = 'table' AND f.\"table\" = ? COLLATE NOCASE ORDER BY s.name, f.id, f.seq";
    let rows = fetch(&mut session, sql, name()).await;
    let key: HashSet<&String> = table.primary_key.iter().collect();
    for row in &rows.map_err(|e| failed(doing, &e))? {
        let (to, on_delete, on_update) = (words(row, 2), words(row, 3), words(row, 4));
        let acts = |action: &str| matches!(action, "CASCADE" | "SET NULL" | "SET DEFAULT");
        // Keys are never updated in place.
        let updated = acts(&on_update) && !to.is_empty() && !key.contains(&to);
        if acts(&on_delete) || updated {
            let (event, action) = if acts(&on_delete) {
                ("DELETE", on_delete)
            } else {
                ("UPDATE", on_update)
            };
            let (child, from) = (words(row, 0), words(row, 1));
            add(
                "foreign key",
                format!("{child}({from}) ON {event} {action}"),
            );
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_apart() {
        assert_eq!(distance("accounts", "acounts"), 1);
        assert_eq!(distance("", "ab"), 2);
        assert_eq!(distance("same", "same"), 0);
    }
}
