//! The clock that a query may read: one instant, written into its text in place of `now()` and its kin.

use std::ops::Range;

use sqlparser::ast::{Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use super::Dialect;
use super::place::Text;
use crate::projection::calendar;

/// The instant that `now()` stands for.
pub(super) struct Clock {
    micros: i64,
}

/// How a call reads the clock.
pub(super) enum Reads {
    /// It does not.
    No,
    /// It does; this is what to write where, to give it an instant instead.
    Yes(Vec<(Range<usize>, String)>),
    /// It does, in a way that cannot be written otherwise.
    Unwritable,
}

impl Clock {
    /// Any instant, to find the calls that read the clock.
    pub(super) const ANY: Clock = Clock { micros: 0 };

    /// The instant that a timestamp with a zone names; four digits of a year of our era.
    pub(super) fn read(text: &str) -> Option<Clock> {
        let micros = calendar::read_timestamp_tz(text)?;
        let clock = Clock { micros };
        let year = clock.timestamp("").find('-')?;
        (year == 4 && !clock.timestamp("").ends_with("BC")).then_some(clock)
    }

    fn timestamp(&self, zone: &str) -> String {
        let mut out = String::new();
        calendar::write_timestamp(&mut out, self.micros, zone);
        out
    }

    fn date(&self) -> String {
        self.timestamp("").split(' ').take(1).collect()
    }

    fn time(&self) -> String {
        self.timestamp("").split(' ').skip(1).collect()
    }

    /// A value of `kind` in PostgreSQL, and the name of its type.
    fn postgres(&self, name: &str) -> Option<(&'static str, String)> {
        Some(match name {
            "now" | "transaction_timestamp" | "statement_timestamp" | "current_timestamp" => {
                ("TIMESTAMPTZ", self.timestamp("+00"))
            }
            "current_date" => ("DATE", self.date()),
            "current_time" => ("TIMETZ", self.time() + "+00"),
            "localtime" => ("TIME", self.time()),
            "localtimestamp" => ("TIMESTAMP", self.timestamp("")),
            _ => return None,
        })
    }

    /// Whether the call of `name`, whose name stands at `at`, reads the clock, and how to write it otherwise.
    pub(super) fn reads(
        &self,
        dialect: Dialect,
        name: &str,
        call: &Function,
        at: Range<usize>,
        text: &Text<'_>,
    ) -> Reads {
        match dialect {
            Dialect::Postgres => self.postgres_reads(name, call, at, text),
            Dialect::Sqlite => self.sqlite_reads(name, call, at, text),
        }
    }

    fn postgres_reads(
        &self,
        name: &str,
        call: &Function,
        at: Range<usize>,
        text: &Text<'_>,
    ) -> Reads {
        let args = arguments(call);
        if name == "age" && args.len() == 1 {
            let Some(brackets) = text.brackets(at.end) else {
                return Reads::Unwritable;
            };
            let inside = brackets.start + 1;
            return Reads::Yes(vec![(inside..inside, format!("DATE '{}', ", self.date()))]);
        }
        let Some((kind, value)) = self.postgres(name) else {
            return Reads::No;
        };
        let end = match &call.args {
            FunctionArguments::None => Some(at.end),
            _ => text.brackets(at.end).map(|brackets| brackets.end),
        };
        let literal = match args.as_slice() {
            [] => Some(format!("{kind} '{value}'")),
            [Some(Expr::Value(digits))] => match &digits.value {
                Value::Number(digits, _) => {
                    Some(format!("CAST({kind} '{value}' AS {kind}({digits}))"))
                }
                _ => None,
            },
            _ => None,
        };
        match end.zip(literal) {
            Some((end, literal)) => Reads::Yes(vec![(at.start..end, literal)]),
            None => Reads::Unwritable,
        }
    }

    fn sqlite_reads(
        &self,
        name: &str,
        call: &Function,
        at: Range<usize>,
        text: &Text<'_>,
    ) -> Reads {
        let value = match name {
            "current_timestamp" => self.timestamp("").chars().take(19).collect(),
            "current_date" => self.date(),
            "current_time" => self.time().chars().take(8).collect(),
            _ => return self.sqlite_call(name, call, at, text),
        };
        Reads::Yes(vec![(at, format!("'{value}'"))])
    }

    /// A function of date and time reads the clock for `'now'`, and where the argument is left out.
    fn sqlite_call(&self, name: &str, call: &Function, at: Range<usize>, text: &Text<'_>) -> Reads {
        let times: &[usize] = match name {
            "date" | "time" | "datetime" | "julianday" | "unixepoch" => &[0],
            "strftime" => &[1],
            "timediff" => &[0, 1],
            _ => return Reads::No,
        };
        let literal = format!("'{}'", self.timestamp(""));
        let args = arguments(call);
        let mut written = Vec::new();
        for nth in times {
            let Some(arg) = args.get(*nth) else {
                let Some(brackets) = text.brackets(at.end) else {
                    return Reads::Unwritable;
                };
                let inside = brackets.end - 1;
                let comma = if *nth > 0 { ", " } else { "" };
                written.push((inside..inside, format!("{comma}{literal}")));
                break;
            };
            match arg.and_then(|arg| spoken(arg, text)) {
                Some((word, at)) if word.eq_ignore_ascii_case("now") => {
                    written.push((at, literal.clone()));
                }
                Some((word, _)) if word.to_ascii_lowercase().starts_with("subsec") => {
                    return Reads::Unwritable;
                }
                _ => {}
            }
        }
        if written.is_empty() {
            Reads::No
        } else {
            Reads::Yes(written)
        }
    }
}

/// A word that PostgreSQL reads as a time of its own clock, once it is cast to one.
pub(super) fn is_time_word(text: &str) -> bool {
    let word = text.trim().to_ascii_lowercase();
    matches!(word.as_str(), "now" | "today" | "tomorrow" | "yesterday")
}

/// The arguments of a call; `None` for one that is no plain expression.
fn arguments(call: &Function) -> Vec<Option<&Expr>> {
    let FunctionArguments::List(list) = &call.args else {
        return Vec::new();
    };
    let plain = |arg| match arg {
        &FunctionArg::Unnamed(FunctionArgExpr::Expr(ref expr)) => Some(expr),
        _ => None,
    };
    list.args.iter().map(plain).collect()
}

/// A text that stands there as it is, and where; SQLite reads `"now"` as one too.
fn spoken<'e>(expr: &'e Expr, text: &Text<'_>) -> Option<(&'e str, Range<usize>)> {
    match expr {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(word) => Some((word, text.token(value.span.start)?)),
            _ => None,
        },
        Expr::Identifier(ident) if ident.quote_style == Some('"') => {
            Some((&ident.value, text.ident(ident)?))
        }
        _ => None,
    }
}
