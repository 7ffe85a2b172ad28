//! What will cause the next drift, and everything that was looked at to find out.

use serde_json::{Value, json};

use super::json::FORMAT;
use super::table::table;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Changes are lost or mixed up already, or a replay cannot be trusted.
    Error,
    /// They will be, when something else happens that does happen.
    Warning,
    /// Good to know; nothing that has to be done.
    Note,
}

impl Severity {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check that found it: `log.keys`.
    pub check: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a topic, a table, a slot, a group.
    pub subject: String,
    /// What was seen, with positions, keys and numbers.
    pub evidence: String,
    /// What to do about it.
    pub advice: String,
}

/// How a check of one subject came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should be.
    Fine,
    /// There are findings.
    Found,
    /// There is nothing of the kind to look at.
    Absent,
    /// It could not be looked at.
    Unknown,
}

impl Outcome {
    /// Its word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Fine => "fine",
            Outcome::Found => "found",
            Outcome::Absent => "absent",
            Outcome::Unknown => "unknown",
        }
    }
}

/// A check of one subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// The check.
    pub check: &'static str,
    /// What was looked at.
    pub subject: String,
    /// How it came out.
    pub outcome: Outcome,
    /// What was seen, or why nothing could be.
    pub what: String,
}

/// All that the doctor saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DoctorReport {
    /// The playbook.
    pub playbook: String,
    /// What is not as it should be, in the order in which it was seen.
    pub findings: Vec<Finding>,
    /// Everything that was looked at, and what could not be.
    pub checked: Vec<Checked>,
}

impl DoctorReport {
    /// Notes that this is as it should be.
    pub fn fine(&mut self, check: &'static str, subject: &str, what: impl Into<String>) {
        self.check(check, subject, Outcome::Fine, what.into());
    }

    /// Notes that there is nothing of the kind.
    pub fn absent(&mut self, check: &'static str, subject: &str, why: impl Into<String>) {
        self.check(check, subject, Outcome::Absent, why.into());
    }

    /// Notes that this could not be looked at.
    pub fn unknown(&mut self, check: &'static str, subject: &str, why: impl Into<String>) {
        self.check(check, subject, Outcome::Unknown, why.into());
    }

    /// Notes what is not as it should be.
    pub fn found(
        &mut self,
        severity: Severity,
        (check, subject): (&'static str, &str),
        evidence: impl Into<String>,
        advice: impl Into<String>,
    ) {
        let evidence = evidence.into();
        self.check(check, subject, Outcome::Found, evidence.clone());
        self.findings.push(Finding {
            check,
            severity,
            subject: subject.to_owned(),
            evidence,
            advice: advice.into(),
        });
    }

    fn check(&mut self, check: &'static str, subject: &str, outcome: Outcome, what: String) {
        self.checked.push(Checked {
            check,
            subject: subject.to_owned(),
            outcome,
            what,
        });
    }

    /// Whether something has to be done: an error or a warning.
    #[must_use]
    pub fn is_ill(&self) -> bool {
        self.findings.iter().any(|f| f.severity != Severity::Note)
    }

    /// Whether something could not be looked at.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.checked.iter().any(|c| c.outcome == Outcome::Unknown)
    }

    /// As text: what was found, the worst first, then everything that was looked at.
    #[must_use]
    pub fn text(&self) -> String {
        let count = |severity| {
            self.findings
                .iter()
                .filter(|f| f.severity == severity)
                .count()
        };
        let mut out = format!(
            "{}: {} errors, {} warnings, {} notes\n",
            self.playbook,
            count(Severity::Error),
            count(Severity::Warning),
            count(Severity::Note)
        );
        let mut findings: Vec<&Finding> = self.findings.iter().collect();
        findings.sort_by_key(|f| f.severity);
        for f in findings {
            out.push_str(&format!(
                "\n{}: {} {}\n  {}\n  do: {}\n",
                f.severity.word(),
                f.check,
                f.subject,
                f.evidence,
                f.advice
            ));
        }
        let row = |c: &Checked| {
            vec![
                c.check.to_owned(),
                c.subject.clone(),
                c.outcome.word().to_owned(),
                c.what.clone(),
            ]
        };
        out.push('\n');
        let header = ["looked at", "of", "is", "what was seen"];
        out.push_str(&table(&header, self.checked.iter().map(row).collect()));
        out.push('\n');
        out
    }

    /// As one line of JSON.
    #[must_use]
    pub fn json(&self) -> String {
        let finding = |f: &Finding| {
            json!({
                "check": f.check, "severity": f.severity.word(), "subject": f.subject, "evidence": f.evidence,
                "advice": f.advice,
            })
        };
        let checked = |c: &Checked| json!({"check": c.check, "subject": c.subject, "outcome": c.outcome.word(), "what": c.what});
        let findings: Vec<Value> = self.findings.iter().map(finding).collect();
        let checked: Vec<Value> = self.checked.iter().map(checked).collect();
        json!({"format": FORMAT, "playbook": self.playbook, "findings": findings, "checked": checked})
            .to_string()
    }
}
