//! What acts, what is told of it, and what is refused.

use rand::RngExt;

use super::{Making, ROLES, literal, quoted};

impl Making {
    pub(super) fn acting(&mut self) {
        let (t, o) = (self.t.clone(), self.o.clone());
        let when = [
            "BEFORE INSERT",
            "AFTER INSERT OR UPDATE OF a, b",
            "AFTER DELETE",
        ];
        for _ in 0..self.r.random_range(0..4) {
            let name = self.name("tr");
            let sql = match self.r.random_range(0..4) {
                0 => format!(
                    "CREATE TRIGGER {name} {} ON {t} FOR EACH ROW EXECUTE FUNCTION {o}.fire()",
                    self.pick(&when)
                ),
                1 => format!(
                    "CREATE TRIGGER {name} AFTER UPDATE ON {t} REFERENCING OLD TABLE AS was NEW TABLE AS \"is\" FOR EACH STATEMENT EXECUTE FUNCTION {o}.fire('x''y')"
                ),
                2 => format!(
                    "CREATE CONSTRAINT TRIGGER {name} AFTER INSERT ON {t} FROM {o}.parent DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.b > 1) EXECUTE FUNCTION {o}.fire()"
                ),
                _ => format!(
                    "CREATE TRIGGER {name} BEFORE TRUNCATE ON {t} EXECUTE FUNCTION {o}.fire()"
                ),
            };
            self.add(sql);
            let state = self.pick(&["ENABLE", "DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"]);
            self.add(format!("ALTER TABLE {t} {state} TRIGGER {name}"));
            self.comment(&format!("TRIGGER {name} ON {t}"));
        }
        for _ in 0..self.r.random_range(0..3) {
            let name = self.name("ru");
            let what = self.pick(&[
                "INSERT TO T WHERE NEW.b > 500 DO ALSO INSERT INTO O.fired VALUES ('rule')",
                "DELETE TO T WHERE OLD.id IN (SELECT id FROM T) DO INSTEAD NOTHING",
                "UPDATE TO T DO ALSO NOTIFY \"it's\"",
            ]);
            let what = what
                .replace(" T ", &format!(" {t} "))
                .replace("FROM T)", &format!("FROM {t})"))
                .replace("O.", &format!("{o}."));
            self.add(format!("CREATE RULE {name} AS ON {what}"));
            let state = self.pick(&["ENABLE", "DISABLE", "ENABLE ALWAYS", "ENABLE REPLICA"]);
            self.add(format!("ALTER TABLE {t} {state} RULE {name}"));
            self.comment(&format!("RULE {name} ON {t}"));
        }
        if self.one_in(4) {
            let name = self.name("ru");
            self.add(format!("CREATE RULE {name} AS ON INSERT TO {o}.fired WHERE NEW.what = 'never' DO ALSO DELETE FROM {t} WHERE id = 0; ALTER TABLE {o}.fired DISABLE RULE {name}"));
        }
        if self.one_in(2) {
            let how = self.pick(&["ENABLE", "FORCE"]);
            self.add(format!("ALTER TABLE {t} {how} ROW LEVEL SECURITY"));
        }
        for _ in 0..self.r.random_range(0..4) {
            let name = self.name("po");
            let (kind, to) = (
                self.pick(&["PERMISSIVE", "RESTRICTIVE"]),
                self.pick(&["PUBLIC", "\"Carry reader\", carry_clerk", "carry_owner"]),
            );
            let what = self.pick(&[
                "FOR SELECT TO R USING (a = CURRENT_USER)",
                "FOR INSERT TO R WITH CHECK (b > 1)",
                "FOR UPDATE TO R USING (b > (SELECT min(x.b) FROM T x)) WITH CHECK (true)",
                "TO R USING (EXISTS (SELECT FROM O.parent p WHERE p.id = b))",
            ]);
            let what = what
                .replace(" R ", &format!(" {to} "))
                .replace("FROM T ", &format!("FROM {t} "))
                .replace("O.", &format!("{o}."));
            self.add(format!("CREATE POLICY {name} ON {t} AS {kind} {what}"));
            self.comment(&format!("POLICY {name} ON {t}"));
        }
        if self.one_in(3) {
            let name = self.name("po");
            self.add(format!(
                "CREATE POLICY {name} ON {o}.fired USING (what IN (SELECT a FROM {t}))"
            ));
            self.comment(&format!("POLICY {name} ON {o}.fired"));
        }
    }

