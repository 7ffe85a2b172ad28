//! `limits:`, as far as they are no numbers of rows.

use super::*;

#[test]
fn a_bound_of_lag() {
    let bound = |written: &str| {
        let limits = format!("limits: {{ replica_lag_max: {written} }}");
        let old = r#"limits:  { repairs_max: "10%", deletes_max: 1000 }"#;
        assert!(EXAMPLE.contains(old));
        let playbook = load_text(&EXAMPLE.replace(old, &limits)).ok();
        playbook.and_then(|p| p.limits.replica_lag_max)
    };
    let within = |ms| Some(LagMax::Within(Duration::from_millis(ms)));
    assert_eq!(bound("1.5s"), within(1_500));
    assert_eq!(bound("500ms"), within(500));
    assert_eq!(bound("2m"), within(120_000));
    assert_eq!(bound("none"), Some(LagMax::None));
    for wrong in ["0s", "1.5", "-1s", "1e3s", "infs", "soon"] {
        assert_eq!(bound(wrong), None, "{wrong}");
    }
}
