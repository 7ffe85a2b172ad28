//! The bridge between the thread that reads and the task that writes: one bounded channel of batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use tokio::sync::mpsc;

use super::Loader;
use crate::fault;
use crate::limits;
use crate::store::{Acts, Batch, Mark, Shadow, Store, WritePermit};
use crate::strategies::Bug;

/// A batch on its way, with what it brings the shadow to.
pub(super) struct Loaded {
    pub(super) batch: Batch,
    pub(super) mark: Mark,
}

/// What the thread that fills the loader brings back.
pub(super) struct Pass {
    pub(super) loader: Loader,
    pub(super) stopped: bool,
}

/// The way from the thread that fills the loader to the task that writes.
pub(super) struct Pipe {
    send: mpsc::Sender<Loaded>,
    /// Set once the writer has failed.
    pub(super) quit: Arc<AtomicBool>,
}

impl Pipe {
    /// Sends what the loader has, when that is a batch; whether there is any use in going on.
    pub(super) fn flow(&self, loader: &mut Loader) -> bool {
        let full = loader.encoder.bytes() >= fault::batch_bytes();
        (!full || self.send.blocking_send(loader.take()).is_ok())
            && !self.quit.load(Ordering::Relaxed)
    }

    /// Sends the rest.
    pub(super) fn end(&self, loader: &mut Loader) {
        // A closed channel means that the writer failed; its own error is the one to show.
        let _ = self.send.blocking_send(loader.take());
    }
}

/// Runs `fill` on a thread of its own and writes the batches that it sends.
pub(super) async fn written(
    store: &Store,
    shadow: &Shadow,
    permit: &WritePermit,
    fill: impl FnOnce(&Pipe) -> Result<Pass> + Send + 'static,
) -> Result<(Loader, bool)> {
    let (send, mut receive) = mpsc::channel(limits::BATCHES_IN_FLIGHT);
    let quit = Arc::new(AtomicBool::new(false));
    let reader = {
        let quit = Arc::clone(&quit);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || fill(&Pipe { send, quit }))?
    };
    let mut written = Ok(());
    while let Some(Loaded { batch, mark }) = receive.recv().await {
        written = store.append(permit, shadow, batch, &mark).await;
        crate::crash_point!("load.appended");
        if written.is_err() {
            quit.store(true, Ordering::Relaxed);
            break;
        }
    }
    // The reader may be waiting for room in the channel.
    drop(receive);
    let pass = tokio::task::spawn_blocking(move || reader.join()).await?;
    written?;
    let pass = pass.map_err(|_| Bug("the thread that reads the log panicked".to_owned()))??;
    Ok((pass.loader, pass.stopped))
}
