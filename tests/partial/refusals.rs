//! A snapshot is gone on from only where the result must be that of the whole log; each reason not to is said.

use std::fs;

use super::{History, State, create, equal_oracle, partial, playbook, primary, system};
use crate::support::embedded::{Embedded, change, line};

const FROM_LATEST: [&str; 2] = ["--snapshot", "latest"];

/// A system with a snapshot that is known to be good, and a log that goes on behind it.
struct Ready {
    system: Embedded,
    history: History,
    cut: usize,
    id: String,
}

impl Ready {
    fn new() -> Ready {
        let history = History::random(11, 20, 100, 3);
        let (system, cut) = (system(), history.len() / 2);
        system.log(&history.archive(cut));
        primary(&system, &history.state(cut));
        let (id, _) = create(&system, &["--verify"]);
        system.log(&history.archive(history.len()));
        primary(&system, &history.state(history.len()));
        Ready {
            system,
            history,
            cut,
            id,
        }
    }

    fn whole(&self) -> State {
        self.history.state(self.history.len())
    }

    /// Nothing was written, and this was said.
    #[track_caller]
    fn refused(&self, flags: &[&str], words: &[&str]) {
        let before = super::tables(&self.system);
        partial(&self.system, flags).exit(3).says(words);
        assert_eq!(super::tables(&self.system), before);
    }

    /// With another playbook it is refused, and by the old one it is not.
    #[track_caller]
    fn changed(&self, was: &str, is: &str, words: &[&str]) {
        let other = playbook().replace(was, is);
        assert_ne!(other, playbook());
        self.system.playbook(&other);
        let all = [&["snapshot", &self.id, "changed since"], words].concat();
        self.refused(&FROM_LATEST, &all);
        self.system.playbook(&playbook());
    }
}

#[test]
fn of_another_projection() {
    let ready = Ready::new();
    ready.changed("[null, a]", "[null, b]", &["view.noted", "where"]);
    ready.changed("note: note", "note: name", &["view.noted", "columns"]);
    ready.changed("min(u.name)", "max(u.name)", &["view.by_note", "query"]);
    ready.changed(
        "topic: shop.public.u, table: u",
        "topic: shop.public.u, table: u, order_by: source.lsn",
        &["source.u", "source u"],
    );
    partial(&ready.system, &FROM_LATEST).exit(0);
    equal_oracle(&ready.system, &ready.whole(), "with the old playbook");
}

#[test]
fn of_another_log() {
    let ready = Ready::new();
    let other = History::random(12, 20, 400, 3);
    ready.system.log(&other.archive(other.len()));
    ready.refused(&FROM_LATEST, &["shop.public.t", "made anew", &ready.id]);
}

#[test]
fn cut_where_the_log_does_not_reach() {
    let ready = Ready::new();
    let (history, cut) = (&ready.history, ready.cut);
    let later = history.lines[history.len() - 40..].concat();
    ready.system.log(&later);
    ready.refused(
        &FROM_LATEST,
        &["the log begins at", "have left the log", "reconcile"],
    );
    ready.system.log(&history.archive(cut - 10));
    ready.refused(
        &FROM_LATEST,
        &["the log ends at", "not in the log any more"],
    );
}

#[test]
fn a_log_that_begins_before_the_cut_is_enough() {
    let ready = Ready::new();
    // What is older than the snapshot may be gone.
    let (history, cut) = (&ready.history, ready.cut);
    ready.system.log(&history.lines[cut - 40..].concat());
    partial(&ready.system, &FROM_LATEST).exit(0);
    equal_oracle(
        &ready.system,
        &ready.whole(),
        "of the younger half of the log",
    );
    let big_bang = ["replay", "big-bang", "{}", "--yes", "--quiet"];
    ready.system.trueup(&big_bang).exit(3).says(&["not at 0"]);
}

