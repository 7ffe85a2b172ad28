//! Drift in every report: one row changed, one gone, one that nobody expects. It is found and repaired exactly.

use std::collections::BTreeSet;

use serde_json::Value;

use super::system::Shop;
use super::views::{VIEWS, View};
use super::{run, timed};

/// Kind and key of a difference, by view.
type Found = BTreeSet<(String, String, String)>;

pub fn found_and_repaired(shop: &Shop, seed: u64) {
    harmless(shop);
    let planted: Found = VIEWS.iter().flat_map(|v| plant(shop, v, seed)).collect();
    assert_eq!(planted.len(), 3 * VIEWS.len(), "{planted:?}");
    let verdict = timed(shop, &["verify", "{}"], 1);
    assert_eq!(found(&verdict), planted, "{verdict}");
    for view in verdict["views"].as_array().unwrap() {
        let counts = ["missing", "extra", "changed"].map(|kind| view[kind].as_u64().unwrap());
        assert_eq!(counts, [1, 1, 1], "{view}");
    }
    let plan = timed(shop, &["reconcile", "{}"], 1);
    assert_eq!(found(&plan), planted, "{plan}");
    let before = shop.reads("SELECT pg_current_xact_id()");
    let repaired = run(shop, &["reconcile", "{}", "--apply", "--yes"]).exit(0);
    let repaired: Vec<Value> = lines(&repaired.stdout);
    assert_eq!(repaired.len(), VIEWS.len(), "{repaired:?}");
    for done in &repaired {
        let counts = ["inserted", "deleted", "updated", "healed", "superseded"];
        let counts = counts.map(|what| done[what].as_u64().unwrap());
        assert_eq!(counts, [1, 1, 1, 0, 0], "{done}");
    }
    for view in &VIEWS {
        let written = shop.reads(&format!(
            "SELECT count(*) FROM reports.{} WHERE xmin::text::bigint > {before}",
            view.name
        ));
        assert_eq!(written, "2", "{}: rows written beyond need", view.name);
    }
    shop.equal("planted drift repaired");
    timed(shop, &["verify", "{}"], 0);
}

/// What differs only as the rules allow is no difference: another order of what has none, and the last digits of a sum.
fn harmless(shop: &Shop) {
    shop.reads(
        "UPDATE reports.buyers_of_category SET channels = ARRAY(SELECT unnest(channels) ORDER BY 1 DESC),
             cities = (SELECT string_agg(city, ', ' ORDER BY city DESC) FROM unnest(string_to_array(cities, ', ')) AS city);
         UPDATE reports.supplier_scores SET average_weight = average_weight * (1 + 1e-12)",
    );
    timed(shop, &["verify", "{}"], 0);
}

/// Plants three differences at random rows, and gives them as they should be found.
fn plant(shop: &Shop, view: &View, seed: u64) -> Found {
    let (table, keys) = (view.name, view.key.join(", "));
    let same = |n: u32| {
        let same: Vec<String> = view.key.iter().map(|k| format!("t.{k} = p.{k}")).collect();
        format!("p.n = {n} AND {}", same.join(" AND "))
    };
    let key: Vec<String> = view
        .key
        .iter()
        .map(|k| format!("'{k}', to_jsonb(t.{k}) #>> '{{}}'"))
        .collect();
    let key = format!("jsonb_build_object({}) AS key", key.join(", "));
    let rows = shop.reads(&format!(
        "WITH p AS MATERIALIZED (
             SELECT {keys}, row_number() OVER (ORDER BY hashtextextended(ROW({keys})::text, {})) AS n FROM reports.{table}
         ), changed AS (UPDATE reports.{table} AS t SET {} FROM p WHERE {} RETURNING {key}
         ), missing AS (DELETE FROM reports.{table} AS t USING p WHERE {} RETURNING {key}
         ), extra AS (
             INSERT INTO reports.{table} AS t SELECT (jsonb_populate_record(t, '{}')).* FROM reports.{table} AS t, p WHERE {} RETURNING {key}
         )
         SELECT 'changed', key FROM changed UNION ALL SELECT 'missing', key FROM missing UNION ALL SELECT 'extra', key FROM extra",
        seed >> 1,
        view.spoil,
        same(1),
        same(2),
        view.stray,
        same(3),
    ));
    let row = |line: &str| {
        let (kind, key) = line.split_once('|').unwrap();
        let key: Value = serde_json::from_str(key).unwrap();
        (table.to_owned(), kind.to_owned(), key.to_string())
    };
    rows.lines().map(row).collect()
}

/// One JSON object a line.
fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The differences of a verdict or a plan.
fn found(printed: &Value) -> Found {
    let views = printed["views"].as_array().unwrap();
    let samples = |view: &Value| {
        let name = view["view"].as_str().unwrap().to_owned();
        let samples = view["samples"].as_array().unwrap().clone();
        samples.into_iter().map(move |s| {
            let kind = s["kind"].as_str().unwrap().to_owned();
            (name.clone(), kind, s["key"].to_string())
        })
    };
    views.iter().flat_map(samples).collect()
}
