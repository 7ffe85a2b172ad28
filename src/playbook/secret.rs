//! Values that may hold a secret: they are handed to drivers in full, and printed without it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// What stands for a secret wherever it would be printed.
const HIDDEN: &str = "***";

/// What a database speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DatabaseKind {
    /// PostgreSQL and what speaks its wire: `postgres:`, `postgresql:`.
    Postgres,
    /// MySQL and MariaDB: `mysql:`, `mariadb:`.
    Mysql,
    /// A SQLite file: `sqlite:`.
    Sqlite,
}

/// The URL of a database. `Debug` and `Display` leave its passwords out.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl {
    kind: DatabaseKind,
    text: String,
}

/// Why a text is no database URL. It quotes nothing that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// There is no `scheme://` in front.
    #[error("is no URL")]
    NoScheme,
    /// The scheme is none of ours.
    #[error("has the unknown scheme `{0}:`")]
    UnknownScheme(String),
    /// A space, a line break or another control character.
    #[error("holds a space or a line break")]
    Whitespace,
    /// A second `@`, or one behind `/`, `?` or `#`: where the password ends is a guess.
    #[error("cannot be taken apart: an `@`, `/`, `?` or `#` stands where it means something else")]
    Ambiguous,
    /// `sqlite:` without a file.
    #[error("names no file")]
    NoFile,
}

impl UrlError {
    /// What to do about it.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::NoScheme | Self::UnknownScheme(_) => {
                "write postgres://user:password@host/database or sqlite:file.db"
            }
            Self::Whitespace => "take it out, or percent-encode it (a space is %20)",
            Self::Ambiguous => {
                "percent-encode it in the password (`@` is %40, `/` %2F, `?` %3F, `#` %23)"
            }
            Self::NoFile => "write sqlite:file.db, relative to the playbook's folder",
        }
    }
}

impl DatabaseUrl {
    /// Takes `text` as a URL; a relative SQLite file is relative to `folder`.
    ///
    /// # Errors
    /// [`UrlError`] for what is no database URL, or one whose password could not be hidden for
    /// certain.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, UrlError> {
        if text.chars().any(char::is_control) || text.contains(' ') {
            return Err(UrlError::Whitespace);
        }
        if let Some(file) = text.strip_prefix("sqlite:") {
            let text = sqlite_url(file, folder)?;
            let kind = DatabaseKind::Sqlite;
            return Ok(Self { kind, text });
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        let kind = match scheme {
            "postgres" | "postgresql" => DatabaseKind::Postgres,
            "mysql" | "mariadb" => DatabaseKind::Mysql,
            _ if !scheme.is_empty() && scheme.chars().all(|c| c.is_ascii_lowercase()) => {
                return Err(UrlError::UnknownScheme(scheme.to_owned()));
            }
            _ => return Err(UrlError::NoScheme),
        };
        let (_, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if behind.contains(['@', '#']) {
            return Err(UrlError::Ambiguous);
        }
        let text = text.to_owned();
        Ok(Self { kind, text })
    }

    /// What the database speaks.
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }

    /// The whole URL with its secrets, for the driver and nobody else.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// Whether it holds anything that is hidden when it is shown.
    #[must_use]
    pub fn has_secret(&self) -> bool {
        let (body, query) = self.text.split_once('?').unwrap_or((&self.text, ""));
        let user = match (self.kind, body.rsplit_once('@')) {
            (DatabaseKind::Postgres | DatabaseKind::Mysql, Some((user, _))) => user,
            _ => "",
        };
        let (_, user) = user.split_once("://").unwrap_or(("", user));
        let (_, password) = user.split_once(':').unwrap_or_default();
        let hidden = |pair: &str| {
            let (key, value) = pair.split_once('=').unwrap_or_default();
            is_secret(key) && !value.is_empty()
        };
        !password.is_empty() || query.split('&').any(hidden)
    }

    /// The path of a SQLite file that is not absolute, as the URL spells it, and what follows it.
    #[must_use]
    pub fn relative_file(&self) -> Option<(&str, &str)> {
        let file = self.text.strip_prefix("sqlite:")?;
        let (path, query) = file.split_at(file.find('?').unwrap_or(file.len()));
        (!path.starts_with('/') && path != ":memory:").then_some((path, query))
    }
}