    pub(super) fn published(&mut self) {
        let (t, s) = (self.t.clone(), self.s.clone());
        for _ in 0..self.r.random_range(0..3) {
            let (name, part) = (
                self.name("pb"),
                self.pick(&[
                    "",
                    " (id, a)",
                    " WHERE (id > 3)",
                    " (id, b) WHERE (id <> 7)",
                ]),
            );
            self.add(format!(
                "CREATE PUBLICATION {name} FOR TABLE {t}{part}, TABLE {}.parent",
                self.o
            ));
            self.comment(&format!("PUBLICATION {name}"));
        }
        if self.one_in(5) {
            let name = self.name("pb");
            self.add(format!(
                "CREATE PUBLICATION {name} FOR TABLES IN SCHEMA {s}"
            ));
        }
    }

    /// Comments and grants.
    pub(super) fn told(&mut self) {
        let (t, s) = (self.t.clone(), self.s.clone());
        self.comment(&format!("TABLE {t}"));
        self.comment(&format!("COLUMN {t}.a"));
        let reader = quoted(ROLES[1]);
        let grants = [
            format!("GRANT SELECT ON {t} TO PUBLIC"),
            format!("GRANT SELECT, UPDATE ON {t} TO {reader} WITH GRANT OPTION"),
            format!("GRANT INSERT (id, a), SELECT (b) ON {t} TO carry_clerk"),
            format!("GRANT ALL ON {t} TO carry_clerk; REVOKE TRUNCATE ON {t} FROM carry_clerk"),
            format!("GRANT USAGE, CREATE ON SCHEMA {s}, other TO carry_owner"),
        ];
        for grant in grants {
            if self.one_in(2) {
                self.add(grant);
            }
        }
        for stem in ["idn", "ser"] {
            let Some((column, _)) = self.extras.iter().find(|(name, _)| name.starts_with(stem))
            else {
                continue;
            };
            let name = format!("{s}.{}", quoted(&format!("sq {stem} x")));
            let rename = format!(
                "DO $do$ BEGIN EXECUTE 'ALTER SEQUENCE ' || pg_get_serial_sequence({}, {}) || ' RENAME TO {}'; END $do$",
                literal(&t),
                literal(column),
                quoted(&format!("sq {stem} x"))
            );
            self.add(rename);
            if self.one_in(2) {
                self.add(format!("GRANT USAGE ON SEQUENCE {name} TO {reader}"));
            }
            self.comment(&format!("SEQUENCE {name}"));
        }
    }

    /// Now and then something that cannot be carried.
    pub(super) fn refused(&mut self) -> Option<&'static str> {
        if !self.one_in(20) {
            return None;
        }
        let t = self.t.clone();
        let (sql, what) = match self.r.random_range(0..4) {
            0 => (
                format!("CREATE MATERIALIZED VIEW other.mv AS SELECT id FROM {t}"),
                "materialized view",
            ),
            1 => (
                format!("CREATE FUNCTION other.f(r {t}) RETURNS int LANGUAGE sql AS 'SELECT 1'"),
                "function",
            ),
            2 => (
                "CREATE PUBLICATION of_all FOR ALL TABLES".to_owned(),
                "publication",
            ),
            _ => (
                format!("CREATE TABLE other.kid () INHERITS ({t})"),
                "child table",
            ),
        };
        self.add(sql);
        Some(what)
    }
}
