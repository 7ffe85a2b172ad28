//! What makes the shadow the live table's twin: storage parameters, indexes and their constraints, owner, grants.

use super::postgres::{quoted, string, table};
use super::postgres_load::{assigned, key_names, shadow_schema, shadow_table};
use crate::store::{Shadow, TableName};

/// Whether the shadow is built.
#[must_use]
pub fn is_built(run: &str) -> String {
    format!("SELECT built FROM trueup.run WHERE id = {}", string(run))
}

/// Remembers that the shadow is built.
#[must_use]
pub fn mark_built(run: &str) -> String {
    format!(
        "UPDATE trueup.run SET built = TRUE WHERE id = {}",
        string(run)
    )
}

/// The live table's owner must be able to look into the schema of its twin, and to have a table there.
#[must_use]
pub fn change_owner(twin: &TableName, owner: &str) -> String {
    format!(
        "GRANT USAGE, CREATE ON SCHEMA {} TO {owner}; ALTER TABLE {} OWNER TO {owner}",
        schema_of(twin),
        table(twin),
        owner = quoted(owner)
    )
}

fn schema_of(twin: &TableName) -> String {
    quoted(twin.schema.as_deref().unwrap_or_default())
}

/// Storage parameters of a table, those of its TOAST table as `toast.…`, in their order.
#[must_use]
pub fn options(oid: i64) -> String {
    format!(
        "SELECT o.prefix || split_part(o.option, '=', 1), substr(o.option, strpos(o.option, '=') + 1) FROM (\
         SELECT 1 AS part, '' AS prefix, u.option, u.place FROM pg_class c CROSS JOIN unnest(c.reloptions) WITH ORDINALITY AS u (option, place) WHERE c.oid = {oid} \
         UNION ALL SELECT 2, 'toast.', u.option, u.place FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid \
         CROSS JOIN unnest(t.reloptions) WITH ORDINALITY AS u (option, place) WHERE c.oid = {oid}) AS o ORDER BY part, place"
    )
}

/// An index of the live table, and the constraint that it serves.
#[derive(Clone, Debug, Default)]
pub struct Index {
    /// Its name.
    pub name: String,
    /// `pg_get_indexdef`.
    pub definition: String,
    /// What that text starts with, up to the table's name.
    pub start: String,
    /// Its comment.
    pub comment: Option<String>,
    /// Name of its constraint, kind (`p`, `u`, `x`), `pg_get_constraintdef`, comment.
    pub constraint: Option<(String, String, String, Option<String>)>,
    /// Its storage parameters, `name=value`.
    pub options: Vec<String>,
    /// Whether the constraint may be deferred, and is by default.
    pub deferrable: (bool, bool),
    /// Its tablespace; empty is the database's own.
    pub tablespace: String,
}

/// Indexes in the order of their creation.
#[must_use]
pub fn indexes(oid: i64) -> String {
    format!(
        "SELECT x.relname::text, pg_get_indexdef(x.oid), format('CREATE %sINDEX %I ON %I.%I ', CASE WHEN i.indisunique THEN 'UNIQUE ' ELSE '' END, \
         x.relname, n.nspname, t.relname), obj_description(x.oid, 'pg_class'), k.conname::text, k.contype::text, pg_get_constraintdef(k.oid), \
         obj_description(k.oid, 'pg_constraint'), coalesce(x.reloptions, '{{}}'), coalesce(k.condeferrable, FALSE), coalesce(k.condeferred, FALSE), \
         coalesce((SELECT spcname::text FROM pg_tablespace s WHERE s.oid = x.reltablespace), '') FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace \
         LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x') \
         WHERE i.indrelid = {oid} ORDER BY i.indexrelid"
    )
}

