//! Progress on stderr: a bar on a terminal, a plain line now and then elsewhere, nothing when quiet.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{HumanCount, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::limits;

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// A bar: stderr is a terminal.
    Bar,
    /// One plain line every ten seconds.
    Lines,
    /// Nothing.
    Quiet,
}

/// Counts from any thread, without locks.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// So many more are done.
    pub fn add(&self, done: u64) {
        self.0.fetch_add(done, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct Stage {
    name: String,
    unit: &'static str,
    total: Option<u64>,
    started: Instant,
    base: u64,
}

struct Shared {
    show: Show,
    counter: Counter,
    stage: Mutex<Option<Stage>>,
    /// The stages before, each with the time that it took.
    past: Mutex<Vec<(String, Duration)>>,
    /// Why the stage does not come forward.
    state: Mutex<Option<String>>,
    done: AtomicBool,
    bar: ProgressBar,
}

/// The progress of one command: one stage after the other.
pub struct Progress {
    shared: Arc<Shared>,
    ticker: Option<std::thread::JoinHandle<()>>,
}

impl Progress {
    /// Starts showing.
    #[must_use]
    pub fn start(show: Show) -> Progress {
        let target = if show == Show::Bar {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let shared = Arc::new(Shared {
            show,
            counter: Counter::default(),
            stage: Mutex::new(None),
            past: Mutex::default(),
            state: Mutex::new(None),
            done: AtomicBool::new(false),
            bar: ProgressBar::with_draw_target(None, target),
        });
        let ticker = (show != Show::Quiet).then(|| {
            let shared = Arc::clone(&shared);
            std::thread::spawn(move || tick(&shared))
        });
        Progress { shared, ticker }
    }

    /// A handle that counts what the current stage has done.
    #[must_use]
    pub fn counter(&self) -> Counter {
        self.shared.counter.clone()
    }

    /// Begins a stage of `total` units; `None` when nobody knows how many.
    pub fn stage(&self, name: &str, unit: &'static str, total: Option<u64>) {
        let base = self.shared.counter.get();
        let stage = Stage {
            name: name.to_owned(),
            unit,
            total,
            started: Instant::now(),
            base,
        };
        tracing::debug!("{name}");
        self.shared.bar.set_style(style(total.is_some()));
        self.shared.bar.set_length(total.unwrap_or(0));
        self.shared.bar.reset();
        if let (Ok(mut current), Ok(mut past)) = (self.shared.stage.lock(), self.shared.past.lock())
            && let Some(before) = current.replace(stage)
        {
            past.push((before.name, before.started.elapsed()));
        }
    }

    /// The stages so far, each with the time that it has taken; those of one name are added up.
    #[must_use]
    pub fn stages(&self) -> Vec<(String, Duration)> {
        let past = self.shared.past.lock().map(|p| p.clone());
        let mut all = past.unwrap_or_default();
        if let Ok(Some(now)) = self.shared.stage.lock().as_deref() {
            all.push((now.name.clone(), now.started.elapsed()));
        }
        let mut stages: Vec<(String, Duration)> = Vec::new();
        for (name, took) in all {
            match stages.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += took,
                None => stages.push((name, took)),
            }
        }
        stages
    }

    /// Says why the current stage does not come forward, until it says otherwise: `paused: …`, `throttled: …`.
    pub fn state(&self, state: Option<String>) {
        if let Ok(mut current) = self.shared.state.lock() {
            *current = state;
        }
    }

    /// How far it has come: the stage, and what was counted in all stages together.
    #[must_use]
    pub fn mark(&self) -> (String, u64) {
        let stage = self.shared.stage.lock();
        let name = stage.map(|s| s.as_ref().map(|s| s.name.clone()));
        let name = name.ok().flatten().unwrap_or_default();
        (name, self.shared.counter.get())
    }

    /// Stops showing and clears the line.
    pub fn finish(mut self) {
        self.stop();
    }

    fn stop(&mut self) {
        self.shared.done.store(true, Ordering::Relaxed);
        if let Some(ticker) = self.ticker.take() {
            ticker.thread().unpark();
            // A ticker that panicked has nothing left to show.
            let _ = ticker.join();
        }
        self.shared.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.stop();
    }
}

fn style(bounded: bool) -> ProgressStyle {
    let template = if bounded {
        "{msg} {wide_bar} {percent}%"
    } else {
        "{spinner} {msg}"
    };
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn tick(shared: &Shared) {
    let every = if shared.show == Show::Bar {
        Duration::from_millis(100)
    } else {
        Duration::from_millis(500)
    };
    let mut last_line = Instant::now();
    while !shared.done.load(Ordering::Relaxed) {
        std::thread::park_timeout(every);
        let Ok(stage) = shared.stage.lock() else {
            return;
        };
        let Some(stage) = &*stage else { continue };
        let done = shared.counter.get().saturating_sub(stage.base);
        let state = shared.state.lock().map(|s| s.clone()).unwrap_or_default();
        let line = || match &state {
            Some(state) => format!("{}, {state}", line(stage, done)),
            None => line(stage, done),
        };
        if shared.show == Show::Bar {
            shared.bar.set_position(done);
            shared.bar.set_message(line());
            shared.bar.tick();
        } else if last_line.elapsed() >= limits::PROGRESS_EVERY {
            last_line = Instant::now();
            say(&line());
        }
    }
}

#[allow(clippy::print_stderr)] // This is where progress goes.
fn say(line: &str) {
    eprintln!("{line}");
}

/// `loading 460,900/752,865 records, 8,120/s, ETA 1 minute`; no ETA before one percent, when it would be a guess.
fn line(stage: &Stage, done: u64) -> String {
    let elapsed = stage.started.elapsed();
    let mut line = stage.name.clone();
    if stage.total.is_none() && done == 0 {
        return format!("{line}, {}", HumanDuration(elapsed));
    }
    line.push_str(&format!(" {}", HumanCount(done)));
    if let Some(total) = stage.total {
        line.push_str(&format!("/{}", HumanCount(total)));
    }
    line.push_str(&format!(" {}", stage.unit));
    let millis = u64::try_from(elapsed.as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    line.push_str(&format!(
        ", {}/s",
        HumanCount(done.saturating_mul(1000) / millis)
    ));
    if let Some(total) = stage
        .total
        .filter(|t| done >= t / 100 && done > 0 && done < *t)
    {
        let left = u128::from(total - done) * u128::from(millis) / u128::from(done);
        line.push_str(&format!(
            ", ETA {}",
            HumanDuration(Duration::from_millis(
                u64::try_from(left).unwrap_or(u64::MAX)
            ))
        ));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_how_fast_and_how_long() {
        let started = Instant::now()
            .checked_sub(Duration::from_secs(10))
            .expect("the machine is up longer");
        let stage = Stage {
            name: "loading".to_owned(),
            unit: "records",
            total: Some(1_000),
            started,
            base: 0,
        };
        let early = line(&stage, 5);
        assert!(
            early.starts_with("loading 5/1,000 records") && !early.contains("ETA"),
            "{early}"
        );
        assert!(
            line(&stage, 500).ends_with("ETA 10 seconds"),
            "{}",
            line(&stage, 500)
        );
    }
}
