//! Flags of every command that reads or writes much: how fast it may go on, and when it has to wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::flags::{Rate, Wait};
use super::wiring::Wired;
use crate::limits;
use crate::strategies::pace::{Asked, Pace};

/// Load control.
#[derive(clap::Args, Clone, Debug)]
#[command(next_help_heading = "Load control")]
pub(super) struct PaceArgs {
    /// Read and write at most so many rows or records a second: `5000`, `5k`, `2m`
    #[arg(long, value_name = "NUMBER")]
    rate: Option<Rate>,
    /// Stand still while this file exists; not while a projector waits for the swap
    #[arg(long, value_name = "FILE")]
    pause_file: Option<PathBuf>,
    /// Say what is waited for when nothing comes forward for so long
    #[arg(long, value_name = "TIME", default_value_t = Wait(limits::STALL_AFTER))]
    stall_after: Wait,
}

impl PaceArgs {
    /// The pace of this command; once `stop` is set, nobody waits any longer.
    pub(super) fn set(&self, wired: &mut Wired, stop: &Arc<AtomicBool>) {
        let asked = Asked {
            rate: self.rate.map(|rate| rate.0),
            pause_file: self.pause_file.clone(),
            replica_lag_max: wired.replica_lag_max,
            stall_after: self.stall_after.0,
        };
        wired.systems.pace = Arc::new(Pace::new(asked, Arc::clone(stop)));
    }
}
