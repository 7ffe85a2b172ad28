//! A live system whose projector is paused and resumed by files that appear and go.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::support::live::Live;
use crate::support::projector::{Projector, Route, Setup, until_within};
use crate::support::services::kafka_tool;
use crate::support::{Ran, command, run, text};

/// What somebody else does once the projector is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    Nothing,
    /// It is started again at once.
    Restarted,
    /// A second one had joined, which the command that pauses does not know of.
    ScaledUp,
}

struct Shared {
    folder: PathBuf,
    setup: Setup,
    projector: Mutex<Option<Projector>>,
    intruder: Mutex<Option<Projector>>,
    meanwhile: Mutex<Meanwhile>,
    end: AtomicBool,
}

impl Shared {
    /// Does what the files say.
    fn look(&self) {
        let (pause, stopped) = (self.folder.join("pause"), self.folder.join("stopped"));
        let mut projector = self.projector.lock().unwrap();
        if pause.exists() && !stopped.exists() {
            if let Some(projector) = projector.take() {
                projector.stop();
            }
            if *self.meanwhile.lock().unwrap() == Meanwhile::Restarted {
                let intruder = Projector::start(self.setup.clone());
                intruder.joined(4);
                *self.intruder.lock().unwrap() = Some(intruder);
            }
            std::fs::write(&stopped, "").unwrap();
        }
        if !pause.exists() && stopped.exists() {
            let restarted = *self.meanwhile.lock().unwrap() == Meanwhile::Restarted;
            if restarted && let Some(intruder) = self.intruder.lock().unwrap().take() {
                intruder.stop();
            }
            *projector = Some(Projector::start(self.setup.clone()));
            std::fs::remove_file(&stopped).unwrap();
        }
    }
}

pub struct Operated {
    pub live: Live,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    folder: tempfile::TempDir,
}

impl Operated {
    /// pgbench's accounts and their copy, in step. `cutover` is what else the playbook says of the cutover.
    pub fn start(name: &'static str, scale: u64, cutover: &str) -> Option<Operated> {
        let live = Live::start(name, scale)?;
        let route = Route::accounts(&live.topic(), "read.accounts");
        let group = format!("{name}_{}", std::process::id());
        let setup = Setup::new(&live.brokers, &group, &live.reads_url(), route);
        let projector = Projector::start(setup.clone());
        projector.drained(&projector.ends(&live.topic()));
        let folder = tempfile::tempdir().unwrap();
        let place = text(folder.path());
        let written = std::fs::read_to_string(&live.playbook).unwrap();
        assert!(written.contains("applied: none"), "{written}");
        let playbook = written.replace(
            "applied: none",
            &format!(
                "applied: {{ consumer_group: {group} }}\ncaptured: {{ slot: {} }}\n\
                 cutover: {{ pause: \"touch {place}/pause; until test -e {place}/stopped; do sleep 0.01; done\", \
                 resume: \"rm -f {place}/pause; while test -e {place}/stopped; do sleep 0.01; done\", {cutover} }}\n\
                 limits: {{ repairs_max: \"50%\" }}",
                live.slot()
            ),
        );
        std::fs::write(folder.path().join("playbook.yaml"), playbook).unwrap();
        let shared = Arc::new(Shared {
            folder: folder.path().to_path_buf(),
            setup,
            projector: Mutex::new(Some(projector)),
            intruder: Mutex::new(None),
            meanwhile: Mutex::new(Meanwhile::Nothing),
            end: AtomicBool::new(false),
        });
        let looking = Arc::clone(&shared);
        let thread = std::thread::spawn(move || {
            while !looking.end.load(Ordering::Relaxed) {
                looking.look();
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Some(Operated {
            live,
            shared,
            thread: Some(thread),
            folder,
        })
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes the playbook anew.
    pub fn change_playbook(&self, change: impl FnOnce(String) -> String) {
        let playbook = self.path("playbook.yaml");
        let written = std::fs::read_to_string(&playbook).unwrap();
        std::fs::write(playbook, change(written)).unwrap();
    }

    /// What somebody else does from the next pause on.
    pub fn meanwhile(&self, meanwhile: Meanwhile) {
        *self.shared.meanwhile.lock().unwrap() = meanwhile;
        let mut intruder = self.shared.intruder.lock().unwrap();
        if let Some(one) = intruder.take() {
            one.stop();
        }
        if meanwhile == Meanwhile::ScaledUp {
            let one = Projector::start(self.shared.setup.clone());
            one.joined(2);
            *intruder = Some(one);
        }
    }

    /// Stops the projector, as somebody would who does not want it back soon.
    pub fn stop_projector(&self) {
        std::fs::write(self.path("pause"), "").unwrap();
        until_within(Duration::from_secs(30), "the projector stops", || {
            !self.is_running()
        });
    }

    pub fn start_projector(&self) {
        std::fs::remove_file(self.path("pause")).unwrap();
        until_within(Duration::from_secs(30), "the projector starts", || {
            self.is_running()
        });
    }

    /// The projector's group has offsets in another topic, too.
    pub fn reads_as_well(&self, topic: &str) {
        let to = ["--reset-offsets", "--to-earliest", "--execute"];
        self.group_tool(&[&to[..], &["--topic", topic]].concat());
    }

    pub fn reads_no_more(&self, topic: &str) {
        self.group_tool(&["--delete-offsets", "--topic", topic]);
    }

    fn group_tool(&self, args: &[&str]) {
        let group = &self.shared.setup.group;
        let whose = ["--bootstrap-server", &self.live.brokers, "--group", group];
        let class = "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand";
        kafka_tool(class, &[&whose[..], args].concat());
    }

    pub fn is_running(&self) -> bool {
        self.shared.projector.lock().unwrap().is_some()
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let playbook = text(&self.path("playbook.yaml"));
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { &playbook } else { *a })
            .collect();
        command(&args)
    }

    pub fn trueup(&self, args: &[&str]) -> Ran {
        run(&mut self.command(args))
    }

    /// Once the projector has applied everything, the copy is the primary.
    #[track_caller]
    pub fn is_in_step(&self) {
        self.live.captured();
        assert!(self.is_running(), "the projector is not running");
        {
            let projector = self.shared.projector.lock().unwrap();
            let projector = projector.as_ref().unwrap();
            projector.drained(&projector.ends(&self.live.topic()));
        }
        let differing = self.live.differing("read.accounts");
        let some: Vec<_> = differing.iter().take(3).collect();
        assert!(
            differing.is_empty(),
            "{} keys differ: {some:?}",
            differing.len()
        );
        until_within(Duration::from_secs(180), "verify says so too", || {
            self.trueup(&["verify", "{}", "--quiet"]).code == 0
        });
    }
}

impl Drop for Operated {
    fn drop(&mut self) {
        self.shared.end.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