/// `sqlite:` URL of `file`, with a relative path put behind `folder`.
fn sqlite_url(file: &str, folder: &Path) -> Result<String, UrlError> {
    let file = file.strip_prefix("//").unwrap_or(file);
    let (path, query) = file.split_at(file.find('?').unwrap_or(file.len()));
    if path.is_empty() {
        return Err(UrlError::NoFile);
    }
    if path == ":memory:" || path.starts_with('/') || folder.as_os_str().is_empty() {
        return Ok(format!("sqlite:{path}{query}"));
    }
    // The driver takes the path percent-encoded; the folder is not yet.
    let folder = folder.to_string_lossy();
    let folder = folder.replace('%', "%25").replace('?', "%3F");
    let folder = folder.trim_end_matches('/');
    Ok(format!("sqlite:{folder}/{path}{query}"))
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (body, query) = match self.text.split_once('?') {
            Some((body, query)) => (body, Some(query)),
            None => (self.text.as_str(), None),
        };
        match (self.kind, body.rsplit_once('@')) {
            (DatabaseKind::Postgres | DatabaseKind::Mysql, Some((user, host))) => {
                write!(f, "{}@{host}", without_password(user))?;
            }
            _ => f.write_str(body)?,
        }
        for (nth, pair) in query.iter().flat_map(|query| query.split('&')).enumerate() {
            f.write_str(if nth == 0 { "?" } else { "&" })?;
            match pair.split_once('=') {
                Some((key, _)) if is_secret(key) => write!(f, "{key}={HIDDEN}")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

/// `scheme://user:password` with the password hidden.
fn without_password(user: &str) -> Cow<'_, str> {
    let start = user.find("://").map_or(0, |at| at + 3);
    match user[start..].find(':') {
        Some(colon) => Cow::Owned(format!("{}{HIDDEN}", &user[..=start + colon])),
        None => Cow::Borrowed(user),
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatabaseUrl({self})")
    }
}

/// The URL of a schema registry. `Debug` and `Display` leave its password out.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryUrl(String);

impl RegistryUrl {
    /// Takes `text` as a URL.
    ///
    /// # Errors
    /// [`UrlError`] for what is no URL of a web server, or one whose password could not be hidden for certain.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        if text.chars().any(char::is_control) || text.contains(' ') {
            return Err(UrlError::Whitespace);
        }
        let (scheme, rest) = text.split_once("://").ok_or(UrlError::NoScheme)?;
        if !matches!(scheme, "http" | "https") {
            // What stands there may be a part of a password.
            return Err(UrlError::NoScheme);
        }
        let (_, behind) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        if behind.contains(['@', '?', '#']) {
            return Err(UrlError::Ambiguous);
        }
        Ok(Self(text.to_owned()))
    }

    /// The whole URL with its password, for the client and nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.rsplit_once('@') {
            Some((user, host)) => write!(f, "{}@{host}", without_password(user)),
            None => f.write_str(&self.0),
        }
    }
}

impl fmt::Debug for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RegistryUrl({self})")
    }
}

/// librdkafka properties. `Debug` leaves the secret ones out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// All properties with their secrets, for the driver and nobody else.
    pub fn expose(&self) -> &BTreeMap<String, String> {
        &self.0
    }
}

impl FromIterator<(String, String)> for Properties {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(properties: I) -> Self {
        Self(properties.into_iter().collect())
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(key, value): (&String, &String)| {
            let value = if is_secret(key) { HIDDEN } else { value };
            (key.clone(), value.to_owned())
        };
        f.debug_map().entries(self.0.iter().map(shown)).finish()
    }
}

