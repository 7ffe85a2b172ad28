//! A large table with planted differences: found, repaired, taken back, and a plan applied late.

use crate::support::pair::{Engine, Pair, Side};
use crate::support::size;

const COLUMNS: [&str; 4] = ["account_id", "owner", "balance", "status"];

/// `rows` accounts and their copy, with 100 changed, 50 missing and 50 extra rows, and a record of each row that is touched
/// from then on.
fn planted(rows: usize) -> Option<Pair> {
    let pair = Pair::new(Engine::Postgres, "planted")?;
    let accounts = format!(
        "SELECT i, 'holder ' || i, i * 1.5, CASE WHEN i % 3 = 0 THEN NULL ELSE 'open' END FROM generate_series(1, {rows}) AS i"
    );
    pair.sql(
        Side::Primary,
        &format!(
            "CREATE TABLE accounts (id bigint PRIMARY KEY, holder text NOT NULL, balance numeric(12,2) NOT NULL, status text);
             INSERT INTO accounts {accounts}; ANALYZE accounts"
        ),
    );
    let step = rows / 100;
    pair.sql(
        Side::Read,
        &format!(
            "CREATE SCHEMA read;
             CREATE TABLE read.accounts (account_id bigint PRIMARY KEY, owner text NOT NULL, balance numeric NOT NULL, status text,
                                         applied_offset bigint NOT NULL DEFAULT 0, note text);
             INSERT INTO read.accounts {accounts}; UPDATE read.accounts SET applied_offset = account_id, note = 'kept' WHERE account_id % 7 = 0;
             UPDATE read.accounts SET balance = balance + 1 WHERE account_id % {step} = 0;
             DELETE FROM read.accounts WHERE account_id % {step} = 1 AND account_id < {rows} / 2;
             INSERT INTO read.accounts SELECT {rows} + i, 'nobody', 0, NULL, 0, 'extra' FROM generate_series(1, 50) AS i;
             CREATE TABLE touched (op text, id bigint);
             CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN INSERT INTO touched VALUES (TG_OP, coalesce(NEW.account_id, OLD.account_id)); RETURN NULL; END $$;
             CREATE TRIGGER touch AFTER INSERT OR UPDATE OR DELETE ON read.accounts FOR EACH ROW EXECUTE FUNCTION touch();
             ANALYZE read.accounts"
        ),
    );
    pair.playbook_of(
        "none",
        "sources: { accounts: { topic: bank.public.accounts } }
views:
  accounts:
    table: read.accounts
    key: [account_id]
    from: accounts
    columns: { account_id: id, owner: holder, balance: balance, status: status, applied_offset: \"@offset\", note: \"@foreign\" }
",
    );
    Some(pair)
}

fn touched(pair: &Pair) -> Vec<String> {
    pair.lines(Side::Read, "SELECT op || ' ' || count(*) || ' ' || count(DISTINCT id) FROM touched GROUP BY op ORDER BY op")
}

fn all(pair: &Pair) -> Vec<String> {
    pair.dump(
        Side::Read,
        "read.accounts",
        &[
            "account_id",
            "owner",
            "balance",
            "status",
            "applied_offset",
            "note",
        ],
    )
}

#[test]
fn repaired_and_taken_back() {
    let rows = size(20_000, 1_000_000);
    let Some(pair) = planted(rows) else { return };
    let before = all(&pair);
    let plan = pair
        .trueup(&["reconcile", "{}", "--format", "json"])
        .exit(1)
        .json();
    let view = &plan["views"][0];
    assert_eq!(
        (
            view["changed"].as_u64(),
            view["missing"].as_u64(),
            view["extra"].as_u64()
        ),
        (Some(100), Some(50), Some(50))
    );
    assert!(
        view["notes"][0].as_str().unwrap().contains("trigger touch"),
        "{view}"
    );
    assert!(
        view["samples"][0]["columns"][0]["expected"].is_null(),
        "values only when asked for"
    );

    let done = pair
        .trueup(&[
            "reconcile",
            "{}",
            "--apply",
            "--confirm",
            "read.accounts",
            "--format",
            "json",
        ])
        .exit(0)
        .json();
    assert_eq!(
        (
            done["updated"].as_u64(),
            done["inserted"].as_u64(),
            done["deleted"].as_u64()
        ),
        (Some(100), Some(50), Some(50))
    );
    assert_eq!(
        touched(&pair),
        ["DELETE 50 50", "INSERT 50 50", "UPDATE 100 100"]
    );
    assert_eq!(pair.dump(Side::Read, "read.accounts", &COLUMNS).len(), rows,);
    pair.trueup(&["verify", "{}"]).exit(0);
    pair.trueup(&["reconcile", "{}"]).exit(0);

    pair.trueup(&[
        "undo",
        "{}",
        done["run"].as_str().unwrap(),
        "--confirm",
        "read.accounts",
    ])
    .exit(0);
    assert_eq!(all(&pair), before, "dump for dump");
    pair.trueup(&["verify", "{}"]).exit(1);
    let runs = pair
        .trueup(&["runs", "{}", "--format", "json"])
        .exit(0)
        .json();
    let kinds: Vec<&str> = runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["kind"].as_str().unwrap())
        .collect();
    assert_eq!(kinds, ["reconcile", "undo"]);
    assert_eq!(runs["runs"][0]["undone"], 200);

    // An undo is a run like any other.
    pair.trueup(&["undo", "{}", "latest", "--yes"]).exit(0);
    pair.trueup(&["verify", "{}"]).exit(0);
}

