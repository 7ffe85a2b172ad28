//! Generated tables: the whole database is the same after a swap, after a swap back, and after the old tables are gone; or
//! the swap is refused before anything is written.

use std::collections::BTreeMap;
use std::fs;

use trueup::projection::cell::{Cell, Row};
use trueup::store::{Acts, TableName};

use super::generated::{Generated, ROLES, generate, quoted};
use super::{Reads, int, table};
use crate::support::embedded::{Embedded, change, line};
use crate::support::services::out;
use crate::support::{seed, size};

/// Of so many generated tables, one may be refused.
const REFUSED_ONE_IN: usize = 8;

#[test]
fn everything_is_carried_or_refused_by_name() {
    let Some(reads) = Reads::new("twins") else {
        return;
    };
    ground(&reads);
    let (seed, count) = (seed(), size(12, 300));
    let mut refused = BTreeMap::<String, usize>::new();
    for nth in 0..count {
        let one = seed.wrapping_add(nth as u64);
        let generated = generate(one);
        clear(&reads);
        reads.sql(&generated.sql);
        let case = Case {
            reads: &reads,
            generated: &generated,
            table: table(&generated.schema, &generated.table),
            seed: one,
        };
        // A playbook cannot name a table with a dot in it.
        let nameable = ![&generated.schema, &generated.table]
            .iter()
            .any(|n| n.contains('.'));
        let why = if nth % 3 == 2 && nameable {
            case.by_the_program(nth)
        } else {
            case.by_the_store(nth)
        };
        if let Some(why) = why {
            *refused.entry(why).or_default() += 1;
        }
    }
    let all: usize = refused.values().sum();
    println!("{count} tables, {all} refused: {refused:?}");
    assert!(all <= 1 + count / REFUSED_ONE_IN, "{all} were refused");
}

