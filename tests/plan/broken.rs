//! A replay names the keys that it would break, or has broken.

use serde_json::json;

use super::embedded::System;

const BIG_BANG: [&str; 6] = ["replay", "big-bang", "{}", "--yes", "--format", "json"];

#[test]
fn a_refused_shadow_names_its_keys() {
    let system = System::of(20, 0);
    let rows: Vec<String> = (100..115)
        .map(|id| format!("({id}, 'unheard', 0)"))
        .collect();
    for (database, table) in [("primary.db", "t"), ("read.db", "copy")] {
        let insert = format!("INSERT INTO {table} VALUES {}", rows.join(", "));
        system.embedded.sql(database, &insert);
    }
    let ran = system.embedded.trueup(&BIG_BANG).exit(3);
    let json = ran.json();
    let named: Vec<String> = (100..110).map(|id: i64| id.to_string()).collect();
    assert_eq!(
        (&json["broken"], &json["broken_keys"]),
        (&json!(15), &json!(named))
    );
    assert!(json["refused"][0].as_str().unwrap().contains("worse"));
    ran.says(&[
        "15 keys are wrong in it and right in the live table (100; 101;",
        "; 109)",
    ]);
}

#[test]
fn a_swap_says_what_it_broke() {
    let system = System::of(20, 0);
    // Three rows that are wrong either way, and two that only a replay gets wrong.
    system.embedded.sql("primary.db", "UPDATE t SET a = 'unheard' WHERE id < 3; INSERT INTO t VALUES (100, 'x', 0), (101, 'x', 0)");
    system.embedded.sql(
        "read.db",
        "INSERT INTO copy VALUES (100, 'x', 0), (101, 'x', 0)",
    );
    let done = system.embedded.trueup(&BIG_BANG).exit(1).json();
    assert_eq!(
        (&done["differing"], &done["broken"], &done["broken_keys"]),
        (&json!(5), &json!(2), &json!(["100", "101"]))
    );
    assert!(
        done["stages"]
            .as_array()
            .unwrap()
            .iter()
            .any(|s| s["stage"] == "loading copy")
    );
}
