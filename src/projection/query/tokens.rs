//! The tokens of a SELECT, cut at its words: clauses, joins and the conditions between AND. Only words outside of all
//! brackets cut; whoever cuts compares the pieces with the tree.

use std::ops::Range;

use sqlparser::tokenizer::{Token, TokenWithSpan};

use super::place::Text;

/// A token and its bytes.
type Placed = (TokenWithSpan, Range<usize>);

/// Some tokens in a row, blanks left out.
#[derive(Clone)]
pub(super) struct Tokens<'t>(Vec<&'t Placed>);

/// The clauses that rows come from.
pub(super) struct Clauses<'t> {
    /// Behind FROM.
    pub(super) from: Tokens<'t>,
    /// Behind WHERE.
    pub(super) filter: Option<Tokens<'t>>,
}

/// What stands between two joins.
pub(super) struct Piece<'t> {
    pub(super) table: Tokens<'t>,
    pub(super) joint: Joint<'t>,
}

/// What joins a table to those before it.
pub(super) enum Joint<'t> {
    Nothing,
    Natural,
    On(Tokens<'t>),
    /// The bracket behind USING.
    Using(Tokens<'t>),
}

impl Text<'_> {
    /// The clauses of a text that is one SELECT; `None` where it is something else.
    pub(super) fn clauses(&self) -> Option<Clauses<'_>> {
        let blank = |t: &&Placed| matches!(t.0.token, Token::Whitespace(_) | Token::SemiColon);
        let all = Tokens(self.placed().iter().filter(|t| !blank(t)).collect());
        if !all.is_word(0, "SELECT") {
            return None;
        }
        let ends = |at: usize| {
            let by = all.is_word(at + 1, "BY");
            (by && (all.is_word(at, "GROUP") || all.is_word(at, "ORDER")))
                || ["HAVING", "WINDOW"].iter().any(|w| all.is_word(at, w))
        };
        let outside = all.outside();
        let behind = |at: usize| outside.iter().copied().filter(move |o| *o > at);
        let distinct =
            |at: usize| at > 1 && all.is_word(at - 1, "DISTINCT") && !all.is_word(at - 2, "SELECT");
        let from = behind(0).find(|at| all.is_word(*at, "FROM") && !distinct(*at))?;
        let filter = behind(from).find(|at| all.is_word(*at, "WHERE"));
        let end = behind(filter.unwrap_or(from)).find(|at| ends(*at));
        let end = end.unwrap_or(all.0.len());
        Some(Clauses {
            from: all.slice(from + 1..filter.unwrap_or(end)),
            filter: filter.map(|at| all.slice(at + 1..end)),
        })
    }
}

impl<'t> Tokens<'t> {
    /// Their bytes, from the first to the last.
    pub(super) fn bytes(&self) -> Option<Range<usize>> {
        Some(self.0.first()?.1.start..self.0.last()?.1.end)
    }

    /// The tokens, for a parser.
    pub(super) fn owned(&self) -> Vec<TokenWithSpan> {
        self.0.iter().map(|(token, _)| token.clone()).collect()
    }

