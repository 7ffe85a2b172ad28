//! What hangs on a table and has to follow its name: the catalog's own texts, made into statements by the server. All of it
//! is asked with an empty search path, so that every name in it is whole.

use super::postgres::string;
use super::postgres_swap::Taking;

/// Makes every name that the server prints a whole one, and reads none but whole ones. Questions to the catalog are long and
/// give few rows: what the server would spend on better plans for them is many times what they take.
pub const WHOLE_NAMES: &str = "SET LOCAL search_path = ''; SET LOCAL jit = off; SET LOCAL join_collapse_limit = 1; SET LOCAL from_collapse_limit = 1";

/// Whatever is not a text of ours (types without a schema, functions of the user) is looked up as usual, and rows are joined.
pub const USUAL_NAMES: &str = "SET LOCAL search_path TO DEFAULT; SET LOCAL jit TO DEFAULT; \
     SET LOCAL join_collapse_limit TO DEFAULT; SET LOCAL from_collapse_limit TO DEFAULT";

/// Statements that lock everything but the tables themselves, each with the OID of what it locks, in this order: views from the outermost inwards, as readers
/// take them; whatever else is altered, with foreign-key children before parents, as the checks of a key take them. A view
/// is locked by giving it the owner that it has: LOCK TABLE would take every other table in it too.
#[must_use]
pub fn locks(takings: &[Taking]) -> String {
    let ids = ids(takings);
    let seen = "FROM pg_depend d JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.rulename = '_RETURN'";
    format!(
        "WITH RECURSIVE up (view, depth) AS (\
         SELECT w.ev_class, 1 {seen} WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN ({ids}) \
         UNION SELECT w.ev_class, u.depth + 1 FROM up u CROSS JOIN LATERAL (SELECT w.ev_class {seen} \
         WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = u.view AND w.ev_class <> u.view) AS w WHERE u.depth < 100), \
         touched (id, place) AS (SELECT view, -max(depth) FROM up GROUP BY view \
         UNION ALL SELECT w.ev_class, 1 FROM pg_depend d JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.rulename <> '_RETURN' \
         WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN ({ids}) \
         UNION ALL SELECT p.polrelid, 1 FROM pg_depend d JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid \
         WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN ({ids}) \
         UNION ALL SELECT conrelid, 2 FROM pg_constraint WHERE contype = 'f' AND confrelid IN ({ids}) \
         UNION ALL SELECT confrelid, 3 FROM pg_constraint WHERE contype = 'f' AND conrelid IN ({ids}) AND conparentid = 0) \
         SELECT CASE c.relkind WHEN 'v' THEN format('ALTER VIEW %s OWNER TO %I', c.oid::regclass, pg_get_userbyid(c.relowner)) \
         ELSE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', c.oid::regclass) END, c.oid::bigint \
         FROM (SELECT id, min(place) AS place FROM touched WHERE id NOT IN ({ids}) GROUP BY id) AS o JOIN pg_class c ON c.oid = o.id \
         WHERE c.relkind = 'v' AND pg_has_role(c.relowner, 'USAGE') \
         OR c.relkind IN ('r', 'p') AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') ORDER BY o.place, 1"
    )
}

/// Every statement of the exchange but the exchange itself, as (step, statement) in their order. Steps are `off` before it,
/// `on` after it, `after` once it is committed; `say` is no statement, but what the operator should know.
#[must_use]
pub fn carried(takings: &[Taking], version: i32) -> String {
    let rows = takings.iter().map(|t| {
        let (from, kept) = (t.from.schema.as_deref().unwrap_or_default(), t.kept());
        format!("({}::oid, {}, {})", t.id, string(from), string(&kept))
    });
    let parts = [
        keys(),
        triggers(),
        rules(),
        policies(),
        publications(version),
        sequences(),
        statistics(),
        views(),
        others(),
    ];
    format!(
        "WITH m (id, source, kept) AS (VALUES {}), t AS (SELECT m.*, c.oid::regclass::text AS name, format('%I.%I', m.source, c.relname) AS new, \
         c.relnamespace, c.relrowsecurity, c.relforcerowsecurity FROM m JOIN pg_class c ON c.oid = m.id) \
         SELECT step, sql FROM ({}) AS s (step, place, sql) ORDER BY step, place, sql",
        rows.collect::<Vec<_>>().join(", "),
        parts.join(" UNION ALL ")
    )
}

/// `; COMMENT ON … IS '…'`, or nothing.
fn comment(on: &str, oid: &str, class: &str) -> String {
    format!(
        "coalesce('; COMMENT ON ' || {on} || ' IS ' || quote_literal(obj_description({oid}, '{class}')), '')"
    )
}

