//! Random histories of an order book, every event in one of the forms that the outbox router writes.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

/// An order, with its money in cents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) customer: String,
    pub(super) state: String,
    pub(super) lines: i64,
    pub(super) total: i64,
    pub(super) paid: i64,
    pub(super) note: Option<String>,
    pub(super) last_event: String,
    pub(super) last_offset: i64,
}

/// What happened to an order.
#[derive(Clone, Debug)]
enum Event {
    Placed(String, Option<String>),
    LineAdded(i64),
    LineRemoved(i64),
    Paid(i64),
    /// `None` when the event has no such field.
    Noted(Option<Option<String>>),
    Cancelled,
    /// Of a type that says nothing of the book.
    Other(&'static str),
}

struct Record {
    order: i64,
    offset: i64,
    event: Event,
}

/// Events in the order of their arrival, each order's in one partition.
pub(super) struct History {
    records: Vec<Record>,
    pub(super) lines: Vec<String>,
}

const NOTES: [&str; 4] = ["", "it's \"urgent\"", "é漢😀", "back\\slash\ttab"];

fn random_event(rng: &mut StdRng, placed: bool) -> Event {
    let note = |rng: &mut StdRng| {
        let at = rng.random_range(0..=NOTES.len());
        NOTES.get(at).map(|n| (*n).to_owned())
    };
    if !placed {
        return Event::Placed(format!("c-{}", rng.random_range(1..9)), note(rng));
    }
    let amount = rng.random_range(0..100_000);
    match rng.random_range(0..20) {
        0..=6 => Event::LineAdded(amount),
        7..=9 => Event::LineRemoved(amount),
        10..=12 => Event::Paid(amount),
        13 => Event::Noted(None),
        14..=15 => Event::Noted(Some(note(rng))),
        16 => Event::Cancelled,
        17 => Event::Placed(format!("c-{}", rng.random_range(1..9)), note(rng)),
        18 => Event::Other("Heartbeat"),
        _ => Event::Other("OrderViewed"),
    }
}

impl Event {
    fn kind(&self) -> &'static str {
        match self {
            Event::Placed(..) => "OrderPlaced",
            Event::LineAdded(_) => "LineAdded",
            Event::LineRemoved(_) => "LineRemoved",
            Event::Paid(_) => "OrderPaid",
            Event::Noted(_) => "OrderNoted",
            Event::Cancelled => "OrderCancelled",
            Event::Other(kind) => kind,
        }
    }

    /// Its data; money as a number or as a text.
    fn data(&self, rng: &mut StdRng) -> Value {
        let mut money = |cents: &i64| {
            let text = super::cents(*cents);
            match rng.random_bool(0.5) {
                true => Value::from(text),
                false => serde_json::from_str(&text).unwrap(),
            }
        };
        match self {
            Event::Placed(customer, None) => json!({"customer_id": customer}),
            Event::Placed(customer, note) => json!({"customer": {"id": customer}, "note": note}),
            Event::LineAdded(cents) | Event::LineRemoved(cents) => {
                json!({"amount": money(cents), "quantity": 1})
            }
            Event::Paid(cents) => json!({"payment": {"amount": money(cents), "by": "card"}}),
            Event::Noted(Some(note)) => json!({"note": note}),
            Event::Noted(None) => json!({"by": "somebody"}),
            Event::Cancelled => Value::Null,
            Event::Other(_) => json!({"at": [1, 2, {"note": "none"}]}),
        }
    }
}

