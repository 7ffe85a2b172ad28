//! Old tables are dropped when they are old enough, asked for and in nobody's use; the run says so.

use sqlx::{Connection, PgConnection};

use super::{Reads, int, table};
use crate::support::embedded::Embedded;

#[test]
fn old_tables_go_when_nobody_minds() {
    let Some(reads) = Reads::new("gc") else {
        return;
    };
    reads.sql("CREATE TABLE t (id bigint PRIMARY KEY); CREATE TABLE u (id bigint PRIMARY KEY)");
    let system = Embedded::new("CREATE TABLE t (id INTEGER PRIMARY KEY)", "");
    system.playbook(&format!(
        "version: 1\nname: tidy\nprimary: {{ url: \"sqlite:primary.db\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ archive: log.jsonl }}\napplied: none\n\
         sources:\n  t: {{ topic: shop.main.t, table: t }}\nviews:\n  v: {{ table: t, from: t, key: [id] }}\n",
        reads.url()
    ));
    let none = system
        .trueup(&["runs", "gc", "{}", "--format", "json"])
        .exit(0)
        .json();
    assert_eq!(none["old_tables"], serde_json::json!([]));
    for (run, name) in [("r1", "t"), ("r2", "u"), ("r3", "t")] {
        let shadow = reads.shadow(run, &table("public", name), &["id"], &[]);
        reads.ready(&shadow, &[vec![int(1)]]).unwrap();
        reads.swap(&shadow).unwrap();
    }
    // None is a week old, and one is put back.
    let young = system
        .trueup(&["runs", "gc", "{}", "--format", "json"])
        .exit(0)
        .json();
    assert_eq!(
        (
            young["old_tables"].as_array().unwrap().len(),
            &young["younger"]
        ),
        (0, &3.into())
    );
    reads.swap_back("r4", "r2", &table("public", "u")).unwrap();
    reads.sql("UPDATE trueup.run SET ended_at = ended_at - interval '8 days' WHERE id IN ('r1', 'r2', 'r3')");
    let gc = ["runs", "gc", "{}"];
    system
        .trueup(&gc)
        .exit(3)
        .says(&["this drops 2 old tables", "--confirm tidy"]);
    let shown = system
        .trueup(&["runs", "gc", "{}", "--dry-run"])
        .exit(0)
        .stdout;
    assert!(
        shown.contains("trueup_old_r1.t")
            && shown.contains("trueup_old_r3.t")
            && !shown.contains("trueup_old_r2"),
        "{shown}"
    );
    // Somebody reads one of them, something hangs on the other.
    let mut reader = reads.wait(PgConnection::connect(&reads.url())).unwrap();
    reads
        .wait(sqlx::raw_sql("BEGIN; SELECT * FROM trueup_old_r1.t").execute(&mut reader))
        .unwrap();
    reads.sql("CREATE VIEW last_look AS SELECT * FROM trueup_old_r3.t");
    let stay = system.trueup(&["runs", "gc", "{}", "--yes"]).exit(6);
    assert_eq!(
        stay.stdout.matches(" stays: ").count(),
        2,
        "{}",
        stay.stdout
    );
    assert!(stay.stdout.contains("last_look"), "{}", stay.stdout);
    reads
        .wait(sqlx::raw_sql("COMMIT").execute(&mut reader))
        .unwrap();
    reads.sql("DROP VIEW last_look");
    let gone = system
        .trueup(&["runs", "gc", "{}", "--confirm", "tidy", "--format", "json"])
        .exit(0)
        .json();
    let dropped: Vec<bool> = gone["old_tables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o["dropped"] == true && o["freed_bytes"].as_u64() > Some(0))
        .collect();
    assert_eq!(dropped, [true, true]);
    assert_eq!(reads.sql("SELECT string_agg(nspname, ' ' ORDER BY 1) FROM pg_namespace WHERE nspname LIKE 'trueup\\_%'"), "trueup_old_r4");
    let runs = system
        .trueup(&["runs", "{}", "--format", "json"])
        .exit(0)
        .json();
    let old = |at: usize| {
        (
            runs["runs"][at]["old_table"].is_string(),
            runs["runs"][at]["old_table_dropped_at"].is_string(),
        )
    };
    assert_eq!(
        [old(0), old(1), old(2), old(3)],
        [(true, true), (false, false), (true, true), (true, false)]
    );
    assert_eq!(runs["runs"][3]["kind"], "rollback");
    let gone = reads
        .swap_back("r5", "r1", &table("public", "t"))
        .unwrap_err();
    assert!(gone.to_string().contains("keeps no old table"), "{gone}");
}