/// Foreign keys both ways. They come back unchecked, or the table would be locked while every row is looked at.
fn keys() -> String {
    let of = "FROM pg_constraint k WHERE k.contype = 'f' AND k.conparentid = 0 \
              AND (k.conrelid IN (SELECT id FROM t) OR k.confrelid IN (SELECT id FROM t))";
    format!(
        "SELECT 'off', 10, format('ALTER TABLE %s DROP CONSTRAINT %I', k.conrelid::regclass, k.conname) {of} \
         UNION ALL SELECT 'on', 80, format('ALTER TABLE %s ADD CONSTRAINT %I %s%s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid), \
         CASE WHEN k.convalidated THEN ' NOT VALID' ELSE '' END) || {} {of} \
         UNION ALL SELECT 'after', 10, format('ALTER TABLE %s VALIDATE CONSTRAINT %I', k.conrelid::regclass, k.conname) {of} AND k.convalidated",
        comment(
            "format('CONSTRAINT %I ON %s', k.conname, k.conrelid::regclass)",
            "k.oid",
            "pg_constraint"
        )
    )
}

/// `; ALTER TABLE … DISABLE TRIGGER …` as it stands, or nothing.
fn enabled(state: &str, what: &str, name: &str) -> String {
    format!(
        "CASE {state} WHEN 'D' THEN format('; ALTER TABLE %s DISABLE {what} %I', t.name, {name}) \
         WHEN 'R' THEN format('; ALTER TABLE %s ENABLE REPLICA {what} %I', t.name, {name}) \
         WHEN 'A' THEN format('; ALTER TABLE %s ENABLE ALWAYS {what} %I', t.name, {name}) ELSE '' END"
    )
}

fn triggers() -> String {
    let of = "FROM t JOIN pg_trigger g ON g.tgrelid = t.id AND NOT g.tgisinternal";
    format!(
        "SELECT 'off', 20, format('DROP TRIGGER %I ON %s', g.tgname, t.name) {of} \
         UNION ALL SELECT 'on', 60, pg_get_triggerdef(g.oid) || {} || {} {of}",
        enabled("g.tgenabled", "TRIGGER", "g.tgname"),
        comment(
            "format('TRIGGER %I ON %s', g.tgname, t.name)",
            "g.oid",
            "pg_trigger"
        )
    )
}

fn rules() -> String {
    let of = "FROM t JOIN pg_rewrite w ON w.ev_class = t.id AND w.rulename <> '_RETURN'";
    format!(
        "SELECT 'off', 20, format('DROP RULE %I ON %s', w.rulename, t.name) {of} \
         UNION ALL SELECT 'on', 50, rtrim(pg_get_ruledef(w.oid), ';') || {} || {} {of}",
        enabled("w.ev_enabled", "RULE", "w.rulename"),
        comment(
            "format('RULE %I ON %s', w.rulename, t.name)",
            "w.oid",
            "pg_rewrite"
        )
    )
}

/// A table with row security and without a policy shows nothing: what is left behind, and what is not there yet, leaks
/// nothing.
fn policies() -> String {
    let of = "FROM t JOIN pg_policy p ON p.polrelid = t.id";
    format!(
        "SELECT 'on', 30, format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', t.name) FROM t WHERE t.relrowsecurity \
         UNION ALL SELECT 'on', 30, format('ALTER TABLE %s FORCE ROW LEVEL SECURITY', t.name) FROM t WHERE t.relforcerowsecurity \
         UNION ALL SELECT 'off', 20, format('DROP POLICY %I ON %s', p.polname, t.name) {of} \
         UNION ALL SELECT 'on', 40, format('CREATE POLICY %I ON %s AS %s FOR %s TO %s', p.polname, t.name, \
         CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, \
         CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END, \
         (SELECT string_agg(CASE r.id WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r.id)) END, ', ' ORDER BY r.place) \
         FROM unnest(p.polroles) WITH ORDINALITY AS r (id, place))) || {} || {} {of}",
        conditions(),
        comment(
            "format('POLICY %I ON %s', p.polname, t.name)",
            "p.oid",
            "pg_policy"
        )
    )
}

fn conditions() -> &'static str {
    "coalesce(' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')', '') || coalesce(' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')', '')"
}

fn publications(version: i32) -> String {
    let of = "FROM t JOIN pg_publication_rel r ON r.prrelid = t.id JOIN pg_publication b ON b.oid = r.prpubid";
    let part = if version < 150_000 {
        "''"
    } else {
        "coalesce(' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) FROM pg_attribute a WHERE a.attrelid = r.prrelid \
         AND a.attnum = ANY (r.prattrs)) || ')', '') || coalesce(' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')', '')"
    };
    let mut sql = format!(
        "SELECT 'off', 20, format('ALTER PUBLICATION %I DROP TABLE %s', b.pubname, t.name) {of} \
         UNION ALL SELECT 'on', 90, format('ALTER PUBLICATION %I ADD TABLE %s', b.pubname, t.name) || {part} {of} \
         UNION ALL SELECT 'say', 10, {} {of}",
        published()
    );
    if version >= 150_000 {
        sql.push_str(&format!(
            " UNION ALL SELECT 'say', 10, {} FROM t JOIN pg_publication_namespace s ON s.pnnspid = t.relnamespace JOIN pg_publication b ON b.oid = s.pnpubid",
            published()
        ));
    }
    sql
}

fn published() -> &'static str {
    "format('publication %s publishes the new rows of %s from now on; subscribers keep what they have until they copy the table again', b.pubname, t.name)"
}

