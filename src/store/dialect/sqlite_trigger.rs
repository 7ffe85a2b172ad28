//! SQLite: what sets a trigger off, from the text that made it.

use crate::store::repair::WriteKind;

/// The kinds of write that set a trigger off; all of them when its text does not tell.
#[must_use]
pub fn events(sql: &str) -> Vec<WriteKind> {
    let all = [WriteKind::Insert, WriteKind::Update, WriteKind::Delete];
    let one = event(sql).and_then(|word| {
        let named = |kind: &WriteKind| word.eq_ignore_ascii_case(kind.word());
        all.into_iter().find(named)
    });
    one.map_or(all.to_vec(), |kind| vec![kind])
}

/// The word in the event's place of `CREATE TRIGGER [IF NOT EXISTS] [schema.]name [BEFORE | AFTER | INSTEAD OF] event`.
fn event(sql: &str) -> Option<&str> {
    let mut rest = sql;
    let mut next = || {
        let (found, behind) = token(rest)?;
        rest = behind;
        Some(found)
    };
    let is = |found: &str, word: &str| found.eq_ignore_ascii_case(word);
    is(next()?, "CREATE").then_some(())?;
    let mut word = next()?;
    if is(word, "TEMP") || is(word, "TEMPORARY") {
        word = next()?;
    }
    is(word, "TRIGGER").then_some(())?;
    let mut name = next()?;
    if is(name, "IF") {
        // A trigger may be called so, but not without quotes, which `token` leaves around it.
        (is(next()?, "NOT") && is(next()?, "EXISTS")).then_some(())?;
        name = next()?;
    }
    let mut word = next()?;
    if word == "." {
        name = next()?;
        word = next()?;
    }
    (name != ".").then_some(())?;
    if is(word, "BEFORE") || is(word, "AFTER") {
        word = next()?;
    } else if is(word, "INSTEAD") {
        is(next()?, "OF").then_some(())?;
        word = next()?;
    }
    Some(word)
}

/// The first word, quoted name or sign of some SQL, and what is behind it; blanks and comments mean nothing.
fn token(sql: &str) -> Option<(&str, &str)> {
    let mut rest = sql.trim_start();
    loop {
        rest = if let Some(comment) = rest.strip_prefix("--") {
            comment.split_once('\n')?.1
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/")?.1
        } else {
            break;
        }
        .trim_start();
    }
    let first = rest.chars().next()?;
    let length = match first {
        '"' | '`' | '\'' => quoted(rest, first)?,
        '[' => rest.find(']')? + 1,
        c if in_word(c) => rest.find(|c| !in_word(c)).unwrap_or(rest.len()),
        c => c.len_utf8(),
    };
    Some(rest.split_at(length))
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// How long a quoted name is; the quote itself stands in it twice.
fn quoted(sql: &str, quote: char) -> Option<usize> {
    let mut from = 1;
    loop {
        from += sql[from..].find(quote)? + 1;
        if !sql[from..].starts_with(quote) {
            return Some(from);
        }
        from += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_read_or_could_be_any() {
        for (sql, word) in [
            ("CREATE TRIGGER t DELETE ON a BEGIN SELECT 1; END", "DELETE"),
            ("create trigger t after insert on a begin", "insert"),
            ("CREATE TRIGGER t INSTEAD OF UPDATE OF b ON a", "UPDATE"),
            (
                "CREATE TRIGGER main.\"on \"\"update\" BEFORE INSERT ON a",
                "INSERT",
            ),
            (
                "CREATE TEMP TRIGGER IF NOT EXISTS [delete] -- update\n /* insert */ AFTER DELETE ON a",
                "DELETE",
            ),
            ("CREATE TRIGGER übung UPDATE ON a", "UPDATE"),
        ] {
            assert_eq!(event(sql), Some(word), "{sql}");
            assert_eq!(events(sql).len(), 1, "{sql}");
        }
        for unclear in [
            "",
            "CREATE TRIGGER",
            "CREATE TRIGGER t ON a",
            "CREATE TABLE t (a)",
            "CREATE TRIGGER \"t",
        ] {
            assert_eq!(events(unclear).len(), 3, "{unclear}");
        }
    }
}
