//! What hangs on a table and cannot follow its name to another one.

/// What hangs on a table and is neither carried over nor known to be harmless, as (what, name).
///
/// Carried: everything that is the table's own, foreign keys both ways, publications of it, views, and functions with a
/// parsed body. The question about `pg_depend` has no list of kinds: what it does not know is an obstacle.
#[must_use]
pub fn obstacles(oid: i64, version: i32) -> String {
    let parts = [
        kinds(oid),
        constraints(oid),
        own(oid),
        attachments(oid),
        dependents(oid, version),
        rights(oid),
        rights_beside(oid, version),
    ];
    format!(
        "SELECT DISTINCT what, name FROM ({}) AS o (what, name) ORDER BY 1, 2",
        parts.join(" UNION ALL ")
    )
}

fn kinds(oid: i64) -> String {
    format!(
        "SELECT v.what, v.name FROM pg_class c CROSS JOIN LATERAL (VALUES \
         (c.relkind <> 'r', CASE c.relkind WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' \
         ELSE 'relation kind' END, c.oid::regclass::text), \
         (c.relispartition, 'partition', c.oid::regclass::text), \
         (c.relpersistence <> 'p', CASE c.relpersistence WHEN 'u' THEN 'unlogged table' ELSE 'temporary table' END, c.oid::regclass::text), \
         (c.reloftype <> 0, 'typed table', c.reloftype::regtype::text)) AS v (there, what, name) \
         WHERE c.oid = {oid} AND v.there"
    )
}

/// A partitioned table cannot have a foreign key that is not checked at once.
fn constraints(oid: i64) -> String {
    format!(
        "SELECT 'foreign key of a partitioned table', k.conname || ' of ' || k.conrelid::regclass || ' to ' || k.confrelid::regclass FROM pg_constraint k \
         JOIN pg_class c ON c.oid = k.conrelid AND c.relkind = 'p' WHERE k.contype = 'f' AND k.confrelid = {oid} AND k.conparentid = 0 \
         UNION ALL SELECT 'constraint not validated', conname::text FROM pg_constraint WHERE conrelid = {oid} AND NOT convalidated AND contype <> 'f' \
         UNION ALL SELECT 'invalid index', x.relname::text FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = {oid} AND NOT i.indisvalid \
         UNION ALL SELECT CASE WHEN inhrelid = {oid} THEN 'parent table' ELSE 'child table' END, \
         CASE WHEN inhrelid = {oid} THEN inhparent ELSE inhrelid END::regclass::text FROM pg_inherits WHERE inhrelid = {oid} OR inhparent = {oid}"
    )
}

/// What the table has of its own that its twin cannot have: names of ours, a wish to go with an extension.
fn own(oid: i64) -> String {
    format!(
        "SELECT 'column name reserved for trueup', attname::text FROM pg_attribute WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped AND attname LIKE 'trueup\\_%' \
         UNION ALL SELECT 'dependence on an extension', pg_describe_object(d.classid, d.objid, d.objsubid) || ' on ' || e.extname FROM pg_depend d \
         JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid WHERE d.deptype = 'x' AND (\
         d.classid = 'pg_trigger'::regclass AND EXISTS (SELECT FROM pg_trigger g WHERE g.oid = d.objid AND g.tgrelid = {oid}) \
         OR d.classid = 'pg_class'::regclass AND EXISTS (SELECT FROM pg_index i WHERE i.indexrelid = d.objid AND i.indrelid = {oid}))"
    )
}

/// A publication of all tables would carry the shadow while it is loaded.
fn attachments(oid: i64) -> String {
    format!(
        "SELECT 'publication', pubname || ' (all tables)' FROM pg_publication WHERE puballtables \
         UNION ALL SELECT 'subscription', s.subname::text FROM pg_subscription_rel r JOIN pg_subscription s ON s.oid = r.srsubid WHERE r.srrelid = {oid} \
         UNION ALL SELECT 'security label', provider FROM pg_seclabel WHERE classoid = 'pg_class'::regclass AND objoid = {oid} \
         UNION ALL SELECT 'extension', e.extname::text FROM pg_extension e WHERE {oid} = ANY (e.extconfig) OR EXISTS (SELECT FROM pg_depend d \
         WHERE d.classid = 'pg_class'::regclass AND d.objid = {oid} AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid) \
         UNION ALL SELECT 'dependent object', pg_describe_object(d.classid, d.objid, d.objsubid) || ', which counts with a sequence of the table' \
         FROM pg_depend o JOIN pg_class s ON o.classid = 'pg_class'::regclass AND s.oid = o.objid AND s.relkind = 'S' \
         JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = s.oid AND d.deptype = 'n' \
         WHERE o.refclassid = 'pg_class'::regclass AND o.refobjid = {oid} AND o.deptype = 'i'"
    )
}