/// A serial column's sequence stays the same one and changes hands; that of an identity column belongs to its table, so its
/// value is taken over.
fn sequences() -> String {
    let owned = "FROM t JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.id AND d.deptype = 'a' \
                 JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum = d.refobjsubid";
    let filled = "JOIN pg_depend u ON u.classid = 'pg_attrdef'::regclass AND u.refclassid = 'pg_class'::regclass AND u.refobjid = s.oid \
                  JOIN pg_attrdef f ON f.oid = u.objid AND f.adrelid = t.id JOIN pg_attribute g ON g.attrelid = t.id AND g.attnum = f.adnum";
    format!(
        "SELECT 'off', 30, format('ALTER SEQUENCE %s OWNED BY NONE', s.oid::regclass) {owned} \
         UNION ALL SELECT 'on', 10, format('ALTER SEQUENCE %s OWNED BY %s.%I', s.oid::regclass, t.name, a.attname) {owned} \
         UNION SELECT 'off', 40, format('ALTER TABLE %s ALTER %I DROP DEFAULT', t.name, g.attname) {owned} {filled} \
         UNION SELECT 'on', 20, format('ALTER TABLE %s ALTER %I SET DEFAULT %s', t.name, g.attname, pg_get_expr(f.adbin, f.adrelid)) {owned} {filled} \
         UNION ALL SELECT 'on', 20, format('ALTER TABLE %s ALTER %I SET GENERATED %s', t.name, a.attname, CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END) \
         FROM t JOIN pg_attribute a ON a.attrelid = t.id AND a.attidentity <> '' \
         UNION ALL SELECT 'off', 50, format('SELECT setval(%L::regclass, CASE WHEN w.ahead THEN w.mine ELSE w.theirs END, w.ahead OR w.called) FROM (\
         SELECT a.last_value AS mine, b.last_value AS theirs, b.is_called AS called, a.is_called AND (a.last_value::numeric - b.last_value) * %s > 0 AS ahead \
         FROM %s AS a, %s AS b) AS w', n.name, q.seqincrement, n.name, s.oid::regclass) \
         FROM t JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.id AND d.deptype = 'i' \
         JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' JOIN pg_attribute a ON a.attrelid = t.id AND a.attnum = d.refobjsubid \
         JOIN pg_sequence q ON q.seqrelid = s.oid CROSS JOIN LATERAL (SELECT pg_get_serial_sequence(t.new, a.attname) AS name) AS n"
    )
}

/// Extended statistics do not move with their table.
fn statistics() -> String {
    let of = "FROM t JOIN pg_statistic_ext x ON x.stxrelid = t.id";
    format!(
        "SELECT 'off', 60, format('ALTER STATISTICS %s.%I SET SCHEMA %I', x.stxnamespace::regnamespace, x.stxname, t.kept) {of} \
         UNION ALL SELECT 'on', 5, format('ALTER STATISTICS %I.%I SET SCHEMA %s', t.source, x.stxname, x.stxnamespace::regnamespace) {of}"
    )
}

/// Replaced, a view keeps its owner, grants, comment, triggers and whatever depends on it.
fn views() -> String {
    "SELECT DISTINCT 'on', 70, format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass, \
     ' WITH (' || (SELECT string_agg(format('%I = %L', split_part(o, '=', 1), substr(o, strpos(o, '=') + 1)), ', ') FROM unnest(v.reloptions) AS o) || ')', \
     rtrim(pg_get_viewdef(v.oid), ';')) FROM t JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.id \
     JOIN pg_rewrite w ON w.oid = d.objid AND w.rulename = '_RETURN' JOIN pg_class v ON v.oid = w.ev_class AND v.relkind = 'v'"
        .to_owned()
}

/// What other tables, views and functions have in them of this one.
fn others() -> String {
    let of = |class: &str| {
        format!(
            "FROM t JOIN pg_depend d ON d.classid = '{class}'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.id"
        )
    };
    format!(
        "SELECT DISTINCT 'on', 71, regexp_replace(rtrim(pg_get_ruledef(w.oid), ';'), '^CREATE RULE', 'CREATE OR REPLACE RULE') {} \
         JOIN pg_rewrite w ON w.oid = d.objid AND w.rulename <> '_RETURN' AND w.ev_class NOT IN (SELECT id FROM t) \
         UNION ALL SELECT DISTINCT 'on', 72, format('ALTER POLICY %I ON %s', p.polname, p.polrelid::regclass) || {} {} \
         JOIN pg_policy p ON p.oid = d.objid AND p.polrelid NOT IN (SELECT id FROM t) \
         UNION ALL SELECT DISTINCT 'on', 73, pg_get_functiondef(p.oid) {} JOIN pg_proc p ON p.oid = d.objid AND p.prokind IN ('f', 'p')",
        of("pg_rewrite"),
        conditions(),
        of("pg_policy"),
        of("pg_proc")
    )
}

fn ids(takings: &[Taking]) -> String {
    let ids: Vec<String> = takings.iter().map(|t| t.id.to_string()).collect();
    ids.join(", ")
}
