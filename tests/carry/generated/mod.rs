//! Tables by chance, with everything that can hang on one.

mod acting;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Names that have to be quoted, and one that has not.
const ODD: [&str; 7] = [
    "plain",
    "Odd name",
    "sel\"ect",
    "ünï cödé",
    "from",
    "a.b",
    "it's",
];
/// Roles of the server; the second has to be quoted.
pub const ROLES: [&str; 3] = ["carry_owner", "Carry reader", "carry_clerk"];

/// A table with what hangs on it.
pub struct Generated {
    /// What makes it, in a database that has nothing.
    pub sql: String,
    pub schema: String,
    pub table: String,
    /// Columns besides `id`, `a` and `b`: a foreign one is kept as it was, any other is the database's own.
    pub extras: Vec<(String, bool)>,
    /// What is on it that is refused, if anything.
    pub refused: Option<&'static str>,
}

pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

struct Making {
    r: StdRng,
    sql: Vec<String>,
    names: usize,
    /// The table, whole.
    t: String,
    /// Its schema and another one.
    s: String,
    o: String,
    extras: Vec<(String, bool)>,
}

/// The table of this seed.
pub fn generate(seed: u64) -> Generated {
    let mut r = StdRng::seed_from_u64(seed);
    let odd = |r: &mut StdRng| ODD[r.random_range(0..ODD.len())].to_owned();
    let (schema, table) = (format!("s {}", odd(&mut r)), odd(&mut r));
    let mut making = Making {
        t: format!("{}.{}", quoted(&schema), quoted(&table)),
        s: quoted(&schema),
        o: "other".to_owned(),
        sql: Vec::new(),
        names: 0,
        extras: Vec::new(),
        r,
    };
    making.ground();
    making.table();
    making.indexes();
    making.keys();
    making.views();
    making.acting();
    making.published();
    making.told();
    let refused = making.refused();
    Generated {
        sql: making.sql.join(";\n"),
        schema,
        table,
        extras: making.extras,
        refused,
    }
}