/// Everything that depends on the table or on its row type, except what is carried or named by another part. A constraint,
/// default or index of its own that names the table itself (its whole row, its name as a value) would go on naming this one.
fn dependents(oid: i64, version: i32) -> String {
    let parsed = if version < 140_000 {
        "FALSE"
    } else {
        "d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_class'::regclass"
    };
    format!(
        "SELECT CASE WHEN k.relkind = 'm' THEN 'materialized view' WHEN k.relpersistence = 't' THEN 'temporary view' \
         WHEN d.classid = 'pg_proc'::regclass THEN 'function' ELSE 'dependent object' END, \
         coalesce(k.oid::regclass::text, CASE WHEN d.classid = 'pg_proc'::regclass THEN d.objid::regprocedure::text END, \
         pg_describe_object(d.classid, d.objid, d.objsubid)) \
         FROM pg_class c JOIN pg_type y ON y.oid = c.reltype \
         JOIN pg_depend d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (y.oid, y.typarray) \
         LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid \
         LEFT JOIN pg_class k ON k.oid = w.ev_class \
         LEFT JOIN pg_class s ON d.classid = 'pg_class'::regclass AND s.oid = d.objid \
         LEFT JOIN pg_constraint n ON d.classid = 'pg_constraint'::regclass AND n.oid = d.objid \
         LEFT JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid \
         LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid \
         LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid \
         WHERE c.oid = {oid} \
         AND NOT coalesce(d.classid = 'pg_class'::regclass AND (d.objid = c.oid OR s.relkind IN ('i', 'I', 't')), FALSE) \
         AND NOT coalesce(s.relkind = 'S' AND d.deptype IN ('a', 'i'), FALSE) \
         AND NOT coalesce((n.conrelid = c.oid OR f.adrelid = c.oid) AND NOT (d.deptype = 'n' AND d.refobjsubid = 0) OR n.contype = 'f', FALSE) \
         AND NOT coalesce(g.tgrelid = c.oid OR g.tgisinternal, FALSE) AND NOT coalesce({parsed} AND p.prokind IN ('f', 'p'), FALSE) \
         AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (y.oid, y.typarray)) \
         AND NOT coalesce(d.refclassid = 'pg_class'::regclass AND k.relkind IN ('r', 'p', 'v') AND k.relpersistence <> 't', FALSE) \
         AND d.classid NOT IN ('pg_policy'::regclass, 'pg_publication_rel'::regclass, 'pg_statistic_ext'::regclass) \
         AND NOT coalesce(s.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = s.oid AND h.inhparent = c.oid), FALSE)"
    )
}

/// What the role would be refused during the swap. Members of the owner may do what the owner may.
fn rights(oid: i64) -> String {
    format!(
        "SELECT 'privilege', v.name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL (VALUES \
         (NOT pg_has_role(c.relowner, 'USAGE'), current_user || ' does not own ' || c.oid::regclass), \
         (NOT has_schema_privilege(n.oid, 'CREATE'), current_user || ' may not create in schema ' || n.nspname), \
         (NOT has_tablespace_privilege(nullif(c.reltablespace, 0), 'CREATE'), current_user || ' may not create in the tablespace of ' || c.oid::regclass), \
         (NOT has_database_privilege(current_database(), 'CREATE'), current_user || ' may not create a schema in database ' || current_database())) \
         AS v (lacks, name) WHERE c.oid = {oid} AND v.lacks \
         UNION ALL SELECT 'privilege', current_user || ' is no member of ' || g.grantor::regrole || ', who granted on ' || {oid}::regclass \
         FROM ({}) AS g WHERE g.grantor <> (SELECT relowner FROM pg_class WHERE oid = {oid}) AND NOT pg_has_role(g.grantor, 'MEMBER')",
        grants_of(oid)
    )
}

fn grants_of(oid: i64) -> String {
    format!(
        "SELECT x.grantor FROM pg_class c CROSS JOIN aclexplode(c.relacl) x WHERE c.oid = {oid} \
         UNION ALL SELECT x.grantor FROM pg_attribute a CROSS JOIN aclexplode(a.attacl) x WHERE a.attrelid = {oid}"
    )
}

/// The same for whatever is altered besides the table: children and their keys, views, rules, policies, functions,
/// publications, statistics.
fn rights_beside(oid: i64, version: i32) -> String {
    let of = "d.refclassid = 'pg_class'::regclass AND d.refobjid =";
    let functions = if version < 140_000 {
        String::new()
    } else {
        format!(
            " UNION ALL SELECT p.proowner, p.pronamespace, p.oid::regprocedure::text FROM pg_depend d JOIN pg_proc p ON d.classid = 'pg_proc'::regclass \
             AND p.oid = d.objid WHERE {of} {oid}"
        )
    };
    format!(
        "SELECT 'privilege', current_user || v.lack || b.name FROM (\
         SELECT c.relowner, NULL::oid, c.oid::regclass::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid WHERE k.contype = 'f' AND k.confrelid = {oid} \
         UNION ALL SELECT c.relowner, c.relnamespace, c.oid::regclass::text FROM pg_depend d JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid \
         JOIN pg_class c ON c.oid = w.ev_class AND c.oid <> {oid} WHERE {of} {oid} \
         UNION ALL SELECT c.relowner, NULL, c.oid::regclass::text FROM pg_depend d JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid \
         JOIN pg_class c ON c.oid = p.polrelid WHERE {of} {oid} \
         UNION ALL SELECT b.pubowner, NULL, 'publication ' || b.pubname FROM pg_publication_rel r JOIN pg_publication b ON b.oid = r.prpubid WHERE r.prrelid = {oid} \
         UNION ALL SELECT x.stxowner, x.stxnamespace, 'statistics ' || x.stxname FROM pg_statistic_ext x WHERE x.stxrelid = {oid}{functions}) \
         AS b (owner, home, name) CROSS JOIN LATERAL (VALUES (NOT pg_has_role(b.owner, 'USAGE'), ' does not own '), \
         (NOT has_schema_privilege(b.home, 'CREATE'), ' may not create in the schema of ')) AS v (lacks, lack) WHERE v.lacks \
         UNION ALL SELECT 'privilege', x.grantor::regrole || ' granted on ' || s.oid::regclass || ', and does not own it' \
         FROM pg_depend d JOIN pg_class s ON d.classid = 'pg_class'::regclass AND s.oid = d.objid AND s.relkind = 'S' \
         CROSS JOIN aclexplode(s.relacl) x WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = {oid} AND d.deptype = 'i' AND x.grantor <> s.relowner"
    )
}
