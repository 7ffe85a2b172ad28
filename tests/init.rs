//! `trueup init`: what it drafts from two databases and a broker holds when `verify` runs on it.

mod services;

use std::process::Command;

use crate::support::embedded::{Embedded, change, line as record};
use crate::support::{Ran, command, run, text};

const PASSWORD: &str = "hunter2";

/// The command line in a folder, without the variables that the machine may have.
fn line(system: &Embedded, args: &[&str]) -> Command {
    let mut line = command(args);
    line.current_dir(system.folder.path());
    for variable in ["PRIMARY_URL", "READ_STORE_URL", "KAFKA_BROKERS"] {
        line.env_remove(variable);
    }
    line
}

/// `init` of the usual files, with more arguments.
fn init(system: &Embedded, more: &[&str]) -> Ran {
    let usual = [
        "init",
        "--primary",
        "sqlite:primary.db",
        "--read-store",
        "sqlite:read.db",
    ];
    run(&mut line(system, &[&usual[..], more].concat()))
}

fn drafted(system: &Embedded) -> String {
    std::fs::read_to_string(system.path("playbook.yaml")).unwrap()
}

/// The file has all of these lines, whatever the blanks before a remark.
#[track_caller]
fn holds(yaml: &str, lines: &[&str]) {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let all: Vec<String> = yaml.lines().map(plain).collect();
    for line in lines {
        let found = all.iter().any(|l| l.starts_with(&plain(line)));
        assert!(found, "{line:?} is not in\n{yaml}");
    }
}

/// Marks count the same in the head, in the file and on stderr.
#[track_caller]
fn counts_agree(yaml: &str, ran: &Ran) {
    let marked = yaml
        .lines()
        .skip(2)
        .filter(|l| l.contains("# guessed: "))
        .count();
    let said = ran
        .stderr
        .lines()
        .filter(|l| l.starts_with("  guessed: "))
        .count();
    assert_eq!(marked, said, "{yaml}\n{}", ran.stderr);
    let noun = if marked == 1 { "guess" } else { "guesses" };
    assert!(
        yaml.contains(&format!("# {marked} {noun} marked")),
        "{yaml}"
    );
}

#[test]
fn the_simple_case_verifies_as_it_is() {
    let table = "(id INTEGER PRIMARY KEY, a TEXT, b INTEGER)";
    let system = Embedded::new(
        &format!("CREATE TABLE t {table}; INSERT INTO t VALUES (1, 'x', 2)"),
        &format!("CREATE TABLE copy {table}; INSERT INTO copy VALUES (1, 'x', 2)"),
    );
    std::fs::remove_file(system.path("log.jsonl")).unwrap();
    let ran = init(&system, &[]).exit(0).says(&[
        "wrote playbook.yaml",
        "copy is a copy of t: 3 of 3 columns, key id",
        "guessed: sources.t.topic: primary.main.t",
        "to decide: applied",
        "next: trueup verify playbook.yaml",
    ]);
    assert_eq!(ran.stdout, "");
    let yaml = drafted(&system);
    println!("{yaml}{}", ran.stderr);
    counts_agree(&yaml, &ran);
    holds(
        &yaml,
        &[
            "version: 1",
            "primary: { url: \"sqlite:primary.db\" }",
            "read_store: { url: \"sqlite:read.db\" }",
            "log: { kafka: { brokers: \"${KAFKA_BROKERS:-localhost:9092}\" } } # guessed:",
            "applied: none",
            "topic: primary.main.t # guessed:",
            "table: copy",
            "key: [id]",
            "from: t",
        ],
    );
    assert!(!yaml.contains("columns:\n"), "{yaml}");
    system.trueup(&["verify", "playbook.yaml"]).exit(0);
    system.sql("read.db", "UPDATE copy SET a = 'drifted'");
    system.trueup(&["verify", "playbook.yaml"]).exit(1);
    // No temporary file is left.
    assert_eq!(std::fs::read_dir(system.folder.path()).unwrap().count(), 3);
}

#[test]
fn an_existing_file_is_not_touched() {
    let system = Embedded::usual();
    let before = drafted(&system);
    init(&system, &[])
        .exit(3)
        .says(&["playbook.yaml exists already"]);
    assert_eq!(drafted(&system), before);
    let ran = init(&system, &["--out", "-"]).exit(0);
    holds(&ran.stdout, &["version: 1", "table: copy"]);
    init(&system, &["--out", "nowhere/x.yaml"])
        .exit(3)
        .says(&["nowhere"]);
}