fn ground(reads: &Reads) {
    for role in ROLES {
        let role = quoted(role);
        let found = format!(
            "SELECT count(*) FROM pg_roles WHERE quote_ident(rolname) = quote_ident({})",
            role.replace('"', "'")
        );
        if reads.sql(&found) == "0" {
            reads.sql(&format!("CREATE ROLE {role}"));
        }
    }
    reads.sql("CREATE ACCESS METHOD heap2 TYPE TABLE HANDLER heap_tableam_handler");
    if reads.sql("SELECT count(*) FROM pg_tablespace WHERE spcname = 'carry_space'") == "0" {
        let url = reads.url();
        let mut psql = reads.server.program("psql");
        psql.args(["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &url]);
        psql.args(["-c", "SET allow_in_place_tablespaces = on"]);
        psql.args(["-c", "CREATE TABLESPACE carry_space LOCATION ''"]);
        out(&psql.output().unwrap());
    }
}

/// Nothing is left of the last case, but trueup's own tables.
fn clear(reads: &Reads) {
    reads.sql(
        "DO $do$ DECLARE x text; BEGIN
           FOR x IN SELECT 'DROP PUBLICATION ' || quote_ident(pubname) FROM pg_publication LOOP EXECUTE x; END LOOP;
           FOR x IN SELECT 'DROP SCHEMA ' || quote_ident(nspname) || ' CASCADE' FROM pg_namespace
             WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema', 'trueup') LOOP EXECUTE x; END LOOP;
           ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM \"Carry reader\";
           ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM carry_clerk; END $do$",
    );
}

struct Case<'a> {
    reads: &'a Reads,
    generated: &'a Generated,
    table: TableName,
    seed: u64,
}

impl Case<'_> {
    fn panic(&self, why: &str) -> ! {
        let file = std::env::temp_dir().join(format!("carry-{}.sql", self.seed));
        let _ = fs::write(&file, &self.generated.sql);
        panic!(
            "TRUEUP_SEED={}: {why}\nthe table is in {}",
            self.seed,
            file.display()
        );
    }

    fn same(&self, before: &str, after: &str, when: &str) {
        if before == after {
            return;
        }
        let only = |one: &str, other: &str| -> Vec<String> {
            let other: Vec<&str> = other.lines().collect();
            let lines = one.lines().filter(|l| !other.contains(l));
            lines.map(str::to_owned).collect()
        };
        let (lost, new) = (only(before, after), only(after, before));
        let moved = before.lines().zip(after.lines()).find(|(b, a)| b != a);
        self.panic(&format!(
            "{when}: {lost:#?} became {new:#?}, first {moved:?}"
        ));
    }

    /// What fires writes a row here.
    fn fired(&self) -> String {
        self.reads.sql("SELECT count(*) FROM other.fired")
    }

    /// What does not act on anybody, and can be dropped by itself.
    fn harmless(&self, run: &str) {
        let old = format!(
            "{}.{}",
            quoted(&format!("trueup_old_{run}")),
            quoted(&self.table.name)
        );
        let acting = format!(
            "SELECT (SELECT count(*) FROM pg_trigger WHERE tgrelid = '{0}'::regclass AND NOT tgisinternal) + (SELECT count(*) FROM pg_rewrite WHERE ev_class = '{0}'::regclass) \
             + (SELECT count(*) FROM pg_publication_rel WHERE prrelid = '{0}'::regclass) + (SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND '{0}'::regclass IN (conrelid, confrelid))",
            old.replace('\'', "''")
        );
        assert_eq!(self.reads.sql(&acting), "0", "{old} acts");
    }

    fn by_the_store(&self, nth: usize) -> Option<String> {
        let reads = self.reads;
        let before = reads.dump();
        let live = reads.wait(reads.store.catalog(&self.table)).unwrap();
        let found = reads.wait(reads.store.obstacles(&live)).unwrap();
        if let Some(first) = found.first() {
            return Some(self.refused(&first.what, &before));
        }
        let extras = &self.generated.extras;
        let carried: Vec<&str> = extras
            .iter()
            .filter(|e| e.1)
            .map(|e| e.0.as_str())
            .collect();
        let run = format!("g{nth}");
        let shadow = reads.shadow(&run, &self.table, &["id", "a", "b"], &carried);
        let rows: Vec<Row<'static>> = (1..=6)
            .map(|i| vec![int(i), Cell::Text(format!("new {i}").into()), int(i)])
            .collect();
        let fired = self.fired();
        if let Err(problem) = reads.ready(&shadow, &rows) {
            self.panic(&format!("not ready: {problem}"));
        }
        match reads.swap(&shadow) {
            Ok(swapped) => {
                let bad = swapped.warnings.iter().find(|w| w.contains("foreign key"));
                assert!(bad.is_none(), "TRUEUP_SEED={}: {bad:?}", self.seed);
            }
            Err(problem) => self.panic(&format!("not swapped: {problem}")),
        }
        assert_eq!(self.fired(), fired, "something fired");
        self.same(&before, &reads.dump(), "after the swap");
        self.harmless(&run);
        let (mut kept, mut run) = (vec![run.clone()], run);
        for back in 0..nth % 3 {
            let again = format!("g{nth}b{back}");
            if let Err(problem) = reads.swap_back(&again, &run, &self.table) {
                self.panic(&format!("not swapped back: {problem}"));
            }
            self.same(&before, &reads.dump(), "after the swap back");
            self.harmless(&again);
            kept = vec![again.clone()];
            run = again;
        }
        for run in kept {
            if nth.is_multiple_of(2) {
                let freed = reads
                    .wait(reads.store.drop_old(&reads.permit, &run))
                    .unwrap();
                assert!(freed.is_some_and(|bytes| bytes > 0), "{freed:?}");
                self.same(&before, &reads.dump(), "after the old table is gone");
            }
        }
        None
    }

    /// The whole command, from an archive of the log.
    fn by_the_program(&self, nth: usize) -> Option<String> {
        let reads = self.reads;
        let before = reads.dump();
        let system = Embedded::new(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER)",
            "",
        );
        let mut log = String::new();
        for id in 1..=6 {
            let a = format!("new {id}");
            system.sql(
                "primary.db",
                &format!("INSERT INTO t VALUES ({id}, '{a}', {id})"),
            );
            let key = format!("{{\"id\":{id}}}");
            log.push_str(&line(
                0,
                id - 1,
                &key,
                Some(&change("c", 10 + id as u64, id, &a, id)),
            ));
        }
        system.log(&log);
        let mut columns = vec!["id: id".to_owned(), "a: a".to_owned(), "b: b".to_owned()];
        for (name, foreign) in &self.generated.extras {
            let what = if *foreign { "@foreign" } else { "@default" };
            columns.push(format!("{}: \"{what}\"", serde_json::json!(name)));
        }
        system.playbook(&format!(
            "version: 1\nname: carry\nprimary: {{ url: \"sqlite:primary.db\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ archive: log.jsonl }}\napplied: none\n\
             sources:\n  t: {{ topic: shop.main.t, table: t }}\nviews:\n  v:\n    table: {}\n    from: t\n    key: [id]\n    columns: {{ {} }}\n",
            reads.url(),
            serde_json::json!(format!(
                "{}.{}",
                self.generated.schema, self.generated.table
            )),
            columns.join(", ")
        ));
        let fired = self.fired();
        let ran = system.trueup(&["replay", "big-bang", "{}", "--yes", "--format", "json"]);
        if ran.code == 3 {
            let what = self.generated.refused.unwrap_or("nothing of the sort");
            let ran = ran.says(&[what]);
            assert!(
                !ran.stderr.contains("would not be the same table"),
                "{}",
                ran.stderr
            );
            return Some(self.refused(what, &before));
        }
        if ran.code != 0 {
            self.panic(&format!("exit {}: {}", ran.code, ran.stderr));
        }
        assert_eq!(self.fired(), fired, "something fired");
        self.same(&before, &reads.dump(), "after the replay");
        let run = ran.json()["run"].as_str().unwrap().to_owned();
        self.harmless(&run);
        if nth.is_multiple_of(2) {
            system
                .trueup(&["runs", "gc", "{}", "--older-than", "0h", "--yes"])
                .exit(0);
            self.same(&before, &reads.dump(), "after the old table is gone");
        }
        None
    }

    /// A refusal is one that the generator knows of, and nothing was written before it.
    fn refused(&self, what: &str, before: &str) -> String {
        if self.generated.refused != Some(what) {
            self.panic(&format!(
                "refused for {what}, not {:?}",
                self.generated.refused
            ));
        }
        self.same(before, &self.reads.dump(), "after the refusal");
        let left = self.reads.sql(
            "SELECT string_agg(nspname, ' ') FROM pg_namespace WHERE nspname LIKE 'trueup\\_%'",
        );
        assert_eq!(left, "", "a refused swap has left something");
        what.to_owned()
    }
}
