//! Where things stand in the text of a query: tokens, their bytes, and lines and columns.

use std::collections::BTreeMap;
use std::ops::Range;

use sqlparser::ast::Ident;
use sqlparser::dialect::Dialect as SqlDialect;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, TokenizerError};

/// A place within the text of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The character within the line, from 1.
    pub column: usize,
}

impl Place {
    /// The very beginning, for what concerns the text as a whole.
    pub(super) const START: Place = Place { line: 1, column: 1 };
}

/// A text and its tokens; together they cover it without a gap.
pub(super) struct Text<'t> {
    text: &'t str,
    tokens: Vec<(TokenWithSpan, Range<usize>)>,
    /// The token that starts at a place.
    starts: BTreeMap<Place, usize>,
}

impl<'t> Text<'t> {
    /// Takes a text apart.
    pub(super) fn read(text: &'t str, dialect: &dyn SqlDialect) -> Result<Self, TokenizerError> {
        let tokens = Tokenizer::new(dialect, text).tokenize_with_location()?;
        let line_starts: Vec<usize> = std::iter::once(0)
            .chain(text.match_indices('\n').map(|(at, _)| at + 1))
            .collect();
        let byte = |place: Place| {
            // Columns count characters, and only a line feed starts a line.
            let start = line_starts.get(place.line - 1).copied();
            let start = start.unwrap_or(text.len());
            let within = text[start..].char_indices().nth(place.column - 1);
            within.map_or(text.len(), |(at, _)| start + at)
        };
        let places: Vec<Place> = tokens.iter().map(|t| place_of(t.span.start)).collect();
        let bytes: Vec<usize> = places.iter().map(|place| byte(*place)).collect();
        let ends = bytes.iter().skip(1).copied().chain([text.len()]);
        let ranges: Vec<Range<usize>> =
            bytes.iter().copied().zip(ends).map(|(s, e)| s..e).collect();
        Ok(Text {
            text,
            tokens: tokens.into_iter().zip(ranges).collect(),
            starts: places.into_iter().zip(0..).collect(),
        })
    }

    /// Where the text ends, less the blanks behind it.
    pub(super) fn end(&self) -> Place {
        let is_blank = |token: &Token| matches!(token, Token::Whitespace(_));
        let last = self.tokens.iter().rev().find(|(t, _)| !is_blank(&t.token));
        last.map_or(Place::START, |(token, _)| place_of(token.span.end))
    }

    /// The tokens, for a parser.
    pub(super) fn tokens(&self) -> Vec<TokenWithSpan> {
        self.tokens.iter().map(|(token, _)| token.clone()).collect()
    }

    /// The tokens, each with its bytes.
    pub(super) fn placed(&self) -> &[(TokenWithSpan, Range<usize>)] {
        &self.tokens
    }

    /// The bytes of a name, once the text there has been found to be that name.
    pub(super) fn ident(&self, ident: &Ident) -> Option<Range<usize>> {
        let (token, range) = self.at(ident.span.start)?;
        let same = match &token.token {
            Token::Word(word) => {
                let plain = word.quote_style.is_some() || self.text[range.clone()] == ident.value;
                word.value == ident.value && word.quote_style == ident.quote_style && plain
            }
            Token::SingleQuotedString(text) => {
                *text == ident.value && ident.quote_style == Some('\'')
            }
            _ => false,
        };
        same.then(|| range.clone())
    }

    /// The bytes of the token that starts at a place, if one does.
    pub(super) fn token(&self, at: Location) -> Option<Range<usize>> {
        self.at(at).map(|(_, range)| range.clone())
    }

    fn at(&self, at: Location) -> Option<&(TokenWithSpan, Range<usize>)> {
        self.starts.get(&place_of(at)).map(|nth| &self.tokens[*nth])
    }