/// The statements that give the shadow this index; `Err` when its text is not of the known form.
///
/// # Errors
/// Names the index.
pub fn create_index(shadow: &Shadow, index: &Index) -> Result<Vec<String>, String> {
    let on = table(&shadow_table(shadow));
    let schema = quoted(&shadow_schema(&shadow.run));
    let mut all = vec![format!(
        "SET LOCAL default_tablespace = {}",
        string(&index.tablespace)
    )];
    let exclusion = index.constraint.as_ref().filter(|c| c.1 == "x");
    if let Some((name, _, definition, _)) = exclusion {
        all.push(format!(
            "ALTER TABLE {on} ADD CONSTRAINT {} {definition}",
            quoted(name)
        ));
        let options: Vec<(String, String)> = index
            .options
            .iter()
            .filter_map(|o| o.split_once('='))
            .map(|(n, v)| (n.to_owned(), v.to_owned()))
            .collect();
        if !options.is_empty() {
            all.push(format!(
                "ALTER INDEX {schema}.{} SET ({})",
                quoted(&index.name),
                assigned(&options)
            ));
        }
    } else {
        let rest = index.definition.strip_prefix(&index.start);
        let rest = rest.ok_or_else(|| format!("index {} has an unknown form", index.name))?;
        let unique = if index.start.starts_with("CREATE UNIQUE") {
            "UNIQUE "
        } else {
            ""
        };
        all.push(format!(
            "CREATE {unique}INDEX {} ON {on} {rest}",
            quoted(&index.name)
        ));
        if let Some((name, kind, ..)) = &index.constraint {
            let kind = if kind == "p" { "PRIMARY KEY" } else { "UNIQUE" };
            let deferred = match index.deferrable {
                (false, _) => "",
                (true, false) => " DEFERRABLE",
                (true, true) => " DEFERRABLE INITIALLY DEFERRED",
            };
            all.push(format!(
                "ALTER TABLE {on} ADD CONSTRAINT {} {kind} USING INDEX {}{deferred}",
                quoted(name),
                quoted(&index.name)
            ));
        }
    }
    if let Some(comment) = &index.comment {
        all.push(format!(
            "COMMENT ON INDEX {schema}.{} IS {}",
            quoted(&index.name),
            string(comment)
        ));
    }
    if let Some((name, _, _, Some(comment))) = &index.constraint {
        all.push(format!(
            "COMMENT ON CONSTRAINT {} ON {on} IS {}",
            quoted(name),
            string(comment)
        ));
    }
    Ok(all)
}

/// What a unique index of a table is over: its expressions, and its predicate.
#[must_use]
pub fn index_parts(oid: i64, index: &str) -> String {
    format!(
        "SELECT ARRAY(SELECT pg_get_indexdef(i.indexrelid, k, TRUE) FROM generate_series(1, i.indnkeyatts) AS k ORDER BY k), \
         pg_get_expr(i.indpred, i.indrelid) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
         WHERE i.indrelid = {oid} AND i.indisunique AND x.relname = {}",
        string(index)
    )
}

/// The keys of the shadow's rows that have one value of these expressions, a few groups of them.
#[must_use]
pub fn sharing(shadow: &Shadow, expressions: &[String], predicate: Option<&str>) -> String {
    let key: Vec<String> = key_names(shadow)
        .map(|k| format!("CAST({} AS text)", quoted(k)))
        .collect();
    let over = expressions.join(", ");
    let mut conditions: Vec<String> = expressions
        .iter()
        .map(|e| format!("({e}) IS NOT NULL"))
        .collect();
    conditions.extend(predicate.map(|p| format!("({p})")));
    format!(
        "SELECT array_to_string((array_agg(concat_ws(', ', {key}) ORDER BY {key}))[1:{KEYS_OF_GROUP}], ' and ') FROM {} WHERE {} \
         GROUP BY {over} HAVING count(*) > 1 ORDER BY 1 LIMIT {GROUPS}",
        table(&shadow_table(shadow)),
        conditions.join(" AND "),
        key = key.join(", ")
    )
}

/// Groups of keys that a message names …
const GROUPS: usize = 5;
/// … and keys of each.
const KEYS_OF_GROUP: usize = 3;

/// Owner, comment, whether there are grants, of a table.
#[must_use]
pub fn owner(oid: i64) -> String {
    format!(
        "SELECT r.rolname::text, obj_description(c.oid, 'pg_class'), c.relacl IS NOT NULL, r.rolname = current_user FROM pg_class c \
         JOIN pg_roles r ON r.oid = c.relowner WHERE c.oid = {oid}"
    )
}

/// One right on a table or column.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Column; `None` is the table.
    pub column: Option<String>,
    /// Who granted it, when that is not the owner.
    pub grantor: Option<String>,
    /// Who has it; `None` is PUBLIC.
    pub grantee: Option<String>,
    /// `SELECT` …
    pub right: String,
    /// WITH GRANT OPTION.
    pub grantable: bool,
}