#[test]
fn a_saved_plan_leaves_what_moved_on_alone() {
    let rows = size(20_000, 1_000_000);
    let Some(pair) = planted(rows) else { return };
    let file = crate::support::text(&pair.path("plan.json"));
    pair.trueup(&["reconcile", "{}", "--out", &file]).exit(1);
    // 30 rows change in the read store and 20 in the primary, among those to be updated.
    let step = rows / 100;
    let (here, there) = (step * 30, step * 50);
    pair.sql(Side::Read, &format!("UPDATE read.accounts SET balance = -5 WHERE account_id % {step} = 0 AND account_id <= {here}"));
    pair.sql(Side::Primary, &format!("UPDATE accounts SET balance = -7 WHERE id % {step} = 0 AND id > {here} AND id <= {there}"));
    let moved = format!(
        "SELECT account_id, balance FROM read.accounts WHERE account_id % {step} = 0 AND account_id <= {there} ORDER BY 1"
    );
    let before = pair.lines(Side::Read, &moved);
    pair.sql(Side::Read, "DELETE FROM touched");

    let done = pair
        .trueup(&[
            "reconcile",
            "{}",
            "--plan",
            &file,
            "--apply",
            "--yes",
            "--format",
            "json",
        ])
        .exit(5)
        .json();
    assert_eq!(done["moved_on"].as_array().unwrap().len(), 50);
    assert_eq!(
        (
            done["updated"].as_u64(),
            done["inserted"].as_u64(),
            done["deleted"].as_u64()
        ),
        (Some(50), Some(50), Some(50))
    );
    assert_eq!(pair.lines(Side::Read, &moved), before);
    assert_eq!(
        touched(&pair),
        ["DELETE 50 50", "INSERT 50 50", "UPDATE 50 50"]
    );

    // For another projection, another database, or too late, it is no plan.
    let plan = std::fs::read_to_string(&file).unwrap();
    let spoilt = |from: &str, to: &str| {
        assert!(plan.contains(from), "{from}");
        std::fs::write(&file, plan.replacen(from, to, 1)).unwrap();
        pair.trueup(&["reconcile", "{}", "--plan", &file, "--apply", "--yes"])
            .exit(3)
    };
    let projection = plan.split("\"projection\": \"").nth(1).unwrap()[..12].to_owned();
    spoilt(&projection, "000000000000").says(&["projection"]);
    spoilt("\"read_store\": \"PostgreSQL", "\"read_store\": \"Other").says(&["read store"]);
    let year = plan.split("\"made_at\": \"").nth(1).unwrap()[..4].to_owned();
    spoilt(&format!("\"made_at\": \"{year}"), "\"made_at\": \"2001").says(&["24 hours"]);
    pair.trueup(&["reconcile", "{}", "--apply", "--yes"])
        .exit(0);
    pair.trueup(&["verify", "{}"]).exit(0);
}