#[test]
fn every_column_is_accounted_for() {
    let system = Embedded::new(
        "CREATE TABLE accounts (id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER, status TEXT);
         INSERT INTO accounts VALUES (1, 'ann', 5, 'open')",
        "CREATE TABLE account_list (account INTEGER PRIMARY KEY, holder TEXT, cents INTEGER, state TEXT,
           applied_offset INTEGER, kafka_partition INTEGER, note BLOB, made TEXT DEFAULT 'd', twice AS (cents * 2));
         INSERT INTO account_list VALUES (1, 'ann', 5, 'open', 7, 0, NULL, 'm');
         CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT)",
    );
    let ran = init(&system, &[]).exit(0).says(&[
        "guessed: views.account_list.columns.account: id (renamed; both are the key)",
        "left out: settings",
    ]);
    let yaml = drafted(&system);
    println!("{yaml}");
    counts_agree(&yaml, &ran);
    holds(
        &yaml,
        &[
            "key: [account]",
            "account: id # guessed:",
            "holder: owner # guessed:",
            "cents: balance # guessed:",
            "state: status # guessed:",
            "applied_offset: \"@offset\" # guessed:",
            "kafka_partition: \"@partition\" # guessed:",
            "note: \"@foreign\" # guessed: nothing of accounts fits",
            "made: \"@default\" # guessed:",
            "# left out: settings",
        ],
    );
    assert!(!yaml.contains("twice"), "{yaml}");
    system.trueup(&["verify", "playbook.yaml"]).exit(0);
}

#[test]
fn composite_keys_and_those_that_do_not_fit() {
    let system = Embedded::new(
        "CREATE TABLE items (order_id INTEGER, line INTEGER, sku TEXT, PRIMARY KEY (order_id, line)) WITHOUT ROWID;
         CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO items VALUES (1, 1, 's'), (1, 2, 't')",
        "CREATE TABLE items (line INTEGER NOT NULL, order_id INTEGER NOT NULL, sku TEXT, PRIMARY KEY (line, order_id));
         CREATE TABLE people (id INTEGER, name TEXT PRIMARY KEY); INSERT INTO items VALUES (1, 1, 's'), (2, 1, 't')",
    );
    let ran = init(&system, &[]).exit(0).says(&["not usable yet: people"]);
    let yaml = drafted(&system);
    counts_agree(&yaml, &ran);
    holds(
        &yaml,
        &[
            "key: [line, order_id]",
            "# not usable yet: the key of people is (name), and that of people is (id)",
            "# people:",
        ],
    );
    let ran = system.trueup(&["verify", "playbook.yaml"]).exit(0);
    assert!(ran.stdout.contains("items") && !ran.stdout.contains("people"));
    // With nothing else to show, it is still written, and says so.
    init(&system, &["--table", "people", "--out", "people.yaml"])
        .exit(0)
        .says(&["no view can be used as it stands"]);
}

#[test]
fn names_that_yaml_would_take_for_something_else() {
    let table = "`order: #1` (`null` INTEGER PRIMARY KEY, `yes` TEXT, `no-1` TEXT, `- x` TEXT, `${HOME}` TEXT, `é\"'` TEXT, `1` TEXT)";
    let system = Embedded::new(
        &format!("CREATE TABLE {table}; INSERT INTO `order: #1` VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f')"),
        &format!("CREATE TABLE {table}; INSERT INTO `order: #1` VALUES (1, 'a', 'b', 'c', 'd', 'e', 'f');
                  ALTER TABLE `order: #1` ADD COLUMN `@note` TEXT;
                  CREATE TABLE `a.b` (id INTEGER PRIMARY KEY)"),
    );
    init(&system, &[]).exit(0).says(&["left out: a.b"]);
    let yaml = drafted(&system);
    println!("{yaml}");
    holds(
        &yaml,
        &[
            "topic: primary.main.order___1",
            "table: \"order: #1\"",
            "key: [\"null\"]",
            "\"yes\": \"yes\"",
            "no-1: no-1",
            "\"${HOME}\": \"$${HOME}\"",
            "\"@note\": \"@foreign\"",
        ],
    );
    system.trueup(&["verify", "playbook.yaml"]).exit(0);
    system.sql("read.db", "UPDATE `order: #1` SET `${HOME}` = 'x'");
    system.trueup(&["verify", "playbook.yaml"]).exit(1);
}

#[test]
fn a_copy_of_some_rows_is_asked_about() {
    let table = |name| format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, a TEXT);");
    let system = Embedded::new(
        &format!("{} INSERT INTO t VALUES (1, 'x'), (2, 'y')", table("t")),
        &format!("{} INSERT INTO t VALUES (1, 'x')", table("t")),
    );
    let ran = init(&system, &[])
        .exit(0)
        .says(&["to decide: views.t: t has about 2 rows"]);
    let yaml = drafted(&system);
    counts_agree(&yaml, &ran);
    assert!(yaml.contains("2 questions marked `# decide:`"), "{yaml}");
}

#[test]
fn nothing_fits() {
    let system = Embedded::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x BLOB)",
        "CREATE TABLE b (name TEXT PRIMARY KEY)",
    );
    init(&system, &[]).exit(3).says(&[
        "no table of the primary fits",
        "a (id int64, x bytes)",
        "b (name text)",
    ]);
    init(&system, &["--table", "nope"])
        .exit(2)
        .says(&["no table nope"]);
    assert!(!system.path("playbook.yaml").exists());
}

