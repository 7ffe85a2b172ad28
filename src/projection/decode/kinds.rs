//! Records of the connector that say nothing about rows, told by the keys that they have.

use super::Ignored;

/// Which of the keys that tell something a record has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys(u32);

const OTHER: u32 = 1;
const TIME: u32 = 1 << 1;
const STATUS: u32 = 1 << 2;
const ID: u32 = 1 << 3;
const EVENTS: u32 = 1 << 4;
const CHANGES: u32 = 1 << 5;
const DATABASE: u32 = 1 << 6;
const AGGREGATE: u32 = 1 << 7;
const TYPE: u32 = 1 << 8;
const SOURCE: u32 = 1 << 9;

impl Keys {
    /// Takes a key of the record.
    pub(super) fn note(&mut self, key: &str) {
        self.0 |= match key {
            "ts_ms" | "ts_us" | "ts_ns" => TIME,
            "status" => STATUS,
            "id" => ID,
            "event_count" | "data_collections" => EVENTS,
            "ddl" | "tableChanges" => CHANGES,
            "databaseName" => DATABASE,
            "aggregate_type" => AGGREGATE,
            "type" => TYPE,
            "source" => SOURCE,
            _ => OTHER,
        };
    }

    /// What a record of these keys is; `None` when it is none of those that may be passed over.
    pub(super) fn kind(self) -> Option<Ignored> {
        let has = |keys: u32| self.0 & keys == keys;
        if self.0 == TIME {
            Some(Ignored::Heartbeat)
        } else if has(STATUS | ID) && self.0 & !(STATUS | ID | EVENTS | TIME) == 0 {
            Some(Ignored::Transaction)
        } else if has(CHANGES) && (has(DATABASE) || has(SOURCE)) {
            Some(Ignored::SchemaChange)
        } else if has(AGGREGATE | TYPE | ID) {
            Some(Ignored::Notification)
        } else {
            None
        }
    }
}
