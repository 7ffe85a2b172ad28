//! `trueup snapshot list`, `show` and `prune`.

use std::fs;

use trueup::snapshot::{Place, Verified};

use super::{names, small};
use crate::support::embedded::{Embedded, usual_playbook};

fn place(system: &Embedded) -> Place {
    Place::open(&system.path("snapshots/usual"))
}

#[test]
fn list_and_show() {
    let system = Embedded::usual();
    let none = system.trueup(&["snapshot", "list", "{}"]).exit(0);
    assert_eq!(none.stdout, "no snapshots yet\n");
    system
        .trueup(&["snapshot", "show", "{}", "latest"])
        .exit(2)
        .says(&["no snapshot latest", "snapshots/usual"]);

    let place = place(&system);
    small(&place, "a");
    small(&place, "b");
    let mut newest = place.load("b").unwrap();
    newest
        .mark_verified(Verified {
            at_ms: 1_700_000_000_000,
            position: None,
        })
        .unwrap();
    let list = system
        .trueup(&["snapshot", "list", "{}", "--format", "json"])
        .exit(0)
        .json();
    let list = list["snapshots"].as_array().unwrap().clone();
    assert_eq!(list.len(), 2);
    assert_eq!(list[1]["id"], "b");
    assert_eq!(list[1]["rows"], 3);
    assert_eq!(list[1]["verified_at"], "2023-11-14 22:13:20+00");
    assert_eq!(list[0]["verified_at"], serde_json::Value::Null);
    assert_eq!(list[1]["cut"]["shop.main.t"]["1"]["next_offset"], 101);
    let text = system.trueup(&["snapshot", "list", "{}"]).exit(0).stdout;
    assert!(
        text.contains("2 partitions to 2023-11-14 22:13:20+00"),
        "{text}"
    );

    let shown = system
        .trueup(&["snapshot", "show", "{}", "latest"])
        .exit(0)
        .stdout;
    for words in [
        "id int64 key, note text",
        "odd / name",
        "shop.main.t",
        "101",
        "as it was written",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    // One byte of a table: only a look at every byte finds that.
    let file = system.path("snapshots/usual/a/0-t.parquet");
    let mut bytes = fs::read(&file).unwrap();
    bytes[10] ^= 1;
    fs::write(&file, bytes).unwrap();
    let shown = system
        .trueup(&["snapshot", "show", "{}", "a"])
        .exit(1)
        .stdout;
    assert!(
        shown.contains("snapshot a is damaged: 0-t.parquet"),
        "{shown}"
    );
    fs::remove_file(&file).unwrap();
    let list = system.trueup(&["snapshot", "list", "{}"]).exit(0).stdout;
    assert!(
        list.contains("snapshot a is damaged: 0-t.parquet: it is missing"),
        "{list}"
    );
    system.trueup(&["snapshot", "show", "{}", "../x"]).exit(2);
}

#[test]
fn prune_keeps_what_is_good() {
    let system = Embedded::usual();
    system.playbook(&format!("{}snapshots: kept\n", usual_playbook()));
    let folder = system.path("kept/usual");
    let place = Place::open(&folder);
    for id in ["1", "2", "3", "4", "5"] {
        small(&place, id);
    }
    place
        .load("2")
        .unwrap()
        .mark_verified(Verified {
            at_ms: 0,
            position: None,
        })
        .unwrap();
    // The newest has lost a byte, which its size does not tell.
    let mut bytes = fs::read(folder.join("5/0-t.parquet")).unwrap();
    bytes[10] ^= 1;
    fs::write(folder.join("5/0-t.parquet"), bytes).unwrap();

    let prune = ["snapshot", "prune", "{}", "--keep", "1"];
    system
        .trueup(&prune)
        .exit(3)
        .says(&["remove 3 snapshots", "--yes"]);
    let dry = system
        .trueup(&[&prune[..], &["--dry-run", "--format", "json"]].concat())
        .exit(0)
        .json();
    let ids = |value: &serde_json::Value| {
        value
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s["id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(ids(&dry["removed"]), ["1", "3", "5"]);
    assert_eq!(ids(&dry["kept"]), ["2", "4"]);
    assert_eq!(dry["done"], false);
    assert_eq!(names(&folder), ["1", "2", "3", "4", "5"]);
    fs::create_dir(folder.join(".dead.part")).unwrap();
    system
        .trueup(&[&prune[..], &["--confirm", "usual", "--quiet"]].concat())
        .exit(0);
    assert_eq!(names(&folder), ["2", "4"]);
    system
        .trueup(&["snapshot", "prune", "{}", "--keep", "0"])
        .exit(2);
}
