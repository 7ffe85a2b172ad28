//! The cutover: the projector is paused, the shadows are brought to exactly where it is, and take the tables' places; then it
//! goes on where it was.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use super::at_rest::{AtRest, close_in, is_unique, passes};
use super::projector::{self, Standing};
use super::run::Run;
use crate::crash_point;
use crate::limits;
use crate::store::{Acts, Fence, Shadow, Store, StoreError, Swapped, WritePermit};
use crate::strategies::{Refused, blocking};

/// Shows a request to the operator, and returns once it was answered.
pub type Ask = Arc<dyn Fn(&str) -> Result<()> + Send + Sync>;

/// How the projector is paused and resumed.
#[derive(Clone)]
pub enum Pausing {
    /// By commands of the playbook, run by the shell.
    Commands {
        /// Pauses it.
        pause: String,
        /// Resumes it.
        resume: String,
    },
    /// By hand: the operator is asked to.
    ByHand(Ask),
}

impl fmt::Debug for Pausing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Pausing::Commands { .. } => "Commands",
            Pausing::ByHand(_) => "ByHand",
        })
    }
}

/// How to cut over.
#[derive(Clone, Debug)]
pub struct Cutover {
    /// How the projector is paused; `None` when it has to be at rest already.
    pub pausing: Option<Pausing>,
    /// Longest pause.
    pub pause_max: Duration,
    /// The role whose sessions must be gone from the read store.
    pub writer_role: Option<String>,
    /// While this file exists the shadows are only kept up to date.
    pub postpone: Option<PathBuf>,
    /// Whether the shadows go to the end of the log, and the projector's offsets with them: it cannot get there by itself.
    pub hand_over: bool,
}

impl Default for Cutover {
    fn default() -> Cutover {
        Cutover {
            pausing: None,
            pause_max: limits::PAUSE_MAX,
            writer_role: None,
            postpone: None,
            hand_over: false,
        }
    }
}

/// What a cutover did.
#[derive(Clone, Debug)]
pub struct CutOver {
    /// What became of each shadow.
    pub swapped: Vec<Swapped>,
    /// How long the projector was paused, in milliseconds; `None` when it was at rest before.
    pub paused_ms: Option<u64>,
}

impl Pausing {
    pub(super) async fn pause(&self, within: Duration) -> Result<()> {
        match self {
            Pausing::Commands { pause, .. } => shell(pause, within)
                .await
                .context("pausing the projector (cutover.pause)"),
            Pausing::ByHand(ask) => {
                by_hand(ask, "Stop the projector now, then press Enter to swap").await
            }
        }
    }

    pub(super) async fn resume(&self) -> Result<()> {
        match self {
            Pausing::Commands { resume, .. } => resume_by(resume).await,
            Pausing::ByHand(ask) => {
                by_hand(ask, "Start the projector again, then press Enter").await
            }
        }
    }
}

async fn by_hand(ask: &Ask, request: &'static str) -> Result<()> {
    let ask = Arc::clone(ask);
    blocking(move || ask(request)).await
}

/// Runs the command that resumes a projector, more than once if need be.
async fn resume_by(command: &str) -> Result<()> {
    let mut tries = 1;
    loop {
        match shell(command, limits::RESUME_MAX).await {
            Ok(()) => return Ok(()),
            Err(problem) if tries == limits::RESUME_TRIES => {
                return Err(problem.context(
                    "resuming the projector (cutover.resume): it is still paused; the next command that writes tries again",
                ));
            }
            Err(problem) => tracing::warn!(%problem, "the projector was not resumed; trying again"),
        }
        tries += 1;
        tokio::time::sleep(limits::RECHECK_PAUSE).await;
    }
}

/// Runs a command of the playbook. What it prints is shown only when it fails.
async fn shell(command: &str, within: Duration) -> Result<()> {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", command])
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let ended = tokio::time::timeout(within, shell.output()).await;
    let output = ended
        .map_err(|_| StoreError::Busy {
            problem: format!("the command did not end within {} s", within.as_secs()),
        })?
        .context("running sh")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let last = said.trim_end().lines().last().unwrap_or_default();
    Err(Refused::because(format!("the command ended with {}: {last}", output.status)).into())
}

