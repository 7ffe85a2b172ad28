//! A table's description, for telling whether another one is its twin. It is asked with an empty search path, and the table's
//! own name is left out of it.

use super::postgres::{quoted, string, table};
use crate::store::TableName;

/// What a table is and has, as (what, whether it acts on others, how it is spelled). What acts is put on in the swap, and is
/// compared only after it.
#[must_use]
pub fn description(name: &TableName, version: i32) -> String {
    let parts = [
        itself(),
        columns(),
        constraints(),
        indexes(),
        statistics(),
        sequences(),
        attached(),
        published(version),
        dependents(),
    ];
    format!(
        "WITH t AS (SELECT c.*, c.oid AS id, c.oid::regclass::text AS name FROM pg_class c WHERE c.oid = to_regclass({})) \
         SELECT DISTINCT what, acts, spelled FROM ({}) AS d (what, acts, spelled)",
        string(&table(name)),
        parts.join(" UNION ALL ")
    )
}

fn rights(acl: &str, kind: &str, owner: &str) -> String {
    format!(
        "(SELECT string_agg(x::text, ' ' ORDER BY x::text) FROM unnest(coalesce({acl}, acldefault('{kind}', {owner}))) AS x)"
    )
}

fn itself() -> String {
    format!(
        "SELECT 'kind, place or options', FALSE, ROW(t.relkind, t.relpersistence, t.relam, t.reltablespace, t.reloptions, t.reloftype, \
         (SELECT o.reloptions FROM pg_class o WHERE o.oid = t.reltoastrelid))::text FROM t \
         UNION ALL SELECT 'owner', FALSE, t.relowner::text FROM t UNION ALL SELECT 'grants', FALSE, {} FROM t \
         UNION ALL SELECT 'comment', FALSE, coalesce(obj_description(t.id, 'pg_class'), '') FROM t \
         UNION ALL SELECT 'replica identity', FALSE, t.relreplident::text || coalesce((SELECT x.relname FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid \
         WHERE i.indrelid = t.id AND i.indisreplident), '') FROM t \
         UNION ALL SELECT 'row security', FALSE, t.relrowsecurity::text FROM t UNION ALL SELECT 'forced row security', TRUE, t.relforcerowsecurity::text FROM t",
        rights("t.relacl", "r", "t.relowner")
    )
}

/// The default of a column that is filled from its own sequence goes with the sequence.
fn columns() -> String {
    format!(
        "SELECT 'column ' || a.attname, FALSE, ROW(row_number() OVER (ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attcollation, \
         a.attgenerated, a.attidentity <> '', CASE WHEN o.own THEN NULL ELSE pg_get_expr(f.adbin, f.adrelid) END, coalesce(a.attstattarget, -1), \
         a.attoptions, a.attstorage, to_jsonb(a) ->> 'attcompression', {}, col_description(t.id, a.attnum))::text \
         FROM t JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum > 0 AND NOT a.attisdropped {FILLED} \
         UNION ALL SELECT 'default of ' || a.attname, TRUE, ROW(a.attidentity, pg_get_expr(f.adbin, f.adrelid))::text \
         FROM t JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum > 0 AND NOT a.attisdropped {FILLED}",
        rights("a.attacl", "c", "t.relowner")
    )
}

const FILLED: &str = "LEFT JOIN pg_attrdef f ON f.adrelid = a.attrelid AND f.adnum = a.attnum CROSS JOIN LATERAL (SELECT EXISTS (\
     SELECT FROM pg_depend u JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = u.refobjid AND d.refclassid = 'pg_class'::regclass AND d.deptype = 'a' \
     JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
     WHERE u.classid = 'pg_attrdef'::regclass AND u.objid = f.oid AND u.refclassid = 'pg_class'::regclass)) AS o (own)";

fn constraints() -> String {
    "SELECT 'constraint ' || k.conname, FALSE, ROW(k.contype, pg_get_constraintdef(k.oid), k.convalidated, obj_description(k.oid, 'pg_constraint'))::text \
     FROM t JOIN pg_constraint k ON k.conrelid = t.id AND k.contype NOT IN ('f', 't') \
     UNION ALL SELECT 'foreign key ' || k.conname, TRUE, ROW(k.conrelid::regclass::text, regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''), \
     obj_description(k.oid, 'pg_constraint'))::text FROM t JOIN pg_constraint k ON k.contype = 'f' AND t.id IN (k.conrelid, k.confrelid)"
        .to_owned()
}

fn indexes() -> String {
    "SELECT 'index ' || x.relname, FALSE, ROW(replace(pg_get_indexdef(x.oid), t.name || ' ', ''), i.indisvalid, i.indisclustered, x.reltablespace, x.reloptions, \
     obj_description(x.oid, 'pg_class'), (SELECT array_agg(coalesce(a.attstattarget, -1) ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = x.oid))::text \
     FROM t JOIN pg_index i ON i.indrelid = t.id JOIN pg_class x ON x.oid = i.indexrelid"
        .to_owned()
}

