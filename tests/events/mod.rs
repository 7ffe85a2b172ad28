//! An order book written as domain events through the outbox form, held against an oracle that adds them up the naive way.

mod book;
mod histories;
mod mutated;
mod quarantine;
mod refusals;

use std::collections::BTreeMap;

use self::book::{History, Order};
use crate::support::pair::{Engine, Pair, Side};

const BOOK: &str = "(order_id bigint PRIMARY KEY, customer text NOT NULL, state text NOT NULL, lines bigint NOT NULL, \
     total decimal(14, 2) NOT NULL, paid decimal(14, 2) NOT NULL, note text, last_event text";

const VIEW: &str = r#"sources:
  order_events: { topic: shop.events.order, format: events, envelope: outbox }
views:
  book:
    key: [order_id]
    from: order_events
    columns: { order_id: "@key", last_event: "@type", last_offset: "@offset", memo: "@foreign" }
    on:
      OrderPlaced:
        set: { customer: [customer.id, customer_id], state: { value: placed }, note: { field: note, absent: null } }
      LineAdded: { add: { lines: { value: 1 }, total: amount } }
      LineRemoved: { add: { lines: { value: -1 }, total: -amount } }
      OrderPaid: { set: { state: { value: paid } }, add: { paid: payment.amount } }
      OrderNoted: { set: { note: { field: note, absent: keep } } }
      OrderCancelled: delete
      Heartbeat: ignore
      "*": ignore
    expected: |
      SELECT order_id, customer, state, lines, total, paid, note, last_event FROM orders
limits: { repairs_max: "100%", deletes_max: "100%" }
"#;

/// What no event says.
const RUBBISH: &str = "
DELETE FROM book WHERE order_id % 5 = 3;
UPDATE book SET total = total + 1, state = 'wrong' WHERE order_id % 2 = 0;
INSERT INTO book VALUES (-5, 'old', 'old', 1, 1, 1, NULL, NULL, 7, 'x');";

/// A primary with the orders, and a read store with a book that is empty but for rubbish.
fn system(engine: Engine) -> Option<Pair> {
    let pair = Pair::new(engine, "events")?;
    pair.sql(Side::Primary, &format!("CREATE TABLE orders {BOOK});"));
    pair.sql(
        Side::Read,
        &format!("CREATE TABLE book {BOOK}, last_offset bigint, memo text); {RUBBISH}"),
    );
    pair.playbook_of("none", VIEW);
    Some(pair)
}

fn log(pair: &Pair, lines: &[String]) {
    std::fs::write(pair.path("log.jsonl"), lines.concat()).unwrap();
}

fn cents(cents: i64) -> String {
    let sign = if cents < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
}

/// Brings the primary to where the orders are.
fn primary(pair: &Pair, orders: &BTreeMap<i64, Order>) {
    let quoted = |text: &Option<String>| {
        let quoted = text
            .as_ref()
            .map(|t| format!("'{}'", t.replace('\'', "''")));
        quoted.unwrap_or_else(|| "NULL".to_owned())
    };
    let mut sql = "BEGIN; DELETE FROM orders;\n".to_owned();
    for (id, o) in orders {
        sql += &format!(
            "INSERT INTO orders VALUES ({id}, '{}', '{}', {}, {}, {}, {}, '{}');\n",
            o.customer,
            o.state,
            o.lines,
            cents(o.total),
            cents(o.paid),
            quoted(&o.note),
            o.last_event
        );
    }
    pair.sql(Side::Primary, &(sql + "COMMIT;"));
}

/// The book as it stands, and as the oracle has it.
#[track_caller]
fn equal_oracle(pair: &Pair, orders: &BTreeMap<i64, Order>, what: &str) {
    let sql = "SELECT order_id, customer, state, lines, CAST(round(total * 100) AS bigint), CAST(round(paid * 100) AS bigint), \
         coalesce(note, '-'), last_event, last_offset FROM book ORDER BY order_id";
    let want: Vec<String> = orders
        .iter()
        .map(|(id, o)| {
            let note = o.note.as_deref().unwrap_or("-");
            let Order {
                customer,
                state,
                lines,
                total,
                paid,
                last_event,
                last_offset,
                ..
            } = o;
            format!(
                "{id}|{customer}|{state}|{lines}|{total}|{paid}|{note}|{last_event}|{last_offset}"
            )
        })
        .collect();
    assert_eq!(pair.lines(Side::Read, sql), want, "{what}");
}

/// Every record became something, and what the oracle says that it became.
#[track_caller]
fn counts_hold(done: &serde_json::Value, history: &History, (from, to): (usize, usize)) {
    let counts = &done["counts"];
    let number = |name: &str| counts[name].as_u64().unwrap();
    let of = history.counts(from, to);
    let found = (
        number("put"),
        number("deleted"),
        counts["ignored"]["event"].as_u64().unwrap_or(0),
    );
    assert_eq!(found, of, "{counts}");
    assert_eq!(number("read"), (to - from) as u64, "{counts}");
    for none in ["stale", "duplicate", "blocked", "quarantined", "truncated"] {
        assert_eq!(number(none), 0, "{counts}");
    }
}

const BIG_BANG: &[&str] = &[
    "replay", "big-bang", "{}", "--yes", "--quiet", "--format", "json",
];