/// The rights on a table and its columns, in their order.
#[must_use]
pub fn grants(oid: i64) -> String {
    format!(
        "SELECT o.column_name, g.rolname::text, e.rolname::text, o.right_name, o.grantable FROM (\
         SELECT 1 AS part, 0 AS attnum, x.place, NULL::text AS column_name, x.grantor, x.grantee, x.privilege_type AS right_name, x.is_grantable AS grantable, c.relowner \
         FROM pg_class c CROSS JOIN aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) WITH ORDINALITY AS x (grantor, grantee, privilege_type, is_grantable, place) WHERE c.oid = {oid} \
         UNION ALL SELECT 2, a.attnum, x.place, a.attname, x.grantor, x.grantee, x.privilege_type, x.is_grantable, c.relowner FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid \
         CROSS JOIN aclexplode(a.attacl) WITH ORDINALITY AS x (grantor, grantee, privilege_type, is_grantable, place) WHERE c.oid = {oid} AND NOT a.attisdropped) AS o \
         LEFT JOIN pg_roles g ON g.oid = o.grantor AND o.grantor <> o.relowner LEFT JOIN pg_roles e ON e.oid = o.grantee ORDER BY part, attnum, place"
    )
}

fn role(name: Option<&str>) -> String {
    name.map_or("PUBLIC".to_owned(), quoted)
}

/// Takes every right on the twin away, then gives those of the live table, in their order and by their grantors.
#[must_use]
pub fn replay_grants(twin: &TableName, now: &[Grant], wanted: &[Grant]) -> Vec<String> {
    let on = table(twin);
    let mut all = Vec::new();
    let mut holders: Vec<String> = now.iter().map(|g| role(g.grantee.as_deref())).collect();
    holders.sort();
    holders.dedup();
    for holder in holders {
        all.push(format!("REVOKE ALL ON {on} FROM {holder} CASCADE"));
    }
    for grant in wanted {
        let column = grant
            .column
            .as_deref()
            .map_or(String::new(), |c| format!(" ({})", quoted(c)));
        let option = if grant.grantable {
            " WITH GRANT OPTION"
        } else {
            ""
        };
        let sql = format!(
            "GRANT {}{column} ON {on} TO {}{option}",
            grant.right,
            role(grant.grantee.as_deref())
        );
        match &grant.grantor {
            None => all.push(sql),
            Some(grantor) => {
                let grantor = quoted(grantor);
                all.push(format!(
                    "GRANT USAGE ON SCHEMA {} TO {grantor}",
                    schema_of(twin)
                ));
                all.push(format!("SET LOCAL ROLE {grantor}; {sql}; RESET ROLE"));
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::postgres_load::tests::shadow;
    use super::*;

    #[test]
    fn an_index_of_a_constraint() {
        let index = Index {
            name: "accounts_pkey".to_owned(),
            definition: "CREATE UNIQUE INDEX accounts_pkey ON read.accounts USING btree (id) INCLUDE (\"Name\")".to_owned(),
            start: "CREATE UNIQUE INDEX accounts_pkey ON read.accounts ".to_owned(),
            constraint: Some(("accounts_pkey".to_owned(), "p".to_owned(), String::new(), Some("why".to_owned()))),
            deferrable: (true, false),
            ..Index::default()
        };
        insta::assert_snapshot!(create_index(&shadow(), &index).expect("known form").join(";\n"), @r#"
SET LOCAL default_tablespace = '';
CREATE UNIQUE INDEX "accounts_pkey" ON "trueup_r1"."accounts" USING btree (id) INCLUDE ("Name");
ALTER TABLE "trueup_r1"."accounts" ADD CONSTRAINT "accounts_pkey" PRIMARY KEY USING INDEX "accounts_pkey" DEFERRABLE;
COMMENT ON CONSTRAINT "accounts_pkey" ON "trueup_r1"."accounts" IS 'why'
"#);
    }

    #[test]
    fn grants_by_others() {
        let grant = |grantor: Option<&str>, grantee: Option<&str>, column: Option<&str>| Grant {
            column: column.map(str::to_owned),
            grantor: grantor.map(str::to_owned),
            grantee: grantee.map(str::to_owned),
            right: "SELECT".to_owned(),
            grantable: grantor.is_none() && grantee.is_some(),
        };
        let sql = replay_grants(
            &shadow_table(&shadow()),
            &[grant(None, Some("owner"), None)],
            &[
                grant(None, Some("alice"), None),
                grant(Some("alice"), Some("bob"), Some("Name")),
                grant(None, None, None),
            ],
        );
        insta::assert_snapshot!(sql.join(";\n"), @r#"
REVOKE ALL ON "trueup_r1"."accounts" FROM "owner" CASCADE;
GRANT SELECT ON "trueup_r1"."accounts" TO "alice" WITH GRANT OPTION;
GRANT USAGE ON SCHEMA "trueup_r1" TO "alice";
SET LOCAL ROLE "alice"; GRANT SELECT ("Name") ON "trueup_r1"."accounts" TO "bob"; RESET ROLE;
GRANT SELECT ON "trueup_r1"."accounts" TO PUBLIC
"#);
    }
}
