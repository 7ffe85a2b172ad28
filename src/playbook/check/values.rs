//! Single values with a grammar of their own: durations, bounds, tables, databases.

use std::time::Duration;

use super::reader::Reader;
use crate::playbook::checked::{Bound, Scalar, TableName};
use crate::playbook::secret::DatabaseUrl;
use crate::playbook::shape::Field;

impl Reader<'_> {
    /// An optional duration above zero.
    pub(super) fn duration(&mut self, path: &str, field: Field<Scalar>) -> Option<Duration> {
        let duration = match self.get(path, field)? {
            Scalar::Text(text) => duration(&text),
            _ => None,
        };
        if duration.is_none() {
            let fix = "write a whole number above zero with its unit: 500ms, 30s, 2m or 1h";
            self.problem(path, "is no duration", fix);
        }
        duration
    }

    /// An optional bound.
    pub(super) fn bound(&mut self, path: &str, field: Field<Scalar>) -> Option<Bound> {
        let bound = bound(&self.get(path, field)?);
        if bound.is_none() {
            let fix = "write a number of rows, or a share such as \"10%\" (0% to 100%)";
            self.problem(path, "is no bound", fix);
        }
        bound
    }

    /// The table that `text` names.
    pub(super) fn table(&mut self, path: &str, text: &str) -> Option<TableName> {
        let table = TableName::read(text);
        if table.is_none() {
            self.problem(
                path,
                format!("`{text}` is no table"),
                "write `table` or `schema.table`",
            );
        }
        table
    }

    /// The URL of a database that this version speaks to.
    pub(super) fn database(&mut self, path: &str, text: &str) -> Option<DatabaseUrl> {
        match DatabaseUrl::parse(text, self.folder) {
            Ok(url) => {
                self.speaks(path, url.kind())?;
                Some(url)
            }
            Err(error) => {
                self.problem(path, error.to_string(), error.fix());
                None
            }
        }
    }
}

fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit())?);
    let milliseconds_per_unit: u64 = match unit.trim_start() {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    let milliseconds = number
        .parse::<u64>()
        .ok()?
        .checked_mul(milliseconds_per_unit)?;
    (milliseconds > 0).then(|| Duration::from_millis(milliseconds))
}

pub(super) fn bound(written: &Scalar) -> Option<Bound> {
    match written {
        Scalar::Int(rows) => u64::try_from(*rows).ok().map(Bound::Rows),
        Scalar::Text(text) => match text.strip_suffix('%') {
            Some(share) => {
                let share: f64 = share.trim_end().parse().ok()?;
                (0.0..=100.0)
                    .contains(&share)
                    .then_some(Bound::Percent(share))
            }
            None => text.parse().ok().map(Bound::Rows),
        },
        Scalar::Null | Scalar::Bool(_) | Scalar::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let milliseconds = |text| duration(text).map(|duration| duration.as_millis());
        assert_eq!(milliseconds("500ms"), Some(500));
        assert_eq!(milliseconds("30s"), Some(30_000));
        assert_eq!(milliseconds("2 m"), Some(120_000));
        assert_eq!(milliseconds("1h"), Some(3_600_000));
        for text in [
            "",
            "30",
            "s",
            "-1s",
            "1.5s",
            "0s",
            "1d",
            "30 s x",
            "18446744073709551615h",
        ] {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }

    #[test]
    fn bounds() {
        let text = |text: &str| bound(&Scalar::Text(text.to_owned()));
        assert_eq!(bound(&Scalar::Int(1000)), Some(Bound::Rows(1000)));
        assert_eq!(bound(&Scalar::Int(-1)), None);
        assert_eq!(bound(&Scalar::Number("0.1".to_owned())), None);
        assert_eq!(text("1000"), Some(Bound::Rows(1000)));
        assert_eq!(text("10%"), Some(Bound::Percent(10.0)));
        assert_eq!(text("0.5 %"), Some(Bound::Percent(0.5)));
        for wrong in ["", "%", "101%", "-1%", "NaN%", "many"] {
            assert_eq!(text(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn tables() {
        let shown = |text| TableName::read(text).map(|table| table.to_string());
        assert_eq!(shown("orders").as_deref(), Some("orders"));
        assert_eq!(shown("public.orders").as_deref(), Some("public.orders"));
        for wrong in ["", ".", "a.", ".a", "a.b.c", "a .b"] {
            assert_eq!(shown(wrong), None, "{wrong}");
        }
    }
}
