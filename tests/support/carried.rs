//! A primary that Debezium carries into Kafka, and a read database, both of one test's own.

use super::projector::until;
use super::service;
use super::services::{Postgres, out, script};

/// Databases `NAME_primary` and `NAME_reads`; once it is told to carry tables, a connector, a replication slot and a
/// publication called NAME, and a topic `NAME.SCHEMA.TABLE` of 4 partitions for each table. Removed when dropped.
pub struct Carried {
    pub name: &'static str,
    pub brokers: String,
    pub postgres: Postgres,
}

impl Carried {
    /// Two empty databases; `None` when a service is missing and may be.
    pub fn new(name: &'static str) -> Option<Carried> {
        service("TRUEUP_TEST_CONNECT")?;
        let carried = Carried {
            name,
            brokers: service("TRUEUP_TEST_KAFKA")?,
            postgres: Postgres::new()?,
        };
        carried.clear();
        for database in [carried.primary_name(), carried.reads_name()] {
            let sql = format!("CREATE DATABASE {database}");
            carried.postgres.sql("postgres", &sql);
        }
        Some(carried)
    }

    fn clear(&self) {
        let _ = script("debezium").args(["drop", self.name]).output();
        for database in [self.primary_name(), self.reads_name()] {
            let sql = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
            self.postgres.sql("postgres", &sql);
        }
    }

    pub fn primary_name(&self) -> String {
        format!("{}_primary", self.name)
    }

    pub fn reads_name(&self) -> String {
        format!("{}_reads", self.name)
    }

    pub fn primary_url(&self) -> String {
        self.postgres.url(&self.primary_name())
    }

    pub fn reads_url(&self) -> String {
        self.postgres.url(&self.reads_name())
    }

    #[track_caller]
    pub fn primary(&self, sql: &str) -> String {
        self.postgres.sql(&self.primary_name(), sql)
    }

    #[track_caller]
    pub fn reads(&self, sql: &str) -> String {
        self.postgres.sql(&self.reads_name(), sql)
    }

    /// Carries what the tables hold and whatever is written to them from now on: `shop.*` for example.
    #[track_caller]
    pub fn carry(&self, tables: &str) {
        let database = self.primary_name();
        out(&script("debezium")
            .args(["add", self.name, &database, tables])
            .output()
            .unwrap());
        // Before there is a slot, no position in the log says anything.
        let sql = format!(
            "SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{}'",
            self.name
        );
        until("the connector has its slot", || self.primary(&sql) == "1");
        self.captured();
    }

    /// Waits until the log has all that the primary has committed.
    #[track_caller]
    pub fn captured(&self) {
        let took = self.postgres.captured(&self.primary_name(), self.name);
        println!("the log has it all after {took:?}");
    }
}

impl Drop for Carried {
    fn drop(&mut self) {
        // What a failed test leaves may be looked into.
        if std::env::var_os("TRUEUP_KEEP").is_none() {
            self.clear();
        }
    }
}
