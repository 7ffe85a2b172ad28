//! Whether the server is still there, asked while an act waits for it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::time::{sleep, timeout};

use super::{StoreError, one};
use crate::limits;

/// An act may take hours, so that no time limit tells a long one from one whose answer will never come: a network that
/// swallows everything ends no connection. What tells them apart is a new connection.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    options: PgConnectOptions,
    database: String,
    /// Since when every question went unanswered.
    silent_since: Arc<Mutex<Option<Instant>>>,
}

impl Pulse {
    pub(super) fn new(options: PgConnectOptions, database: &str) -> Pulse {
        Pulse {
            options,
            database: database.to_owned(),
            silent_since: Arc::default(),
        }
    }

    /// What an act gives, or `Unreachable` once the server answers nobody any more.
    pub(super) async fn beside<T>(
        &self,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        tokio::select! {
            biased;
            done = act => done,
            silent = self.stops() => Err(silent),
        }
    }

    async fn stops(&self) -> StoreError {
        // Another act may have found out already.
        if self.silent_since().is_none() {
            sleep(limits::PULSE_EVERY).await;
        }
        loop {
            let asked = Instant::now();
            if self.beats().await {
                *self.silent_since() = None;
                sleep(limits::PULSE_EVERY).await;
                continue;
            }
            let silent = self.silent_since().get_or_insert(asked).elapsed();
            if silent >= limits::SERVER_SILENT_MAX {
                return StoreError::Unreachable {
                    database: self.database.clone(),
                    problem: format!(
                        "no answer for {} s, and none to new connections either",
                        silent.as_secs()
                    ),
                };
            }
            sleep(limits::PULSE_PAUSE).await;
        }
    }

    /// Whether anything at all is answered: a no is an answer, too.
    async fn beats(&self) -> bool {
        let asked = async {
            let mut connection = self.options.connect().await?;
            one(&mut connection, "SELECT 1").await?;
            connection.close().await
        };
        match timeout(limits::PULSE_WAIT, asked).await {
            Ok(Ok(()) | Err(sqlx::Error::Database(_))) => true,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    fn silent_since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
