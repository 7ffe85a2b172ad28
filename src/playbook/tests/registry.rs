//! `log.registry:`

use super::*;

const KAFKA: &str = "  kafka: { brokers";

fn with(registry: &str) -> String {
    assert!(EXAMPLE.contains(KAFKA));
    EXAMPLE.replace(KAFKA, &format!("  registry: {registry}\n{KAFKA}"))
}

#[test]
fn a_registry_is_read_and_its_password_hidden() {
    assert_eq!(loaded(EXAMPLE).registry, None);
    let playbook = loaded(&with(
        "{ url: \"https://me:hunter2@schemas:8081/apis/ccompat/v7\" }",
    ));
    let url = playbook.registry.as_ref().expect("a registry");
    assert_eq!(
        url.expose(),
        "https://me:hunter2@schemas:8081/apis/ccompat/v7"
    );
    let shown = format!("{playbook:?}");
    assert!(!shown.contains("hunter2"), "{shown}");
    assert!(shown.contains("https://me:***@schemas:8081"), "{shown}");
}

#[test]
fn what_is_wrong_with_it_is_said_without_it() {
    for (written, said) in [
        (
            "{ url: \"redis://me:hunter2@h\" }",
            "books/shop.yaml:6: log.registry.url: is no URL",
        ),
        (
            "{ url: \"https://me:hunter2/@h\" }",
            "books/shop.yaml:6: log.registry.url: cannot be taken apart",
        ),
        ("{ url: \"\" }", "log.registry.url"),
        ("{}", "log.registry"),
        ("{ uri: x }", "uri"),
        ("hunter2", "log.registry"),
    ] {
        let problems = problems(&with(written));
        assert!(problems.contains(said), "{written}: {problems}");
        assert!(!problems.contains("hunter2"), "{problems}");
    }
}