/// Key, value and headers in one of the forms of the router and its converters.
fn form(rng: &mut StdRng, order: i64, event: &Event) -> (String, Option<String>, Vec<String>) {
    let wrapped =
        |value: Value| json!({"schema": {"type": "string", "optional": true}, "payload": value});
    let order = order.to_string();
    let key = match rng.random_range(0..3) {
        0 => order,
        1 => json!(order).to_string(),
        _ => wrapped(json!(order)).to_string(),
    };
    let data = event.data(rng);
    let payload = match rng.random_bool(0.5) {
        true if data.is_object() => json!(data.to_string()),
        _ => data.clone(),
    };
    let kind = match rng.random_bool(0.5) {
        true => event.kind().to_owned(),
        false => json!(event.kind()).to_string(),
    };
    let id = vec!["id".to_owned(), "2a5f".to_owned()];
    let headers = [id.clone(), vec!["eventType".to_owned(), kind]].concat();
    match rng.random_range(0..4) {
        0 if data.is_null() => (key, None, headers),
        0 | 1 => (key, Some(payload.to_string()), headers),
        2 => (key, Some(wrapped(payload).to_string()), headers),
        _ => {
            let beside = json!({"payload": payload, "eventType": event.kind()});
            let value = match rng.random_bool(0.5) {
                true => wrapped(beside),
                false => beside,
            };
            (key, Some(value.to_string()), id)
        }
    }
}

fn line(rng: &mut StdRng, partition: i64, record: &Record) -> String {
    let (key, value, headers) = form(rng, record.order, &record.event);
    let json = json!({
        "topic": "shop.events.order", "partition": partition, "offset": record.offset, "tstype": "create",
        "ts": 1_700_000_000_000i64, "broker": 0, "headers": headers, "key": key, "payload": value,
    });
    format!("{json}\n")
}

impl History {
    pub(super) fn random(seed: u64, orders: i64, events: usize, partitions: i64) -> History {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut next = vec![0; usize::try_from(partitions).unwrap()];
        let mut placed = BTreeMap::new();
        let mut history = History {
            records: Vec::new(),
            lines: Vec::new(),
        };
        for _ in 0..events {
            let order = rng.random_range(1..=orders);
            let event = random_event(&mut rng, placed.contains_key(&order));
            match event {
                Event::Cancelled => drop(placed.remove(&order)),
                Event::Placed(..) => drop(placed.insert(order, ())),
                _ => {}
            }
            let partition = order % partitions;
            let offset = &mut next[usize::try_from(partition).unwrap()];
            let record = Record {
                order,
                offset: *offset,
                event,
            };
            *offset += 1;
            history.lines.push(line(&mut rng, partition, &record));
            history.records.push(record);
        }
        history
    }

    /// The orders after the first `to` events, added up one by one.
    pub(super) fn orders(&self, to: usize) -> BTreeMap<i64, Order> {
        let mut orders: BTreeMap<i64, Order> = BTreeMap::new();
        for record in &self.records[..to] {
            if let Event::Other(_) = record.event {
                continue;
            }
            if let Event::Cancelled = record.event {
                orders.remove(&record.order);
                continue;
            }
            let order = orders.entry(record.order).or_default();
            match &record.event {
                Event::Placed(customer, note) => {
                    (order.customer, order.note) = (customer.clone(), note.clone());
                    order.state = "placed".to_owned();
                }
                Event::LineAdded(cents) => {
                    order.lines += 1;
                    order.total += cents;
                }
                Event::LineRemoved(cents) => {
                    order.lines -= 1;
                    order.total -= cents;
                }
                Event::Paid(cents) => {
                    order.state = "paid".to_owned();
                    order.paid += cents;
                }
                Event::Noted(note) => {
                    if let Some(note) = note {
                        order.note.clone_from(note);
                    }
                }
                Event::Cancelled | Event::Other(_) => {}
            }
            order.last_event = record.event.kind().to_owned();
            order.last_offset = record.offset;
        }
        orders
    }

    /// How many of these events put, delete, and say nothing.
    pub(super) fn counts(&self, from: usize, to: usize) -> (u64, u64, u64) {
        let (mut put, mut deleted, mut ignored) = (0, 0, 0);
        for record in &self.records[from..to] {
            match record.event {
                Event::Cancelled => deleted += 1,
                Event::Other(_) => ignored += 1,
                _ => put += 1,
            }
        }
        (put, deleted, ignored)
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }
}