#[test]
fn one_database_needs_to_be_told_which_tables_are_copies() {
    let table = |name| format!("CREATE TABLE {name} (id INTEGER PRIMARY KEY, a TEXT);");
    let system = Embedded::new(&(table("t") + &table("t_copy")), "");
    let both = |more: &[&str]| {
        let url = "sqlite:primary.db";
        let args = ["init", "--primary", url, "--read-store", url];
        run(&mut line(&system, &[&args[..], more].concat()))
    };
    both(&[]).exit(3).says(&["one database", "t, t_copy"]);
    both(&["--table", "t_copy"])
        .exit(0)
        .says(&["t_copy is a copy of t"]);
    system.trueup(&["verify", "playbook.yaml"]).exit(0);
}

#[test]
fn files_are_found_from_where_the_playbook_lies() {
    let system = Embedded::usual();
    std::fs::create_dir_all(system.path("my books/here")).unwrap();
    let out = "my books/here/p.yaml";
    init(&system, &["--out", out])
        .exit(0)
        .says(&["next: trueup verify 'my books/here/p.yaml'"]);
    let yaml = std::fs::read_to_string(system.path(out)).unwrap();
    holds(&yaml, &["primary: { url: \"sqlite:../../primary.db\" }"]);
    system.trueup(&["verify", out]).exit(0);
    // A variable that holds a relative path would mean another file there.
    let mut from = line(
        &system,
        &[
            "init",
            "--out",
            "my books/q.yaml",
            "--read-store",
            "${READS}",
        ],
    );
    run(from
        .env("PRIMARY_URL", "sqlite:primary.db")
        .env("READS", format!("sqlite:{}", text(&system.path("read.db")))))
    .exit(0);
    let yaml = std::fs::read_to_string(system.path("my books/q.yaml")).unwrap();
    holds(
        &yaml,
        &[
            "primary: { url: \"sqlite:../primary.db\" }",
            "read_store: { url: \"${READS}\" }",
        ],
    );
}

#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let system = Embedded::usual();
    let url = format!("postgres://me:{PASSWORD}@127.0.0.1:1/shop");
    let given = |args: &[&str], code: i32, said: &str| {
        let all = [&["init", "--out", "new.yaml"][..], args].concat();
        let ran = run(line(&system, &all).env("SECRET", PASSWORD))
            .exit(code)
            .says(&[said]);
        let output = ran.stdout + &ran.stderr;
        assert!(!output.contains(PASSWORD), "{output}");
        assert!(!system.path("new.yaml").exists());
    };
    let read = ["--read-store", "sqlite:read.db"];
    given(
        &[&["--primary", &url][..], &read].concat(),
        2,
        "PRIMARY_URL",
    );
    given(
        &["--primary", "sqlite:primary.db", "--read-store", &url],
        2,
        "READ_STORE_URL",
    );
    given(&[&url], 2, "unexpected argument 'a URL'");
    given(&["--quiet", &format!("--nope={url}"), &url], 2, "--nope");
    given(&["--table", &url], 2, "--table and --out");
    given(&[&format!("--{url}")], 2, "unexpected argument");
    given(
        &["--primary", "postgres://me:hunter2/@h/d"],
        2,
        "READ_STORE_URL",
    );
    given(
        &[&["--primary", "postgres://me:hunter2/@h/d"][..], &read].concat(),
        2,
        "PRIMARY_URL",
    );
    given(
        &[&["--primary", "${NO_SUCH}"][..], &read].concat(),
        2,
        "`NO_SUCH` is not set",
    );
    given(&[&format!("--primry={url}")], 2, "--primry");
    // A password from the environment may be used, and is no more shown.
    let named = "postgres://me:${SECRET}@127.0.0.1:1/shop";
    given(
        &[&["--primary", named][..], &read].concat(),
        4,
        "cannot be reached",
    );
}

#[test]
fn tables_that_are_nobody_s_copies_are_not_looked_at() {
    let system = Embedded::usual();
    system.sql("primary.db", "INSERT INTO t VALUES (1, 'a', 1)");
    let value = change("c", 10, 1, "a", 1);
    system.log(&record(0, 0, "{\"id\":1}", Some(&value)));
    // A run leaves trueup's own tables behind; a view whose table is gone cannot be read.
    system
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(0);
    system.sql(
        "read.db",
        "CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE VIEW broken AS SELECT * FROM u; DROP TABLE u",
    );
    assert_eq!(
        system.rows(
            "read.db",
            "SELECT count(*) > 0 FROM sqlite_schema WHERE name LIKE 'trueup_%'"
        ),
        [["1"]]
    );
    let ran = init(&system, &["--out", "-"])
        .exit(0)
        .says(&["left out: broken: "]);
    assert!(!ran.stdout.contains("trueup_") && !ran.stdout.contains("sqlite_sequence"));
}
