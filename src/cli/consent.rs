//! Consent: the only place that grants a `WritePermit`.

use std::io::IsTerminal;

use anyhow::Result;
use clap::Args;
use dialoguer::{Confirm, Input};

use crate::store::WritePermit;
use crate::strategies::Refused;

/// How consent is given beforehand.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct Consent {
    /// Consent without being asked
    #[arg(long)]
    yes: bool,
    /// Consent by naming the table that is written
    #[arg(long, value_name = "TABLE")]
    confirm: Option<String>,
}

impl Consent {
    /// Asks for the table's name, unless it was given beforehand: for what replaces a table or takes repairs back.
    ///
    /// # Errors
    /// [`Refused`] when the name is wrong, or when nobody can be asked.
    pub(super) fn to_write(&self, table: &str, act: &str) -> Result<WritePermit> {
        self.ask(table, act, || {
            Ok(Input::new()
                .with_prompt(format!("{act}. Type {table} to go on"))
                .allow_empty(true)
                .interact_text()?)
        })
    }

    /// Asks yes or no, unless consent was given beforehand: for what is fenced, journalled and can be undone.
    ///
    /// # Errors
    /// [`Refused`] when the answer is no, or when nobody can be asked.
    pub(super) fn to_repair(&self, table: &str, act: &str) -> Result<WritePermit> {
        self.ask(table, act, || {
            let yes = Confirm::new()
                .with_prompt(format!("{act}?"))
                .default(false)
                .interact()?;
            Ok(if yes { table.to_owned() } else { String::new() })
        })
    }

    fn ask(
        &self,
        table: &str,
        act: &str,
        question: impl FnOnce() -> Result<String>,
    ) -> Result<WritePermit> {
        if self.yes {
            return Ok(WritePermit::grant());
        }
        let typed = match &self.confirm {
            Some(name) => name.clone(),
            None if can_ask() => question()?,
            None => {
                let reason =
                    format!("{act}: nobody can be asked here; give --yes or --confirm {table}");
                return Err(Refused::because(reason).into());
            }
        };
        if typed.trim() == table {
            return Ok(WritePermit::grant());
        }
        Err(Refused::because(format!(
            "{act}: not confirmed, nothing was written; the name to type is {table}"
        ))
        .into())
    }
}

/// Whether somebody sits at a terminal.
pub(super) fn can_ask() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Shows a request, and waits until Enter is pressed.
///
/// # Errors
/// When the terminal is gone.
pub(super) fn wait_for(request: &str) -> Result<()> {
    let entered: String = Input::new()
        .with_prompt(request)
        .allow_empty(true)
        .interact_text()?;
    drop(entered);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_name_or_yes_consents() {
        let given = |yes, confirm: Option<&str>| Consent {
            yes,
            confirm: confirm.map(str::to_owned),
        };
        assert!(given(true, None).to_write("read.t", "replace").is_ok());
        assert!(
            given(false, Some("read.t"))
                .to_write("read.t", "replace")
                .is_ok()
        );
        assert!(
            given(false, Some("t"))
                .to_write("read.t", "replace")
                .is_err()
        );
    }
}
