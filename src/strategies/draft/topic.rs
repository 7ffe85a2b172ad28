//! The topic that carries a table, by the way Debezium names topics: `prefix.schema.table`, or `prefix.table`.

use crate::store::TableName;

/// Topics named in a remark.
const SHOWN_MAX: usize = 3;

/// The topic of a table of `database` and, when it is a guess, why. `topics` are those of the broker, if it was asked.
#[must_use]
pub fn topic(
    table: &TableName,
    database: &str,
    topics: Option<&[String]>,
) -> (String, Option<String>) {
    let (schema, name) = (
        legal(table.schema.as_deref().unwrap_or("main")),
        legal(&table.name),
    );
    let usual = format!("{}.{schema}.{name}", legal(database));
    let Some(topics) = topics else {
        return (usual, Some("the topic was not looked up".to_owned()));
    };
    let ending = |end: &str| -> Vec<&String> {
        let is = |topic: &&String| **topic == end || topic.ends_with(&format!(".{end}"));
        topics.iter().filter(is).collect()
    };
    let full = ending(&format!("{schema}.{name}"));
    let found = if full.is_empty() { ending(&name) } else { full };
    // Of several the one that is named as usual, else the shortest.
    let best = found
        .iter()
        .min_by_key(|topic| (***topic != usual, topic.len(), **topic));
    let Some(best) = best else {
        let why = format!("no topic of the broker ends in .{schema}.{name} or .{name}");
        return (usual, Some(why));
    };
    let others: Vec<&str> = found
        .iter()
        .filter(|topic| topic != &best)
        .map(|topic| topic.as_str())
        .collect();
    // `prefix.other_schema.table` has the name of the table only.
    let of_another = best.split('.').count() > 2 && !best.ends_with(&format!("{schema}.{name}"));
    let guessed = if !others.is_empty() {
        let more = others.len().saturating_sub(SHOWN_MAX);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let shown = &others[..others.len().min(SHOWN_MAX)];
        Some(format!("there is {} too{more}", shown.join(", ")))
    } else {
        of_another.then(|| format!("it has the name of the table, but not of its schema {schema}"))
    };
    ((*best).clone(), guessed)
}

/// What Debezium makes of a name that a topic cannot have.
fn legal(name: &str) -> String {
    let keep = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    name.chars()
        .map(|c| if keep(c) { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(schema: Option<&str>, name: &str) -> TableName {
        TableName {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    #[track_caller]
    fn found(topics: &[&str], expected: &str, guess: bool) {
        let topics: Vec<String> = topics.iter().map(|t| (*t).to_owned()).collect();
        let (topic, guessed) = topic(&table(Some("public"), "orders"), "shop", Some(&topics));
        assert_eq!(
            (topic.as_str(), guessed.is_some()),
            (expected, guess),
            "{guessed:?}"
        );
    }

    #[test]
    fn the_topic_that_ends_in_schema_and_table() {
        found(
            &["a.public.orders", "a.public.old_orders"],
            "a.public.orders",
            false,
        );
        found(
            &["a.b.public.orders", "x.orders"],
            "a.b.public.orders",
            false,
        );
        found(&["public.orders"], "public.orders", false);
        found(&["x.orders"], "x.orders", false);
        found(&["orders"], "orders", false);
        found(&["a.archive.orders"], "a.archive.orders", true);
        found(
            &["a.public.orders", "shop.public.orders"],
            "shop.public.orders",
            true,
        );
        found(
            &["long.public.orders", "a.public.orders"],
            "a.public.orders",
            true,
        );
        found(&["something"], "shop.public.orders", true);
    }

    #[test]
    fn names_become_legal() {
        let (topic, guessed) = topic(&table(None, "order: #1"), "my shop", None);
        assert_eq!(topic, "my_shop.main.order___1");
        assert!(guessed.is_some());
    }
}
