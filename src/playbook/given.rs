//! What is given beside a playbook, on the command line, in the words of a playbook.

use std::path::Path;

use super::check::Later;
use super::checked::TableName;
use super::expand::{self, Env};
use super::secret::{DatabaseKind, DatabaseUrl};

/// `text` with its `${NAME}` filled in.
///
/// # Errors
/// Every variable that is not set and has no default, with what to do; it quotes no value.
pub fn expanded(text: &str, env: Env<'_>) -> Result<String, String> {
    let failed = match expand::expand(text, env) {
        Ok(text) => return Ok(text.into_owned()),
        Err(failed) => failed,
    };
    let all: Vec<String> = failed
        .iter()
        .map(|why| format!("{why}; {}", why.fix()))
        .collect();
    Err(all.join("; "))
}

/// The URL of a database that this version speaks to; a relative SQLite file is relative to `folder`.
///
/// # Errors
/// What is wrong with it and what to do; it quotes nothing that may be secret.
pub fn url(text: &str, folder: &Path) -> Result<DatabaseUrl, String> {
    let url = DatabaseUrl::parse(text, folder).map_err(|e| format!("{e}; {}", e.fix()))?;
    match url.kind() {
        DatabaseKind::Postgres | DatabaseKind::Sqlite => Ok(url),
        DatabaseKind::Mysql => Err(format!("{}; {}", Later::Mysql.what(), Later::Mysql.fix())),
    }
}

/// Whether a written URL itself holds a secret, and not only the variables that it names.
#[must_use]
pub fn tells_secret(written: &str) -> bool {
    let nothing = |_: &str| Some(String::new());
    let Ok(bare) = expand::expand(written, &nothing) else {
        return true;
    };
    match DatabaseUrl::parse(&bare, Path::new("")) {
        Ok(url) => url.has_secret(),
        // What cannot be taken apart may hold one anywhere.
        Err(_) => bare.contains(['@', '?', '&']),
    }
}

impl TableName {
    /// The table that `table` or `schema.table` names.
    #[must_use]
    pub fn read(text: &str) -> Option<TableName> {
        let (schema, name) = match text.split_once('.') {
            Some((schema, name)) => (Some(schema.to_owned()), name.to_owned()),
            None => (None, text.to_owned()),
        };
        Some(TableName { schema, name }).filter(TableName::is_sayable)
    }

    /// Whether a playbook can name this table: its grammar has one dot, between schema and table.
    #[must_use]
    pub fn is_sayable(&self) -> bool {
        let is_name = |part: &str| !part.is_empty() && part.trim() == part && !part.contains('.');
        self.schema.as_deref().is_none_or(is_name) && is_name(&self.name)
    }
}

/// Whether a playbook can name this column as what fills another one, or as a part of a key.
#[must_use]
pub fn is_sayable_column(name: &str) -> bool {
    !name.trim().is_empty() && !name.starts_with('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_secret_is_seen_and_a_named_one_is_not() {
        for written in [
            "postgres://me:pw@h/d",
            "postgres://me:pw${X}@h/d",
            "postgres://me:${X:-pw}@h/d",
            "postgres://h/d?password=pw",
            "${SCHEME}://me:pw@h/d",
            "me:pw@h/d",
            "postgres://me:p/w@h/d",
            "postgres://me:pw${@h/d",
        ] {
            assert!(tells_secret(written), "{written}");
        }
        for written in [
            "${PRIMARY_URL}",
            "postgres://h/d",
            "postgres://me@h/d",
            "postgres://me:${PW}@h/d",
            "postgres://h/d?password=${PW}",
            "postgres://${CREDENTIALS}@h/d",
            "sqlite:x.db?mode=ro",
            "nonsense",
        ] {
            assert!(!tells_secret(written), "{written}");
        }
    }

    #[test]
    fn unset_variables_are_named() {
        let failed = expanded("${A}/${B}", &|_| None).expect_err("unset");
        assert!(failed.contains("`A`") && failed.contains("`B`"), "{failed}");
        let mysql = url("mysql://me:pw@h/d", Path::new("")).expect_err("unsupported");
        assert!(
            mysql.contains("PostgreSQL and SQLite") && !mysql.contains("pw"),
            "{mysql}"
        );
    }
}
