//! What a record says around its row: where it stands in the primary's log, and when it was made.

use super::debezium::parse;
use super::envelope::{Envelope, EnvelopeSeed, Names, SourceBlock};
use super::flat::{Added, FlatSeed};
use super::settings::Settings;
use crate::projection::record::Position;
use crate::projection::version::{Identity, Order, Stamp};

/// Whether a snapshot wrote the record; one that does not say what made it may be one.
pub(super) fn is_snapshot(envelope: &Envelope<'_>) -> bool {
    match (envelope.op.as_deref(), &envelope.source) {
        (Some(op), _) if op != "r" => false,
        (None, Some(source)) => source.snapshot.is_none() || source.is_snapshot(),
        _ => true,
    }
}

/// What a record offers to order it by, under an order.
pub(super) fn stamp<'s>(envelope: &'s Envelope<'_>, order: &Order) -> Stamp<'s> {
    let Some(source) = &envelope.source else {
        return Stamp::default();
    };
    let words = match order {
        Order::Lsn => source.lsn.map(|lsn| [lsn, 0, 0]),
        Order::Binlog => binlog(source),
        Order::Field(name) => match name.as_str() {
            "source.lsn" => source.lsn,
            "source.ts_ms" => source.ts_ms.map(|t| t.cast_unsigned() ^ (1 << 63)),
            "source.txId" => source.tx_id,
            _ => None,
        }
        .map(|w| [w, 0, 0]),
        Order::Offset => None,
    };
    let identity = Identity {
        connector: source.connector.as_deref().unwrap_or_default(),
        name: source.name.as_deref().unwrap_or_default(),
        database: source.db.as_deref().unwrap_or_default(),
        server: source.server_id.unwrap_or_default(),
    };
    let clock = if source.is_snapshot() {
        None
    } else {
        source.ts_ms
    };
    let is_named = source.connector.is_some() || source.name.is_some() || source.db.is_some();
    Stamp {
        words,
        clock,
        identity: is_named.then_some(identity),
    }
}

/// `mysql-bin.000042` counts as 42.
fn binlog(source: &SourceBlock<'_>) -> Option<[u64; 3]> {
    let number = source.file.as_deref()?.rsplit('.').next()?.parse().ok()?;
    Some([number, source.pos?, source.row.unwrap_or_default()])
}

/// The source block of a record, where it is one of the connector's.
fn source_block<T>(
    value: &[u8],
    settings: &Settings,
    read: impl Fn(&SourceBlock<'_>) -> Option<T>,
) -> Option<T> {
    let at = Position {
        topic: "",
        partition: 0,
        offset: 0,
    };
    let names = &Names::default();
    let text = std::str::from_utf8(value).ok()?;
    if let Some(flattened) = &settings.flattened {
        let added = &Added::new(flattened);
        let flat = parse(at, text, FlatSeed { names, added }).ok()?;
        if let Some(found) = flat.source.as_ref().and_then(&read) {
            return Some(found);
        }
    }
    let envelope = parse(at, text, EnvelopeSeed { names }).ok()?;
    envelope.source.as_ref().and_then(read)
}

/// What a record offers to order by, for the plan.
#[must_use]
pub fn offered_order(value: &[u8], settings: &Settings) -> Option<Order> {
    source_block(value, settings, |source| {
        if source.lsn.is_some() {
            Some(Order::Lsn)
        } else {
            binlog(source).map(|_| Order::Binlog)
        }
    })
}

/// When the change of a record was made in the primary, in milliseconds since 1970 by the primary's clock.
#[must_use]
pub fn changed_at(value: &[u8]) -> Option<i64> {
    source_block(value, &Settings::default(), |source| source.ts_ms)
}