/// Resumes a projector that a run paused which then died; whether there was one.
///
/// # Errors
/// When the read store cannot be asked, or the projector not be resumed.
pub async fn close_open_pauses(
    read_store: &Store,
    cutover: &Cutover,
    permit: &WritePermit,
) -> Result<bool> {
    let open = read_store.pauses().await?;
    let any = !open.is_empty();
    for open in open {
        tracing::warn!(
            run = open.run,
            since = open.started_at,
            "the projector was left paused by a run that died: it is resumed first"
        );
        let Some(pausing) = &cutover.pausing else {
            let reason = format!(
                "run {} paused the projector at {} UTC and died; the playbook says no more how to resume it: \
                 resume it, and close the pause with `trueup runs abort`",
                open.run, open.started_at
            );
            return Err(Refused::because(reason).into());
        };
        pausing.resume().await?;
        read_store.pause(permit, &open.run, false).await?;
    }
    Ok(any)
}

impl Run<'_> {
    /// Swaps the shadows in, with the projector at rest.
    pub(super) async fn cut_over(&mut self, shadows: &[Shadow]) -> Result<CutOver> {
        self.postponed().await?;
        let mut tries = 1;
        loop {
            let left = close_in(async || self.follow_on().await).await?;
            match self.one_cutover(shadows, left).await {
                Err(problem) if tries < limits::CUTOVER_TRIES && passes(&problem) => {
                    tracing::warn!("the cutover did not succeed ({problem:#}); trying again");
                    self.pipeline.not_stopped()?;
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    /// Keeps the shadows up to date for as long as the operator's file is there.
    async fn postponed(&mut self) -> Result<()> {
        let Some(file) = self.pipeline.plan.options.cutover.postpone.clone() else {
            return Ok(());
        };
        while file.exists() {
            let said = format!("ready to swap: waiting until {} is removed", file.display());
            self.pipeline.stage(&said)?;
            self.follow_on().await?;
            tokio::time::sleep(limits::RECHECK_PAUSE).await;
        }
        Ok(())
    }

    /// Follows the log to where it ends now, which may be in the middle of what exchanges unique values.
    async fn follow_on(&mut self) -> Result<bool> {
        match self.follow().await {
            Err(problem) if is_unique(&problem) => {
                tracing::info!("{problem:#}");
                Ok(true)
            }
            followed => followed,
        }
    }

    /// `left` is how long catching up is likely to take.
    async fn one_cutover(&mut self, shadows: &[Shadow], left: Duration) -> Result<CutOver> {
        let stop = self.pipeline.stop();
        let pipeline = &self.pipeline;
        let (plan, permit, systems) = (pipeline.plan, pipeline.permit, pipeline.systems);
        let at_rest = AtRest {
            systems,
            permit,
            run: &plan.run,
            topics: plan.topics(),
            cutover: &plan.options.cutover,
            left,
            progress: pipeline.progress,
            stop: &stop,
        };
        let work = async |until| {
            let standing = at_rest.standing(until).await?;
            self.catch_up_with(&standing).await?;
            let swap =
                async |fence: &Fence<'_>| systems.read_store.swap(permit, shadows, fence).await;
            let holds = self.pipeline.next();
            let swapped = at_rest.fenced(&standing, &holds, until, swap).await?;
            if plan.options.cutover.hand_over {
                projector::hand_over(systems, &holds).await?;
            }
            Ok(swapped)
        };
        let (swapped, paused_ms) = at_rest.meanwhile(work).await?;
        Ok(CutOver { swapped, paused_ms })
    }

    /// The projector rests: the shadows are brought to where it is.
    async fn catch_up_with(&mut self, standing: &Standing) -> Result<()> {
        self.pipeline.stage("catching up with the projector")?;
        for _ in 0..limits::CATCH_UP_ROUNDS_MAX {
            if !self.follow().await? {
                break;
            }
        }
        if !self.pipeline.plan.options.cutover.hand_over {
            self.not_ahead(standing)?;
        }
        crash_point!("cutover.caught_up");
        Ok(())
    }

    /// The projector goes on where it is, so that the shadows may hold nothing that it would apply again, on top of something
    /// newer.
    fn not_ahead(&self, standing: &Standing) -> Result<(), Refused> {
        let mut reasons = Vec::new();
        for next in self.pipeline.next() {
            let places = standing.get(&next.topic);
            let place = places.and_then(|p| p.get(&next.partition)).copied();
            if let Some(Some(place)) = place
                && next.offset > place
            {
                reasons.push(format!(
                    "the shadow holds {}:{} up to offset {}, and the projector is only at {place}: it would apply older records \
                     on top of newer ones; let it get there, then run the same command again",
                    next.topic, next.partition, next.offset
                ));
            }
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Refused(reasons))
    }
}
