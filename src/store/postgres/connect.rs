//! Connecting, and what every act needs of a connection.

use std::str::FromStr;
use std::sync::Arc;
use std::sync::PoisonError;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgRow};
use sqlx::{ConnectOptions, PgConnection};
use tokio::sync::Mutex;

use super::ask::{all, get, one};
use super::{
    Access, CONNECT_SECONDS_MAX, CONNECTIONS_MAX, IDLE_SECONDS_MAX, LOCK_SECONDS_MAX, Leases,
    Postgres, Pulse, READ_STATEMENT_SECONDS_MAX, StoreError, VERSION_MIN, fail,
};
use crate::store::dialect::postgres as sql;

impl Postgres {
    /// Connects. `redacted` stands for the URL in messages.
    ///
    /// # Errors
    /// When the URL is none, the server cannot be reached within ten seconds, refuses the login or is too old.
    pub async fn connect(
        url: &str,
        redacted: &str,
        access: Access,
    ) -> Result<Postgres, StoreError> {
        let options = PgConnectOptions::from_str(url)
            .map_err(|problem| StoreError::Refused(format!("{redacted}: {problem}")))?
            .application_name("trueup")
            // The session sets it; a pooler would not let it through here.
            .extra_float_digits(None)
            .disable_statement_logging();
        let read_only = access == Access::Read;
        let statement = if read_only {
            READ_STATEMENT_SECONDS_MAX
        } else {
            0
        };
        let session = sql::session(read_only, statement, LOCK_SECONDS_MAX, IDLE_SECONDS_MAX);
        let each = opening(&session);
        let sessions = Arc::<std::sync::Mutex<Vec<i32>>>::default();
        let known = Arc::clone(&sessions);
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS_MAX)
            .acquire_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .after_connect(move |connection, _| {
                let (opening, known) = (each.clone(), Arc::clone(&known));
                Box::pin(async move { open(connection, &opening, &known).await })
            })
            .connect_lazy_with(options.clone());
        let mut store = Postgres {
            pool,
            pulse: Pulse::new(options.clone(), redacted),
            options,
            session,
            database: redacted.to_owned(),
            version: 0,
            encoding: String::new(),
            held: Leases::default(),
            sessions,
            boundaries: Mutex::default(),
        };
        let pulse = store.pulse.clone();
        pulse.beside(store.greet()).await?;
        Ok(store)
    }

    /// What an act gives, or `Unreachable` once the server answers nobody any more. Every act goes through this.
    pub(in super::super) async fn while_it_answers<T>(
        &self,
        act: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.pulse.beside(act).await
    }

    async fn greet(&mut self) -> Result<(), StoreError> {
        self.knock().await?;
        self.refuse_pooler().await?;
        let mut connection = self.acquire().await?;
        let asked =
            "SELECT current_setting('server_version_num')::int, current_setting('server_encoding')";
        let row = one(&mut connection, asked)
            .await
            .map_err(|e| self.fail("asking for the version", e))?;
        self.version = get(&row, 0)?;
        self.encoding = get(&row, 1)?;
        if self.version < VERSION_MIN {
            return Err(StoreError::Refused(format!(
                "{}: PostgreSQL {} is too old; {} or newer is needed",
                self.database,
                self.version / 10_000,
                VERSION_MIN / 10_000
            )));
        }
        Ok(())
    }

    /// Whether anybody listens. The pool would try a closed port again and again, and then say only that time ran out.
    async fn knock(&self) -> Result<(), StoreError> {
        if self.options.get_socket().is_some() || self.options.get_host().starts_with('/') {
            return Ok(());
        }
        let address = (self.options.get_host(), self.options.get_port());
        let limit = Duration::from_secs(CONNECT_SECONDS_MAX);
        let problem =
            match tokio::time::timeout(limit, tokio::net::TcpStream::connect(address)).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(e)) => e.to_string(),
                Err(_) => format!("no answer within {CONNECT_SECONDS_MAX} s"),
            };
        Err(StoreError::Unreachable {
            database: self.database.clone(),
            problem,
        })
    }

    /// A connection beside the pool, for a lock that lasts and for statements that take as long as they take.
    pub(super) async fn dedicated(&self) -> Result<PgConnection, StoreError> {
        let limit = Duration::from_secs(CONNECT_SECONDS_MAX);
        let connecting = async {
            let mut connection = self.options.connect().await?;
            open(&mut connection, &opening(&self.session), &self.sessions).await?;
            Ok(connection)
        };
        match tokio::time::timeout(limit, connecting).await {
            Ok(connected) => connected.map_err(|e| self.fail("connecting", e)),
            Err(_) => Err(StoreError::Unreachable {
                database: self.database.clone(),
                problem: format!("no answer within {CONNECT_SECONDS_MAX} s"),
            }),
        }
    }

    pub(super) async fn acquire(
        &self,
    ) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, StoreError> {
        self.pool
            .acquire()
            .await
            .map_err(|e| self.fail("connecting", e))
    }

    pub(super) async fn begin_transaction(
        &self,
    ) -> Result<sqlx::Transaction<'static, sqlx::Postgres>, StoreError> {
        self.pool
            .begin()
            .await
            .map_err(|e| self.fail("connecting", e))
    }

    /// Rows of one statement, outside a transaction.
    pub(super) async fn ask(&self, act: &str, sql: &str) -> Result<Vec<PgRow>, StoreError> {
        let mut connection = self.acquire().await?;
        all(&mut connection, sql)
            .await
            .map_err(|e| self.fail(act, e))
    }

    /// The process numbers of our sessions, those that ended among them.
    pub(super) fn pids(&self) -> Vec<i32> {
        let known = self.sessions.lock();
        known.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn fail(&self, act: &str, error: sqlx::Error) -> StoreError {
        fail::store_error(&self.database, act, error)
    }
}

/// What a session begins with: its settings, and its number.
fn opening(session: &str) -> String {
    format!("{session}; SELECT pg_backend_pid()")
}

async fn open(
    connection: &mut PgConnection,
    opening: &str,
    known: &std::sync::Mutex<Vec<i32>>,
) -> Result<(), sqlx::Error> {
    let row = one(connection, opening).await?;
    let pid = sqlx::Row::try_get(&row, 0)?;
    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
    known.push(pid);
    Ok(())
}