    /// The bytes of the brackets that follow the name which ends at `end`, and of what stands in them.
    pub(super) fn brackets(&self, end: usize) -> Option<Range<usize>> {
        let mut depth = 0;
        let mut start = None;
        for (token, range) in self.tokens.iter().filter(|(_, range)| range.start >= end) {
            match (&token.token, start) {
                (Token::LParen, _) => {
                    start = start.or(Some(range.start));
                    depth += 1;
                }
                (Token::RParen, Some(start)) => {
                    depth -= 1;
                    if depth == 0 {
                        return Some(start..range.end);
                    }
                }
                (Token::Whitespace(_), None) => {}
                (_, None) => return None,
                _ => {}
            }
        }
        None
    }

    /// The bytes of every semicolon: in a text of one statement there are none but at its ends.
    pub(super) fn semicolons(&self) -> impl Iterator<Item = Range<usize>> + '_ {
        let all = self.tokens.iter();
        all.filter(|(token, _)| token.token == Token::SemiColon)
            .map(|(_, range)| range.clone())
    }

    /// The first unquoted word that is one of `words`; with `top`, outside all brackets. The start, when there is none.
    pub(super) fn word(&self, words: &[&str], top: bool) -> Place {
        let mut depth = 0;
        for (token, _) in &self.tokens {
            match &token.token {
                Token::LParen => depth += 1,
                Token::RParen => depth -= 1,
                Token::Word(word)
                    if word.quote_style.is_none()
                        && (!top || depth == 0)
                        && words.iter().any(|w| w.eq_ignore_ascii_case(&word.value)) =>
                {
                    return place_of(token.span.start);
                }
                _ => {}
            }
        }
        Place::START
    }
}

/// The place that the parser means; names that it has made up stand nowhere, which is the start here.
pub(super) fn place_of(at: Location) -> Place {
    let count = |n: u64| usize::try_from(n).unwrap_or(usize::MAX).max(1);
    Place {
        line: count(at.line),
        column: count(at.column),
    }
}

/// Takes the place off the end of a parser's message, if it has one.
pub(super) fn taken_off(message: &str) -> (String, Option<Place>) {
    let read = || {
        let (what, at) = message.rsplit_once(" at Line: ")?;
        let (line, column) = at.split_once(", Column: ")?;
        let column = column.trim_end_matches(|c: char| !c.is_ascii_digit());
        let place = Place {
            line: line.parse().ok()?,
            column: column.parse().ok()?,
        };
        Some((what.to_owned(), Some(place)))
    };
    read().unwrap_or_else(|| (message.to_owned(), None))
}

#[cfg(test)]
mod tests {
    use sqlparser::dialect::PostgreSqlDialect;

    use super::*;

    /// Columns count characters: whatever stands before a name, its bytes are found.
    #[test]
    fn bytes_behind_characters_of_any_width() {
        for before in [
            "",
            "é",
            "'日本' , ",
            "/* 𝄞\n𝄞 */",
            "\"ü\"\t",
            "\r\n",
            "'a\nß', ",
            "e\u{301}, ",
        ] {
            let written = format!("{before} name, \"Ñame\", 'x' , ende");
            let text = Text::read(&written, &PostgreSqlDialect {}).expect("tokens");
            let whole: String = text
                .tokens
                .iter()
                .map(|(_, r)| &written[r.clone()])
                .collect();
            assert_eq!(whole, written);
            for (name, quote) in [("name", None), ("Ñame", Some('"')), ("ende", None)] {
                let token = text.tokens.iter().find(
                    |(token, _)| matches!(&token.token, Token::Word(word) if word.value == name),
                );
                let (token, _) = token.expect(name);
                let mut ident = Ident::new(name);
                ident.quote_style = quote;
                ident.span = token.span;
                let range = text.ident(&ident).expect(name);
                assert_eq!(written[range].trim_matches('"'), name, "{written}");
                ident.value.push('x');
                assert_eq!(text.ident(&ident), None, "another name");
            }
        }
    }

    #[test]
    fn a_message_and_its_place() {
        let place = Place {
            line: 3,
            column: 14,
        };
        let (what, at) = taken_off("Expected: ), found: x at Line: 3, Column: 14");
        assert_eq!((&*what, at), ("Expected: ), found: x", Some(place)));
        assert_eq!(taken_off("odd"), ("odd".to_owned(), None));
    }
}
