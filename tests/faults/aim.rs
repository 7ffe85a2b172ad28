//! When a fault strikes, and what has become of it.

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What stands behind a proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Kafka,
    ReadStore,
    Primary,
}

pub const PLACES: [Place; 3] = [Place::Kafka, Place::ReadStore, Place::Primary];

/// What happens to what goes through a proxy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// The connection is reset.
    Cut(Reach),
    /// The connection is closed, as by somebody who has said everything.
    Close(Reach),
    /// Nothing passes for this long, and no byte is lost.
    Stall(Duration),
    /// Nothing passes any more, on no connection.
    BlackHole,
    /// A few KB a second pass, for this long.
    Slow(Duration),
    /// Everything passes in pieces of one to seven bytes.
    Slice,
    /// All connections are reset, and for this long there are no new ones.
    Refuse(Duration),
    /// The next COMMIT passes, and its reply does not.
    SwallowCommit,
}

/// Which connections are broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// The one on which the fault struck.
    One,
    /// All of that proxy.
    All,
}

/// What is done when a step is seen, before its statement passes.
pub type Hook = Arc<dyn Fn() + Send + Sync>;

/// A statement that has to be seen before the fault can strike.
#[derive(Clone)]
pub struct Step {
    pub on: Place,
    /// What the statement contains.
    pub text: &'static str,
    pub hook: Option<Hook>,
}

/// A fault, and where it strikes: once all steps were seen, one after the other, and so many bytes more have come to the
/// proxy, either way.
#[derive(Clone)]
pub struct Aim {
    pub at: Place,
    pub fault: Fault,
    pub steps: Vec<Step>,
    pub bytes: u64,
}

impl fmt::Debug for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps: Vec<_> = self.steps.iter().map(|s| (s.on, s.text)).collect();
        write!(
            f,
            "{:?} at {:?} {} bytes after {steps:?}",
            self.fault, self.at, self.bytes
        )
    }
}

#[derive(Default)]
struct State {
    aim: Option<Aim>,
    step: usize,
    /// On which connection the last step was seen.
    last: Option<(Place, u64)>,
    bytes: u64,
    struck: bool,
}

/// What the proxies of one system watch for.
#[derive(Default)]
pub struct Watch(Mutex<State>);

impl Watch {
    /// From now on this is waited for.
    pub fn aim(&self, aim: Aim) {
        *self.0.lock().unwrap() = State {
            aim: Some(aim),
            ..State::default()
        };
    }

    /// Nothing more strikes. Whether the fault did.
    pub fn rest(&self) -> bool {
        let mut state = self.0.lock().unwrap();
        state.aim = None;
        state.struck
    }

    /// How far it came: for the message of a test whose fault did not strike.
    pub fn standing(&self) -> String {
        let state = self.0.lock().unwrap();
        format!("{} steps, {} bytes", state.step, state.bytes)
    }

    /// A statement is about to pass. What is to be done first.
    pub fn saw(&self, place: Place, connection: u64, statement: &str) -> Option<Hook> {
        let mut state = self.0.lock().unwrap();
        let step = state.aim.as_ref()?.steps.get(state.step)?;
        if step.on != place || !statement.contains(step.text) {
            return None;
        }
        let hook = step.hook.clone();
        state.step += 1;
        state.last = Some((place, connection));
        hook
    }

    /// Bytes are about to pass, and these statements end in them: the fault, when it strikes here and now.
    pub fn strikes(
        &self,
        place: Place,
        connection: u64,
        bytes: usize,
        statements: &[String],
    ) -> Option<Fault> {
        let mut state = self.0.lock().unwrap();
        let aim = state.aim.as_ref()?;
        if state.struck || aim.at != place || state.step < aim.steps.len() {
            return None;
        }
        let fault = aim.fault;
        if fault == Fault::SwallowCommit {
            let commits = statements.iter().any(|s| s == "COMMIT");
            if !commits || state.last != Some((place, connection)) {
                return None;
            }
        } else if state.bytes < aim.bytes {
            state.bytes += bytes as u64;
            return None;
        }
        state.struck = true;
        Some(fault)
    }
}
