//! Every playbook under `playbooks/` is a runnable example: it loads, and it runs on real data.

use std::path::{Path, PathBuf};

use trueup::playbook;

use crate::support::carried::Carried;
use crate::support::projector::{Projector, Route, Setup};
use crate::support::{Ran, command, run, service, text};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The examples, by name.
fn examples() -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(root().join("playbooks"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml"))
        .collect();
    found.sort();
    found
}

#[test]
fn all_load() {
    for path in examples() {
        let env = |name: &str| match name {
            "PRIMARY_URL" => Some("postgres://reader:pw@db.example/shop".to_owned()),
            "READ_STORE_URL" => Some("postgres://projector:pw@reads.example/shop".to_owned()),
            "KAFKA_BROKERS" => Some("broker.example:9092".to_owned()),
            "KAFKA_USER" | "KAFKA_PASSWORD" => Some("secret".to_owned()),
            _ => None,
        };
        playbook::load(&path, &env).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    }
}

/// The shop that the examples are about.
struct System {
    shop: Carried,
    /// Where the broker asks for a password.
    sasl: String,
}

impl System {
    fn start() -> Option<System> {
        let sasl = service("TRUEUP_TEST_KAFKA_SASL")?;
        let shop = Carried::new("shop")?;
        let file = |name: &str| root().join("tests/playbooks").join(name);
        shop.postgres
            .file(&shop.primary_name(), &file("primary.sql"), &[]);
        shop.postgres
            .file(&shop.reads_name(), &file("reads.sql"), &[]);
        shop.carry("public.*");
        shop.postgres
            .file(&shop.primary_name(), &file("changes.sql"), &[]);
        shop.captured();
        Some(System { shop, sasl })
    }

    /// Runs the built program as the comments of the examples say.
    fn trueup(&self, path: &Path, args: &[&str]) -> Ran {
        let (path, needs_password) = (text(path), path.ends_with("filtered-copy.yaml"));
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { path.as_str() } else { a })
            .collect();
        let brokers = if needs_password {
            &self.sasl
        } else {
            &self.shop.brokers
        };
        run(command(&args)
            .env("PRIMARY_URL", self.shop.primary_url())
            .env("READ_STORE_URL", self.shop.reads_url())
            .env("KAFKA_BROKERS", brokers)
            .env("KAFKA_SECURITY", "SASL_PLAINTEXT")
            .env("KAFKA_USER", "trueup")
            .env("KAFKA_PASSWORD", "trueup-secret"))
    }

    /// The projector of the filtered copy: it has read all of the log, and is stopped.
    fn project_accounts(&self) {
        let route = Route::new("shop.public.accounts", "read.open_accounts")
            .key("id", "account_id", "bigint")
            .column("balance", "balance", "bigint")
            .offset_column("applied_offset")
            .only("status", &["open", "frozen"]);
        let setup = Setup::new(
            &self.shop.brokers,
            "account-projector",
            &self.shop.reads_url(),
            route,
        );
        let projector = Projector::start(setup);
        projector.drained(&projector.ends("shop.public.accounts"));
        projector.stop();
    }
}

#[test]
fn each_runs() {
    let Some(system) = System::start() else {
        return;
    };
    system.project_accounts();
    // Somebody has been at the table, and somebody else has filled a column that is not the projector's.
    system
        .shop
        .reads("UPDATE read.open_accounts SET balance = 0 WHERE account_id % 2 = 0; UPDATE read.open_accounts SET note = 'kept'");
    let examples = examples();
    assert!(examples.len() >= 4, "{examples:?}");
    for path in &examples {
        println!("{}", path.display());
        system.trueup(path, &["verify", "{}"]).exit(1);
        system
            .trueup(path, &["replay", "big-bang", "{}", "--yes"])
            .exit(0);
        system.trueup(path, &["verify", "{}"]).exit(0);
    }
    let count = |sql: &str| {
        system
            .shop
            .reads(&format!("SELECT count(*) FROM read.{sql}"))
    };
    assert_eq!(
        count("open_accounts WHERE note IS DISTINCT FROM 'kept'"),
        "0"
    );
    assert_ne!(count("customer_orders"), "0");
    for path in &examples {
        system.trueup(path, &["verify", "{}"]).exit(0);
    }
}