    /// What stands in the brackets that they begin with, if those close at their end.
    pub(super) fn within(&self) -> Option<Tokens<'t>> {
        let encloses = self.outside() == [0, self.0.len().checked_sub(1)?]
            && self.0.len() > 1
            && self.0[0].0.token == Token::LParen;
        encloses.then(|| self.slice(1..self.0.len() - 1))
    }

    /// The same without the brackets around all of them.
    pub(super) fn bare(&self) -> Tokens<'t> {
        let mut bare = self.clone();
        while let Some(within) = bare.within() {
            bare = within;
        }
        bare
    }

    pub(super) fn split_at_commas(&self) -> Vec<Tokens<'t>> {
        let outside = self.outside().into_iter();
        let commas = outside.filter(|at| self.0[*at].0.token == Token::Comma);
        self.split(commas.map(|at| at..at + 1).collect())
    }

    /// The conditions between AND; that of BETWEEN, and those within CASE, cut nothing.
    pub(super) fn split_at_and(&self) -> Vec<Tokens<'t>> {
        let (mut cases, mut between) = (0_usize, false);
        let mut cuts = Vec::new();
        for at in self.outside() {
            if self.is_word(at, "CASE") {
                cases += 1;
            } else if self.is_word(at, "END") {
                cases = cases.saturating_sub(1);
            } else if cases > 0 {
            } else if self.is_word(at, "BETWEEN") {
                between = true;
            } else if self.is_word(at, "AND") && !std::mem::take(&mut between) {
                cuts.push(at..at + 1);
            }
        }
        self.split(cuts)
    }

    /// The tables, each with what joins it to those before it.
    pub(super) fn split_at_joins(&self) -> Vec<Piece<'t>> {
        let mut cuts: Vec<Range<usize>> = Vec::new();
        for at in self.outside() {
            let inside = cuts.last().is_some_and(|cut| cut.contains(&at));
            if let (false, Some(end)) = (inside, self.join(at)) {
                cuts.push(at..end);
            }
        }
        let natural: Vec<bool> = cuts
            .iter()
            .map(|cut| self.is_word(cut.start, "NATURAL"))
            .collect();
        let pieces = self.split(cuts).into_iter().enumerate();
        pieces
            .map(|(nth, piece)| piece.piece(nth > 0 && natural[nth - 1]))
            .collect()
    }

    fn piece(self, natural: bool) -> Piece<'t> {
        let outside = self.outside();
        let find = |word: &str| outside.iter().copied().find(|at| self.is_word(*at, word));
        let behind = |at: usize| self.slice(at + 1..self.0.len());
        let (end, joint) = match (find("ON"), find("USING")) {
            (Some(at), _) => (at, Joint::On(behind(at))),
            (None, Some(at)) => (at, Joint::Using(behind(at))),
            (None, None) if natural => (self.0.len(), Joint::Natural),
            (None, None) => (self.0.len(), Joint::Nothing),
        };
        Piece {
            table: self.slice(0..end),
            joint,
        }
    }

    /// Where the words of a join end that begin here.
    fn join(&self, at: usize) -> Option<usize> {
        let mut end = at;
        let mut pass = |words: &[&str]| {
            let found = words.iter().any(|w| self.is_word(end, w));
            end += usize::from(found);
            found
        };
        pass(&["NATURAL"]);
        if pass(&["LEFT", "RIGHT", "FULL"]) {
            pass(&["OUTER"]);
        } else {
            pass(&["INNER", "CROSS"]);
        }
        pass(&["JOIN"]).then_some(end)
    }

    fn split(&self, cuts: Vec<Range<usize>>) -> Vec<Tokens<'t>> {
        let starts = std::iter::once(0).chain(cuts.iter().map(|cut| cut.end));
        let ends = cuts.iter().map(|cut| cut.start).chain([self.0.len()]);
        starts.zip(ends).map(|(s, e)| self.slice(s..e)).collect()
    }

    fn slice(&self, range: Range<usize>) -> Tokens<'t> {
        Tokens(self.0.get(range).unwrap_or_default().to_vec())
    }

    /// The places of the tokens outside of all brackets, and of the outermost brackets themselves.
    fn outside(&self) -> Vec<usize> {
        let (mut depth, mut found) = (0_usize, Vec::new());
        for (at, (token, _)) in self.0.iter().enumerate() {
            let (opens, closes) = match token.token {
                Token::LParen | Token::LBracket | Token::LBrace => (1, 0),
                Token::RParen | Token::RBracket | Token::RBrace => (0, 1),
                _ => (0, 0),
            };
            depth = depth.saturating_sub(closes);
            if depth == 0 {
                found.push(at);
            }
            depth += opens;
        }
        found
    }

    fn is_word(&self, at: usize, word: &str) -> bool {
        self.0.get(at).is_some_and(|(token, _)| match &token.token {
            Token::Word(found) => {
                found.quote_style.is_none() && found.value.eq_ignore_ascii_case(word)
            }
            _ => false,
        })
    }
}