/// Whether the value of `key` is hidden. Hiding one too many (`ssl.key.location`) costs nothing.
fn is_secret(key: &str) -> bool {
    const SECRET: [&str; 9] = [
        "password",
        "passwd",
        "passphrase",
        "secret",
        "token",
        "jaas",
        ".key",
        "credential",
        "oauthbearer.config",
    ];
    let key = key.to_lowercase();
    // An encoded key (`pass%77ord`) is nothing but an attempt to hide one.
    key.contains('%') || SECRET.iter().any(|secret| key.contains(secret))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn shown(text: &str, expected: &str) {
        let url = DatabaseUrl::parse(text, Path::new("")).expect("a URL");
        assert_eq!(url.to_string(), expected);
        assert_eq!(format!("{url:?}"), format!("DatabaseUrl({expected})"));
        assert_eq!(url.expose(), text);
        assert_eq!(url.has_secret(), expected != text, "{text}");
    }

    #[test]
    fn a_password_is_never_shown() {
        shown("postgres://host/db", "postgres://host/db");
        shown("postgres://me@host:5432/db", "postgres://me@host:5432/db");
        shown("postgresql://me:pw@host/db", "postgresql://me:***@host/db");
        shown("postgres://me:p@:w@host/db", "postgres://me:***@host/db");
        shown(
            "postgres://:pw@[::1]:5432/db",
            "postgres://:***@[::1]:5432/db",
        );
        shown(
            "postgres://host:5432/db?user=a:b",
            "postgres://host:5432/db?user=a:b",
        );
        shown(
            "postgres://host/db?sslmode=require&PassWord=pw&sslpassword=pw&pass%77ord=pw",
            "postgres://host/db?sslmode=require&PassWord=***&sslpassword=***&pass%77ord=***",
        );
        shown("mysql://me:pw@host/db", "mysql://me:***@host/db");
        shown("sqlite:/a:b@c/x.db?mode=ro", "sqlite:/a:b@c/x.db?mode=ro");
    }

    #[test]
    fn a_registry_is_a_web_server() {
        for (text, shown) in [
            ("http://host:8081", "http://host:8081"),
            (
                "https://me:pw@host/apis/ccompat/v7",
                "https://me:***@host/apis/ccompat/v7",
            ),
            ("https://me:p%40w@host", "https://me:***@host"),
        ] {
            let url = RegistryUrl::parse(text).expect("a URL");
            assert_eq!(url.to_string(), shown);
            assert_eq!(format!("{url:?}"), format!("RegistryUrl({shown})"));
            assert_eq!(url.expose(), text);
        }
        for text in [
            "host:8081",
            "postgres://h",
            "http://me:p/w@h",
            "http://h/?key=x",
            "http://h\n",
        ] {
            assert!(RegistryUrl::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_could_not_be_hidden_for_certain_is_no_url() {
        let parse = |text: &str| DatabaseUrl::parse(text, Path::new("")).expect_err("no URL");
        for text in [
            "p://me:p/w@h/d",
            "p://me:p?w@h/d",
            "p://me:p#w@h/d",
            "p://m:a@b/c@h/d",
        ] {
            assert_eq!(
                parse(&text.replace("p://", "postgres://")),
                UrlError::Ambiguous,
                "{text}"
            );
        }
        assert_eq!(parse("postgres://h/d#password=x"), UrlError::Ambiguous);
        assert_eq!(parse("postgres://me:pw@h/d\n"), UrlError::Whitespace);
        assert_eq!(parse("me:pw@host/db"), UrlError::NoScheme);
        assert_eq!(parse("me:pw://host/db"), UrlError::NoScheme);
        assert_eq!(parse("sqlite:?mode=ro"), UrlError::NoFile);
        assert_eq!(
            parse("oracle://h"),
            UrlError::UnknownScheme("oracle".to_owned())
        );
    }

    #[test]
    fn a_sqlite_file_is_relative_to_the_playbook() {
        let case = |text, folder, expected: &str| {
            let url = DatabaseUrl::parse(text, Path::new(folder)).expect("a URL");
            assert_eq!(url.expose(), expected);
        };
        case(
            "sqlite:x.db?mode=ro",
            "/books",
            "sqlite:/books/x.db?mode=ro",
        );
        case("sqlite://data/x.db", "books/", "sqlite:books/data/x.db");
        case("sqlite:x%20y.db", "/100%?", "sqlite:/100%25%3F/x%20y.db");
        case("sqlite:///abs/x.db", "/books", "sqlite:/abs/x.db");
        case("sqlite::memory:", "/books", "sqlite::memory:");
        case("sqlite:x.db", "", "sqlite:x.db");
    }

    #[test]
    fn secret_properties_are_not_shown() {
        let keys = [
            "sasl.password",
            "ssl.key.pem",
            "ssl.key.password",
            "sasl.oauthbearer.client.secret",
            "sasl.oauthbearer.config",
            "sasl.jaas.config",
            "sasl.username",
        ];
        let properties: Properties = keys
            .iter()
            .map(|key| ((*key).to_owned(), format!("of {key}")))
            .collect();
        let shown = format!("{properties:?}");
        assert_eq!(shown.matches("\"***\"").count(), 6, "{shown}");
        assert!(
            shown.contains("\"sasl.username\": \"of sasl.username\""),
            "{shown}"
        );
    }
}