impl Making {
    fn one_in(&mut self, n: u32) -> bool {
        self.r.random_range(0..n) == 0
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.r.random_range(0..from.len())]
    }

    /// A new name, quoted.
    fn name(&mut self, stem: &str) -> String {
        self.names += 1;
        let odd = self.pick(&ODD);
        quoted(&format!("{stem} {odd} {}", self.names))
    }

    /// One of the schemas, quoted.
    fn home(&mut self) -> String {
        let either = [self.s.clone(), self.o.clone()];
        either[usize::from(self.one_in(2))].clone()
    }

    fn add(&mut self, sql: String) {
        self.sql.push(sql);
    }

    fn comment(&mut self, on: &str) {
        if self.one_in(3) {
            let text = literal(&format!("it's about {on} \\ "));
            self.add(format!("COMMENT ON {on} IS {text}"));
        }
    }

    fn ground(&mut self) {
        let (s, o) = (self.s.clone(), self.o.clone());
        self.add(format!("CREATE SCHEMA {s}; CREATE SCHEMA {o}"));
        self.add(format!("CREATE TABLE {o}.fired (what text)"));
        self.add(format!("CREATE FUNCTION {o}.fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO {o}.fired VALUES (TG_NAME); RETURN NULL; END $$"));
        self.add(format!("CREATE FUNCTION {o}.fine(b bigint) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT b < 1000'"));
        self.add(format!("CREATE TABLE {o}.parent (id bigint PRIMARY KEY, x bigint, y bigint, UNIQUE (x, y)); INSERT INTO {o}.parent SELECT i, i, i FROM generate_series(1, 9) i"));
        self.add(format!("CREATE TABLE {o}.parts (id bigint PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE {o}.part PARTITION OF {o}.parts FOR VALUES FROM (0) TO (100); INSERT INTO {o}.parts SELECT generate_series(1, 9)"));
        if self.one_in(4) {
            self.add(format!("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {}; ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {}", quoted(ROLES[1]), ROLES[2]));
        }
    }

    fn extra(&mut self, columns: &mut Vec<String>, sql: String, stem: &str, foreign: bool) {
        self.names += 1;
        let odd = self.pick(&ODD);
        let name = format!("{stem} {odd}");
        columns.push(format!("{} {sql}", quoted(&name)));
        self.extras.push((name, foreign));
    }

    fn table(&mut self) {
        let (t, o) = (self.t.clone(), self.o.clone());
        let mut columns = vec![
            "id bigint NOT NULL".to_owned(),
            format!("a text COLLATE \"C\" {}", self.pick(&["", "NOT NULL"])),
            format!(
                "b bigint CONSTRAINT {} CHECK ({o}.fine(b))",
                self.name("ch")
            ),
        ];
        columns.push("dropped int".to_owned());
        if self.one_in(2) {
            let sql = format!(
                "bigint GENERATED {} AS IDENTITY ({})",
                self.pick(&["ALWAYS", "BY DEFAULT"]),
                self.pick(&[
                    "START 100",
                    "INCREMENT -2 MINVALUE -500 MAXVALUE 7 START 5",
                    "CACHE 3 CYCLE",
                    "MINVALUE 0"
                ])
            );
            self.extra(&mut columns, sql, "idn", false);
        }
        if self.one_in(2) {
            let sql = self
                .pick(&["serial", "bigserial", "smallserial"])
                .to_owned();
            self.extra(&mut columns, sql, "ser", false);
        }
        if self.one_in(2) {
            self.extra(
                &mut columns,
                "numeric GENERATED ALWAYS AS (b * 2) STORED".to_owned(),
                "gen",
                false,
            );
            self.extras.pop();
        }
        self.extra(&mut columns, "text".to_owned(), "note", true);
        self.extra(&mut columns, "bigint".to_owned(), "up", true);
        if self.one_in(2) {
            self.extra(
                &mut columns,
                "jsonb DEFAULT '{\"it''s\": 1}'".to_owned(),
                "doc",
                true,
            );
        }
        if self.one_in(2) {
            self.extra(
                &mut columns,
                "timestamptz DEFAULT now() NOT NULL".to_owned(),
                "at",
                false,
            );
        }
        if self.one_in(2) {
            self.extra(&mut columns, "int4range".to_owned(), "span", true);
        }
        let key = format!(
            "CONSTRAINT {} PRIMARY KEY (id){}",
            self.name("pk"),
            self.pick(&["", " INCLUDE (b)", " WITH (fillfactor = 77)"])
        );
        columns.push(key);
        let options = self.pick(&[
            "",
            " WITH (fillfactor = 60)",
            " WITH (autovacuum_enabled = false, toast.autovacuum_enabled = false)",
            " WITH (parallel_workers = 3)",
        ]);
        let method = self.pick(&["", "", " USING heap2"]);
        let place = self.pick(&["", "", " TABLESPACE carry_space"]);
        self.add(format!(
            "CREATE TABLE {t} ({}){method}{options}{place}",
            columns.join(", ")
        ));
        self.add(format!("ALTER TABLE {t} DROP COLUMN dropped"));
        self.add(format!(
            "INSERT INTO {t} (id, a, b) SELECT i, 'old ' || i, i FROM generate_series(1, 5) i"
        ));
        let owner = self.pick(&["postgres", "carry_owner"]);
        self.add(format!("ALTER TABLE {t} OWNER TO {owner}"));
        for (target, sql) in [
            ("a", "SET STATISTICS 77"),
            ("b", "SET (n_distinct = 5, n_distinct_inherited = -0.5)"),
            ("a", "SET STORAGE EXTERNAL"),
            ("a", "SET COMPRESSION pglz"),
        ] {
            if self.one_in(3) {
                self.add(format!("ALTER TABLE {t} ALTER {target} {sql}"));
            }
        }
    }

    fn column(&self, stem: &str) -> Option<String> {
        let found = self.extras.iter().find(|(name, _)| name.starts_with(stem));
        found.map(|(name, _)| quoted(name))
    }

    fn indexes(&mut self) {
        let (t, s) = (self.t.clone(), self.s.clone());
        let mut kinds = vec![
            "INDEX NAME ON T (b DESC NULLS LAST, a text_pattern_ops)",
            "UNIQUE INDEX NAME ON T (id, a) INCLUDE (b) WITH (fillfactor = 55)",
            "INDEX NAME ON T (lower(a), (b + 1)) WHERE b > 0",
            "INDEX NAME ON T USING hash (a)",
            "INDEX NAME ON T USING brin (b) WITH (pages_per_range = 8)",
            "UNIQUE INDEX NAME ON T (b) TABLESPACE carry_space WHERE a IS NOT NULL",
        ];
        let doc = self.column("doc").map(|c| {
            format!("INDEX NAME ON T USING gin ({c} jsonb_path_ops) WITH (fastupdate = off)")
        });
        let span = self
            .column("span")
            .map(|c| format!("INDEX NAME ON T USING gist ({c})"));
        kinds.extend(doc.as_deref());
        kinds.extend(span.as_deref());
        let mut plain = Vec::new();
        for kind in kinds {
            if self.one_in(2) {
                continue;
            }
            let name = self.name("ix");
            self.add(format!(
                "CREATE {}",
                kind.replace("NAME", &name)
                    .replace(" ON T ", &format!(" ON {t} "))
            ));
            self.comment(&format!("INDEX {s}.{name}"));
            if kind.contains("lower") && self.one_in(2) {
                self.add(format!(
                    "ALTER INDEX {s}.{name} ALTER COLUMN 1 SET STATISTICS 300"
                ));
            }
            if kind.starts_with("UNIQUE INDEX NAME ON T (id, a)") || kind.contains("DESC") {
                plain.push(name);
            }
        }
        if let Some(name) = plain.first().filter(|_| self.names.is_multiple_of(2)) {
            self.add(format!("ALTER TABLE {t} CLUSTER ON {name}"));
        }
        if self.one_in(2) {
            let name = self.name("uq");
            let how = self.pick(&["", " DEFERRABLE", " DEFERRABLE INITIALLY DEFERRED"]);
            self.add(format!(
                "ALTER TABLE {t} ADD CONSTRAINT {name} UNIQUE (b){how}"
            ));
            self.comment(&format!("CONSTRAINT {name} ON {t}"));
        }
        if let Some(span) = self.column("span").filter(|_| self.names.is_multiple_of(3)) {
            let name = self.name("ex");
            self.add(format!(
                "ALTER TABLE {t} ADD CONSTRAINT {name} EXCLUDE USING gist ({span} WITH &&)"
            ));
        }
        let identity = self.pick(&["DEFAULT", "DEFAULT", "FULL", "NOTHING", "INDEX"]);
        if identity == "INDEX" {
            let name = self.name("ri");
            self.add(format!("CREATE UNIQUE INDEX {name} ON {t} (id); ALTER TABLE {t} REPLICA IDENTITY USING INDEX {name}"));
        } else {
            self.add(format!("ALTER TABLE {t} REPLICA IDENTITY {identity}"));
        }
        for _ in 0..self.r.random_range(0..3) {
            let name = self.name("st");
            let home = self.home();
            let what = self.pick(&[
                "(dependencies) ON a, b",
                "ON id, a, b",
                "ON (b % 7), a",
                "ON (lower(a))",
            ]);
            self.add(format!("CREATE STATISTICS {home}.{name} {what} FROM {t}"));
            self.comment(&format!("STATISTICS {home}.{name}"));
            if self.one_in(2) {
                self.add(format!("ALTER STATISTICS {home}.{name} SET STATISTICS 55"));
            }
            if self.one_in(2) {
                self.add(format!(
                    "ALTER STATISTICS {home}.{name} OWNER TO carry_owner"
                ));
            }
        }
    }

    fn keys(&mut self) {
        let (t, o) = (self.t.clone(), self.o.clone());
        let up = self.column("up").unwrap_or_default();
        let how = [
            "",
            "ON DELETE CASCADE",
            "ON DELETE SET NULL ON UPDATE CASCADE",
            "MATCH FULL",
            "DEFERRABLE",
            "DEFERRABLE INITIALLY DEFERRED",
            "NOT VALID",
            "ON DELETE RESTRICT",
        ];
        for (columns, to) in [
            ("b", format!("{o}.parent")),
            ("id, b", format!("{o}.parent (x, y)")),
            ("b", format!("{o}.parts")),
            (up.as_str(), t.clone()),
        ] {
            if self.one_in(2) {
                let (name, how) = (self.name("fk"), self.pick(&how));
                self.add(format!("ALTER TABLE {t} ADD CONSTRAINT {name} FOREIGN KEY ({columns}) REFERENCES {to} {how}"));
                self.comment(&format!("CONSTRAINT {name} ON {t}"));
            }
        }
        for child in 0..self.r.random_range(0..3) {
            let (name, how) = (self.name("fk"), self.pick(&how));
            let c = format!("{}.{}", self.home(), quoted(&format!("child {child}")));
            self.add(format!("CREATE TABLE {c} (id int PRIMARY KEY, of bigint); INSERT INTO {c} SELECT i, i FROM generate_series(1, 5) i"));
            self.add(format!(
                "ALTER TABLE {c} ADD CONSTRAINT {name} FOREIGN KEY (of) REFERENCES {t} {how}"
            ));
            self.comment(&format!("CONSTRAINT {name} ON {c}"));
        }
    }

    fn views(&mut self) {
        let (t, s, o) = (self.t.clone(), self.s.clone(), self.o.clone());
        if self.one_in(4) {
            return;
        }
        let with = self.pick(&[
            "",
            "WITH (security_barrier = true)",
            "WITH (check_option = local, security_invoker = true)",
        ]);
        let v1 = format!("{s}.{}", self.name("v1"));
        self.add(format!(
            "CREATE VIEW {v1} {with} AS SELECT id, a, b AS \"a b\" FROM {t} WHERE b > 0"
        ));
        self.comment(&format!("VIEW {v1}"));
        self.add(format!(
            "GRANT SELECT, INSERT ON {v1} TO {}; ALTER VIEW {v1} ALTER a SET DEFAULT 'v'",
            quoted(ROLES[1])
        ));
        let v2 = format!("{o}.{}", self.name("v2"));
        if self.one_in(2) {
            self.add(format!(
                "CREATE VIEW {v2} AS SELECT x.*, y.a AS other FROM {t} y JOIN {v1} x USING (id)"
            ));
            self.add(format!("ALTER VIEW {v2} OWNER TO carry_owner"));
        } else {
            self.add(format!("CREATE VIEW {v2} AS SELECT count(*) FROM {v1}"));
        }
        if self.one_in(3) {
            self.add(format!(
                "CREATE MATERIALIZED VIEW {o}.of_v AS SELECT * FROM {v1}"
            ));
        }
        if self.one_in(2) {
            let v3 = format!("{s}.{}", self.name("v3"));
            self.add(format!("CREATE VIEW {v3} AS SELECT t.*, row_to_json(t) AS js, count(*) OVER () FROM {t} AS t GROUP BY t.id"));
            let (rule, trigger) = (self.name("ru"), self.name("tr"));
            self.add(format!("CREATE RULE {rule} AS ON DELETE TO {v3} DO INSTEAD DELETE FROM {t} WHERE id = OLD.id"));
            self.comment(&format!("RULE {rule} ON {v3}"));
            self.add(format!("CREATE TRIGGER {trigger} INSTEAD OF INSERT ON {v3} FOR EACH ROW EXECUTE FUNCTION {o}.fire()"));
        }
        if self.one_in(2) {
            let f = format!("{o}.{}", self.name("fa"));
            self.add(format!("CREATE FUNCTION {f}(n bigint DEFAULT 1, OUT k bigint) LANGUAGE sql STABLE SECURITY DEFINER BEGIN ATOMIC SELECT count(*) FROM {t} WHERE id > n; END"));
            self.add(format!("CREATE PROCEDURE {o}.pa() LANGUAGE sql BEGIN ATOMIC DELETE FROM {t} WHERE id = 0; INSERT INTO {o}.fired VALUES ('p'); END; ALTER FUNCTION {f} OWNER TO carry_owner"));
            self.add(format!("REVOKE ALL ON FUNCTION {f} FROM PUBLIC"));
        }
    }
}