#[test]
fn not_known_to_be_good() {
    let history = History::random(13, 20, 100, 3);
    let (system, end) = (system(), history.len());
    system.log(&history.archive(end));
    partial(&system, &FROM_LATEST)
        .exit(3)
        .says(&["there is no snapshot", "trueup snapshot create"]);
    partial(&system, &["--snapshot", "latest", "--unverified"])
        .exit(3)
        .says(&["there is no snapshot"]);

    // The primary has lost everything: whatever the log says differs from it.
    let args = [
        "snapshot",
        "create",
        "{}",
        "--verify",
        "--yes",
        "--lag-wait",
        "0s",
    ];
    let made = system.trueup(&[&args[..], &["--format", "json"]].concat());
    let (made, code) = (made.json(), made.code);
    assert!(code == 1 || code == 5, "{code}: {made}");
    let id = made["snapshot"]["id"].as_str().unwrap();
    partial(&system, &FROM_LATEST)
        .exit(3)
        .says(&["there is no snapshot that is known to be good"]);
    partial(&system, &["--snapshot", id]).exit(3).says(&[
        id,
        "not known to be good",
        "--unverified",
    ]);

    primary(&system, &history.state(end));
    partial(&system, &["--snapshot", id, "--unverified"]).exit(0);
    equal_oracle(&system, &history.state(end), "unverified");
    system
        .trueup(&["snapshot", "verify", "{}", "latest", "--yes", "--quiet"])
        .exit(0);
    partial(&system, &FROM_LATEST).exit(0);
}

#[test]
fn of_other_views() {
    let history = History::random(14, 20, 100, 3);
    let system = system();
    system.log(&history.archive(history.len()));
    create(&system, &["--view", "copy"]);
    partial(&system, &["--snapshot", "latest", "--unverified"])
        .exit(3)
        .says(&["has no view.noted", "has no source.u", "create a new one"]);
    primary(&system, &history.state(history.len()));
    let one = ["--snapshot", "latest", "--unverified", "--view", "copy"];
    partial(&system, &one).exit(0);
}

#[test]
fn one_byte_of_any_file_changed() {
    let ready = Ready::new();
    let folder = ready
        .system
        .path("snapshots")
        .join("partial")
        .join(&ready.id);
    let mut files = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let whole = fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        damaged[whole.len() / 2] ^= 1;
        fs::write(&path, damaged).unwrap();
        for id in ["latest", &ready.id] {
            ready.refused(&["--snapshot", id], &["damaged", &name]);
        }
        fs::write(&path, whole).unwrap();
        files += 1;
    }
    assert!(files > 6, "{files} files");
    partial(&ready.system, &FROM_LATEST).exit(0);
    equal_oracle(&ready.system, &ready.whole(), "with every byte back");
}

#[test]
fn narrowed() {
    let ready = Ready::new();
    for narrow in [["--keys", "1,2"], ["--where", "{ note: a }"]] {
        let flags = [&FROM_LATEST[..], &narrow].concat();
        ready.refused(&flags, &["never swaps", "--from-offsets"]);
    }
}

#[test]
fn written_by_another_database_since() {
    let ready = Ready::new();
    let (history, cut) = (&ready.history, ready.cut);
    let later = history.lines[cut..].concat();
    let restored = later.replace(r#"\"db\":\"shop\""#, r#"\"db\":\"shop2\""#);
    assert_ne!(later, restored);
    ready.system.log(&(history.archive(cut) + &restored));
    let words = ["it comes from", "database shop2", "database shop", "epochs"];
    ready.refused(&FROM_LATEST, &words);
}

#[test]
fn positions_that_came_after_offsets() {
    let system = Embedded::usual();
    let put = |partition, offset, lsn: Option<u64>, a: &str| {
        let mut value: serde_json::Value =
            serde_json::from_str(&change("u", lsn.unwrap_or(0), 1, a, 1)).unwrap();
        value["source"]["lsn"] = lsn.into();
        let key = r#"{"id":1}"#;
        line(partition, offset, key, Some(&value.to_string()))
    };
    let first = put(0, 0, None, "of no position");
    system.log(&first);
    create(&system, &[]);
    let more = [
        put(0, 1, Some(50), "newest"),
        put(0, 2, Some(20), "overtaken"),
    ];
    system.log(&(first + &more.concat()));
    let from_latest = ["--snapshot", "latest", "--unverified"];
    partial(&system, &from_latest).exit(3).says(&[
        "by their offsets",
        "source position",
        "create a new one",
    ]);
    let (_, parent) = create(&system, &[]);
    assert_eq!(parent, None, "the whole log was folded");
    system.sql("primary.db", "INSERT INTO t VALUES (1, 'newest', 1)");
    partial(&system, &from_latest).exit(0);
    let row = [["1", "newest", "1"]];
    assert_eq!(system.rows("read.db", "SELECT * FROM copy"), row);
}
