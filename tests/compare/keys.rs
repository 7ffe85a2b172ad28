//! Keys that nothing but the playbook promises: what is not unique is said, and never called equal.

use super::systems::{PAIRS, Systems};
use crate::support::pair::Side;

const SOURCE: &str = "  t: { topic: t, table: t, key: [id, part] }\n";
const VIEW: &str = "  v: { table: r, key: [id, part], from: t }\n";

fn tables(systems: &Systems, primary: &str, read: &str) {
    let table = |name: &str, values: &str| {
        format!(
            "DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (id INTEGER NOT NULL, part VARCHAR(9), note VARCHAR(9)); INSERT INTO {name} VALUES {values};"
        )
    };
    systems.sql(Side::Primary, &table("t", primary));
    systems.sql(Side::Read, &table("r", read));
}

#[test]
fn a_declared_key_is_held_to_be_unique() {
    for engines in PAIRS {
        let Some(systems) = Systems::new(engines) else {
            return;
        };
        systems.playbook(SOURCE, VIEW);
        tables(
            &systems,
            "(1, 'a', 'x'), (1, 'A', 'y'), (2, 'a', 'z')",
            "(2, 'a', 'z'), (1, 'A', 'y'), (1, 'a', 'x')",
        );
        for way in systems.ways() {
            let verdict = systems.trueup(way).exit(0).json();
            // Without a unique key on either side, the rows themselves have to say that each key is there once.
            assert_eq!(verdict["views"][0]["compared_by"], "merge");
        }

        // Twice in the read store only: each row too many is a difference, its values being equal or not.
        tables(
            &systems,
            "(1, 'a', 'x'), (2, 'a', 'z')",
            "(1, 'a', 'x'), (2, 'a', 'z'), (1, 'a', 'x'), (1, 'a', 'y')",
        );
        for way in systems.ways() {
            let verdict = systems.trueup(way).exit(1).json();
            let view = &verdict["views"][0];
            assert_eq!(
                (&view["extra"], &view["missing"]),
                (&2.into(), &0.into()),
                "{view}"
            );
            assert_eq!(view["samples"][0]["key"]["id"], "1", "{view}");
        }
        // And no repair takes a row away by a key that two rows have.
        systems
            .trueup(&["reconcile", "{}", "--apply", "--yes"])
            .exit(3)
            .says(&["unique key"]);

        // Twice in the primary, even when it is twice in the read store as well.
        let twice = "(1, 'a', 'x'), (1, 'a', 'x'), (2, 'a', 'z')";
        tables(&systems, twice, twice);
        for way in systems.ways() {
            systems
                .trueup(way)
                .exit(3)
                .says(&["more than one", "1, a", "key:"]);
        }
    }
}

/// NULL beside NULL is no key that an index keeps apart.
#[test]
fn a_unique_index_lets_null_in_twice() {
    let Some(systems) = Systems::new(PAIRS[0]) else {
        return;
    };
    systems.playbook(SOURCE, VIEW);
    let twice = "(1, NULL, 'x'), (1, NULL, 'x'), (2, 'a', 'z')";
    tables(&systems, twice, twice);
    for (side, name) in [(Side::Primary, "t"), (Side::Read, "r")] {
        systems.sql(side, &format!("CREATE UNIQUE INDEX ON {name} (id, part)"));
    }
    for way in systems.ways() {
        systems
            .trueup(way)
            .exit(3)
            .says(&["more than one", "1, NULL"]);
    }
}

#[test]
fn a_key_that_nobody_names_is_asked_for() {
    let Some(systems) = Systems::new(PAIRS[1]) else {
        return;
    };
    tables(&systems, "(1, 'a', 'x')", "(1, 'a', 'x')");
    systems.playbook("  t: { topic: t, table: t }\n", VIEW);
    systems
        .trueup(systems.ways()[0])
        .exit(2)
        .says(&["no primary key", "key: [id, part]"]);
    systems.playbook("  t: { topic: t, table: t, key: [id, place] }\n", VIEW);
    systems
        .trueup(systems.ways()[0])
        .exit(2)
        .says(&["sources.t.key", "no column place"]);
}

/// The key of a query is what the playbook says, whether or not it names a row.
#[test]
fn a_query_gives_a_key_twice() {
    for engines in [PAIRS[0], PAIRS[1]] {
        let Some(systems) = Systems::new(engines) else {
            return;
        };
        tables(&systems, "(1, 'a', 'x'), (1, 'b', 'y')", "(1, 'a', 'x')");
        systems.playbook(
            "  t: { topic: t, table: t, key: [id, part] }\n",
            "  v: { table: r, key: [id], query: \"SELECT id, part, note FROM t\" }\n",
        );
        systems
            .trueup(systems.ways()[0])
            .exit(3)
            .says(&["more than one of the expected rows", "key 1"]);
    }
}