/// The text between the statistics' name and that of the table.
pub(super) const STATISTICS_TEXT: &str = "(SELECT substr(e.def, length(e.start) + 1, length(e.def) - length(e.start) - length(e.finish)) FROM (SELECT \
     pg_get_statisticsobjdef(x.oid) AS def, format('CREATE STATISTICS %s.%I', x.stxnamespace::regnamespace, x.stxname) AS start, \
     format(' FROM %s', x.stxrelid::regclass) AS finish) AS e)";

fn statistics() -> String {
    format!(
        "SELECT 'extended statistics ' || x.stxname, FALSE, ROW({STATISTICS_TEXT}, x.stxowner, coalesce((to_jsonb(x) ->> 'stxstattarget')::int, -1), \
         obj_description(x.oid, 'pg_statistic_ext'))::text FROM t JOIN pg_statistic_ext x ON x.stxrelid = t.id \
         UNION ALL SELECT 'schema of extended statistics ' || x.stxname, TRUE, x.stxnamespace::text FROM t JOIN pg_statistic_ext x ON x.stxrelid = t.id"
    )
}

fn sequences() -> String {
    format!(
        "SELECT 'sequence ' || s.relname, d.deptype = 'a', ROW(a.attname, d.deptype, q.seqtypid, q.seqstart, q.seqincrement, q.seqmax, q.seqmin, q.seqcache, q.seqcycle, \
         s.relpersistence, s.relowner, {}, obj_description(s.oid, 'pg_class'))::text FROM t JOIN pg_depend d ON d.classid = 'pg_class'::regclass \
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.id JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' \
         JOIN pg_sequence q ON q.seqrelid = s.oid JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum = d.refobjsubid WHERE d.deptype IN ('a', 'i')",
        rights("s.relacl", "s", "s.relowner")
    )
}

fn attached() -> String {
    "SELECT 'trigger ' || g.tgname, TRUE, ROW(pg_get_triggerdef(g.oid), g.tgenabled, obj_description(g.oid, 'pg_trigger'))::text \
     FROM t JOIN pg_trigger g ON g.tgrelid = t.id AND NOT g.tgisinternal \
     UNION ALL SELECT 'rule ' || w.rulename, TRUE, ROW(pg_get_ruledef(w.oid), w.ev_enabled, obj_description(w.oid, 'pg_rewrite'))::text \
     FROM t JOIN pg_rewrite w ON w.ev_class = t.id \
     UNION ALL SELECT 'policy ' || p.polname, TRUE, ROW(p.polcmd, p.polpermissive, p.polroles, pg_get_expr(p.polqual, p.polrelid), \
     pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy'))::text FROM t JOIN pg_policy p ON p.polrelid = t.id"
        .to_owned()
}

fn published(version: i32) -> String {
    let of = "FROM t JOIN pg_publication_rel r ON r.prrelid = t.id JOIN pg_publication b ON b.oid = r.prpubid";
    let part = if version < 150_000 {
        "''"
    } else {
        "ROW((SELECT array_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = r.prrelid AND a.attnum = ANY (r.prattrs)), \
         pg_get_expr(r.prqual, r.prrelid))::text"
    };
    format!("SELECT 'publication ' || b.pubname, TRUE, {part} {of}")
}

fn dependents() -> String {
    let of = |class: &str| {
        format!(
            "FROM t JOIN pg_depend d ON d.classid = '{class}'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.id"
        )
    };
    format!(
        "SELECT 'view ' || v.oid::regclass, TRUE, ROW(pg_get_viewdef(v.oid), v.reloptions, v.relowner, v.relacl)::text {0} \
         JOIN pg_rewrite w ON w.oid = d.objid JOIN pg_class v ON v.oid = w.ev_class AND v.relkind = 'v' \
         UNION ALL SELECT 'rule ' || w.rulename || ' of ' || w.ev_class::regclass, TRUE, ROW(pg_get_ruledef(w.oid), w.ev_enabled)::text {0} \
         JOIN pg_rewrite w ON w.oid = d.objid AND w.ev_class <> t.id \
         UNION ALL SELECT 'policy ' || p.polname || ' of ' || p.polrelid::regclass, TRUE, ROW(pg_get_expr(p.polqual, p.polrelid), \
         pg_get_expr(p.polwithcheck, p.polrelid))::text {1} JOIN pg_policy p ON p.oid = d.objid AND p.polrelid <> t.id \
         UNION ALL SELECT 'function ' || p.oid::regprocedure, TRUE, ROW(pg_get_functiondef(p.oid), p.proowner, p.proacl)::text {2} \
         JOIN pg_proc p ON p.oid = d.objid AND p.prokind IN ('f', 'p')",
        of("pg_rewrite"),
        of("pg_policy"),
        of("pg_proc")
    )
}

