//! Metrics as OpenMetrics text, for the textfile collector of a node exporter.

use std::collections::BTreeMap;

/// Gauges, gathered by name.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    families: BTreeMap<String, (String, Vec<String>)>,
}

impl Metrics {
    /// Sets a gauge.
    pub fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let (_, samples) = self
            .families
            .entry(name.to_owned())
            .or_insert_with(|| (help.to_owned(), Vec::new()));
        samples.push(format!("{name}{{{}}} {value}\n", labels.join(",")));
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        for (name, (help, samples)) in &self.families {
            out.push_str(&format!(
                "# TYPE {name} gauge\n# HELP {name} {}\n",
                escaped(help)
            ));
            out.push_str(&samples.concat());
        }
        out.push_str("# EOF\n");
        out
    }
}

/// The value of a gauge in an earlier text, for what outlives a run that failed.
#[must_use]
pub fn earlier(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let mut one = Metrics::default();
    one.gauge(name, "", labels, 0.0);
    let sample = one.families.get(name)?.1.first()?.clone();
    let start = sample.strip_suffix("0\n")?;
    text.lines()
        .find_map(|line| line.strip_prefix(start)?.parse().ok())
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text() {
        let mut metrics = Metrics::default();
        metrics.gauge("trueup_b", "Second", &[("view", "a \"b\"\n")], 1.5);
        metrics.gauge(
            "trueup_a",
            "First",
            &[("view", "x"), ("kind", "missing")],
            3.0,
        );
        metrics.gauge(
            "trueup_a",
            "First",
            &[("view", "x"), ("kind", "extra")],
            0.0,
        );
        let text = metrics.text();
        insta::assert_snapshot!(text, @r#"
        # TYPE trueup_a gauge
        # HELP trueup_a First
        trueup_a{view="x",kind="missing"} 3
        trueup_a{view="x",kind="extra"} 0
        # TYPE trueup_b gauge
        # HELP trueup_b Second
        trueup_b{view="a \"b\"\n"} 1.5
        # EOF
        "#);
        assert_eq!(
            earlier(&text, "trueup_a", &[("view", "x"), ("kind", "missing")]),
            Some(3.0)
        );
        assert_eq!(earlier(&text, "trueup_a", &[("view", "y")]), None);
    }
}
