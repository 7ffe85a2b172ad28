//! Every playbook under `playbooks/` is a runnable example: it loads, and the embedded one runs.

use std::path::Path;

use trueup::playbook;

#[test]
fn all_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks");
    let mut loaded = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "yaml") {
            continue;
        }
        let env = |name: &str| match name {
            "PRIMARY_URL" => Some("postgres://reader:pw@db.example/shop".to_owned()),
            "READ_STORE_URL" => Some("postgres://projector:pw@reads.example/shop".to_owned()),
            "KAFKA_BROKERS" => Some("broker.example:9092".to_owned()),
            _ => None,
        };
        playbook::load(&path, &env).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        loaded += 1;
    }
    assert!(loaded >= 2, "only {loaded} playbooks");
}