/// What else makes a table the live one's twin before it is swapped in, statement by statement: row security, which comes
/// before any grant; statistics; marks on indexes; sequences of identity columns. What is there already is left.
#[must_use]
pub fn likeness(live: i64, of: &TableName) -> String {
    let schema = of.schema.as_deref().unwrap_or_default();
    format!(
        "WITH t AS (SELECT c.*, c.oid AS id, {} AS new, to_regclass({}) AS new_id, {} AS home FROM pg_class c WHERE c.oid = {live}) SELECT sql FROM ({}) AS s (place, sql) ORDER BY place, sql",
        string(&table(of)),
        string(&table(of)),
        string(&quoted(schema)),
        [marks(), targets(), more_statistics(), identities()].join(" UNION ALL ")
    )
}

fn marks() -> String {
    "SELECT 10, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.new) FROM t WHERE t.relrowsecurity \
     UNION ALL SELECT 50, format('ALTER TABLE %s CLUSTER ON %I', t.new, x.relname) FROM t JOIN pg_index i ON i.indrelid = t.id AND i.indisclustered \
     JOIN pg_class x ON x.oid = i.indexrelid \
     UNION ALL SELECT 50, format('ALTER TABLE %s REPLICA IDENTITY %s', t.new, CASE t.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE \
     'USING INDEX ' || (SELECT quote_ident(x.relname) FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = t.id AND i.indisreplident) END) \
     FROM t WHERE t.relreplident <> 'd'"
        .to_owned()
}

/// A statistics target of -1 became NULL in version 17.
fn targets() -> String {
    "SELECT 20, format('ALTER TABLE %s ALTER %I SET STATISTICS %s', t.new, a.attname, a.attstattarget) FROM t JOIN pg_attribute a ON a.attrelid = t.id \
     AND a.attnum > 0 AND NOT a.attisdropped AND coalesce(a.attstattarget, -1) <> -1 \
     UNION ALL SELECT 20, format('ALTER TABLE %s ALTER %I SET (%s)', t.new, a.attname, (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), \
     substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(a.attoptions) AS o)) FROM t JOIN pg_attribute a ON a.attrelid = t.id \
     AND a.attnum > 0 AND NOT a.attisdropped AND a.attoptions IS NOT NULL \
     UNION ALL SELECT 30, format('ALTER INDEX %s.%I ALTER COLUMN %s SET STATISTICS %s', t.home, x.relname, a.attnum, a.attstattarget) FROM t \
     JOIN pg_index i ON i.indrelid = t.id JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_attribute a ON a.attrelid = x.oid AND coalesce(a.attstattarget, -1) > 0"
        .to_owned()
}

fn more_statistics() -> String {
    format!(
        "SELECT 60, format('CREATE STATISTICS %s.%I%s FROM %s', t.home, x.stxname, {STATISTICS_TEXT}, t.new) \
         || coalesce(format('; ALTER STATISTICS %s.%I SET STATISTICS ', t.home, x.stxname) || nullif(to_jsonb(x) ->> 'stxstattarget', '-1'), '') \
         || coalesce(format('; COMMENT ON STATISTICS %s.%I IS ', t.home, x.stxname) || quote_literal(obj_description(x.oid, 'pg_statistic_ext')), '') \
         || CASE WHEN pg_get_userbyid(x.stxowner) = current_user THEN '' ELSE format('; GRANT USAGE, CREATE ON SCHEMA %s TO %I; ALTER STATISTICS %1$s.%3$I OWNER TO %2$I', \
         t.home, pg_get_userbyid(x.stxowner), x.stxname) END FROM t JOIN pg_statistic_ext x ON x.stxrelid = t.id \
         WHERE NOT EXISTS (SELECT FROM pg_statistic_ext y WHERE y.stxrelid = t.new_id AND y.stxname = x.stxname)"
    )
}

/// Name, grants and comment of the sequences of identity columns; their owner is the table's.
fn identities() -> String {
    let of = "FROM t JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.id AND d.deptype = 'i' \
              JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum = d.refobjsubid \
              JOIN pg_class m ON m.oid = pg_get_serial_sequence(t.new, a.attname)::regclass";
    let holder =
        "CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END";
    let granted = "s.relacl IS NOT NULL OR m.relacl IS NOT NULL";
    format!(
        "SELECT 70, format('ALTER SEQUENCE %s RENAME TO %I', m.oid::regclass, s.relname) {of} WHERE m.relname <> s.relname \
         UNION SELECT 80, format('REVOKE ALL ON SEQUENCE %s.%I FROM %s', t.home, s.relname, {holder}) {of} \
         CROSS JOIN aclexplode(coalesce(m.relacl, acldefault('s', s.relowner))) AS x WHERE {granted} \
         UNION ALL SELECT 100 + x.place, format('GRANT %s ON SEQUENCE %s.%I TO %s%s', x.privilege_type, t.home, s.relname, {holder}, \
         CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) {of} \
         CROSS JOIN aclexplode(coalesce(s.relacl, acldefault('s', s.relowner))) WITH ORDINALITY AS x (grantor, grantee, privilege_type, is_grantable, place) WHERE {granted} \
         UNION ALL SELECT 82, format('COMMENT ON SEQUENCE %s.%I IS %L', t.home, s.relname, obj_description(s.oid, 'pg_class')) {of} \
         WHERE obj_description(s.oid, 'pg_class') IS NOT NULL"
    )
}
