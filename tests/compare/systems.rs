//! Two databases, of one kind or of two.

use std::fs;

use crate::support::pair::{Engine, Pair, Side};
use crate::support::{Ran, text};

/// Every pair of kinds: of the primary, of the read store.
pub const PAIRS: [(Engine, Engine); 4] = [
    (Engine::Postgres, Engine::Postgres),
    (Engine::Sqlite, Engine::Sqlite),
    (Engine::Postgres, Engine::Sqlite),
    (Engine::Sqlite, Engine::Postgres),
];

/// What every database of PostgreSQL gets: types that trueup knows as texts only, a collation that folds cases, and no
/// preparations for the size that its tables are taken to have.
const TYPES: &str = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET jit = off', current_database());
         EXECUTE format('ALTER DATABASE %I SET max_parallel_workers_per_gather = 0', current_database()); END $$;
     CREATE EXTENSION citext;
     CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
     CREATE TYPE mood AS ENUM ('sad', 'Sad', 'ok', 'so so'); CREATE DOMAIN price AS numeric CHECK (VALUE < 1e12);";

/// A primary and a read store.
pub struct Systems {
    primary: Pair,
    /// Where the read store is of another kind.
    read: Option<Pair>,
    engines: (Engine, Engine),
}

impl Systems {
    /// `None` when a service is missing and may be.
    pub fn new(engines: (Engine, Engine)) -> Option<Systems> {
        let systems = Systems {
            primary: Pair::new(engines.0, "compare")?,
            read: match engines {
                (a, b) if a == b => None,
                (_, read) => Some(Pair::new(read, "compare")?),
            },
            engines,
        };
        for side in [Side::Primary, Side::Read] {
            if systems.engine(side) == Engine::Postgres {
                systems.sql(side, TYPES);
            }
        }
        Some(systems)
    }

    pub fn engine(&self, side: Side) -> Engine {
        match side {
            Side::Primary => self.engines.0,
            Side::Read => self.engines.1,
        }
    }

    /// Whether a side is SQLite, which has no hash and holds fewer values.
    pub fn has_sqlite(&self) -> bool {
        self.engines != (Engine::Postgres, Engine::Postgres)
    }

    fn pair(&self, side: Side) -> &Pair {
        match (side, &self.read) {
            (Side::Read, Some(read)) => read,
            _ => &self.primary,
        }
    }

    #[track_caller]
    pub fn sql(&self, side: Side, sql: &str) {
        self.pair(side).sql(side, sql);
    }

    fn url(&self, side: Side) -> String {
        let pair = self.pair(side);
        let file = match side {
            Side::Primary => "primary.db",
            Side::Read => "read.db",
        };
        match self.engine(side) {
            Engine::Postgres => pair.url(side),
            Engine::Sqlite => format!("sqlite:{}", text(&pair.path(file))),
        }
    }

    /// A playbook with these sources and views.
    pub fn playbook(&self, sources: &str, views: &str) {
        let yaml = format!(
            "version: 1\nname: compare\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog: {{ archive: log.jsonl }}\napplied: none\nsources:\n{sources}views:\n{views}",
            self.url(Side::Primary),
            self.url(Side::Read)
        );
        fs::write(self.primary.path("playbook.yaml"), yaml).unwrap();
        fs::write(self.primary.path("log.jsonl"), "").unwrap();
    }

    pub fn trueup(&self, args: &[&str]) -> Ran {
        self.primary.trueup(args)
    }

    /// The ways of comparing that there are on this pair, as arguments.
    pub fn ways(&self) -> &'static [&'static [&'static str]] {
        const VERIFY: &[&str] = &["verify", "{}", "--format", "json"];
        const NO_HASH: &[&str] = &["verify", "{}", "--format", "json", "--no-hash"];
        if self.has_sqlite() {
            &[VERIFY]
        } else {
            &[VERIFY, NO_HASH]
        }
    }
}
