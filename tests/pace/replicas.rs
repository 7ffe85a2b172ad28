//! Work waits for replicas: a server of our own with a standby that is made to lag.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Running, log};
use crate::support::services::{Postgres, out};
use crate::support::{command, run, text};

/// A primary server and its standby, in a folder of their own.
struct Servers {
    folder: tempfile::TempDir,
    programs: Postgres,
    ports: [u16; 2],
    running: Vec<Child>,
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Servers {
    fn start() -> Option<Servers> {
        let programs = Postgres::new()?;
        let folder = tempfile::Builder::new()
            .prefix("tu")
            .tempdir_in("/tmp")
            .unwrap();
        let ports = [free_port(), free_port()];
        let mut servers = Servers {
            folder,
            programs,
            ports,
            running: Vec::new(),
        };
        if is_root() {
            out(&Command::new("chown")
                .arg("postgres:")
                .arg(servers.folder.path())
                .output()
                .unwrap());
        }
        let [first, second] = ["first", "second"].map(|name| servers.folder.path().join(name));
        let first_text = text(&first);
        servers.as_server(
            "initdb",
            &[
                "-D",
                &first_text,
                "-U",
                "postgres",
                "--auth=trust",
                "--no-sync",
                "--locale=C.UTF-8",
            ],
        );
        servers.serve(&first, 0);
        let url = format!("postgres://postgres@127.0.0.1:{}/postgres", ports[0]);
        servers.as_server(
            "pg_basebackup",
            &[
                "-d",
                &url,
                "-D",
                &text(&second),
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            ],
        );
        servers.serve(&second, 1);
        servers.sql(0, "CREATE DATABASE p");
        servers.sql(0, "CREATE DATABASE r");
        Some(servers)
    }

    /// Runs one of the server's programs as the server's user.
    fn as_server(&self, program: &str, args: &[&str]) {
        out(&self.command(program).args(args).output().unwrap());
    }

    fn command(&self, program: &str) -> Command {
        let program = self.programs.program(program).get_program().to_owned();
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command
                .args([
                    "--reuid",
                    "postgres",
                    "--regid",
                    "postgres",
                    "--init-groups",
                ])
                .arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir("/");
        command
    }

    fn serve(&mut self, data: &Path, nth: usize) {
        let port = self.ports[nth].to_string();
        let child = self
            .command("postgres")
            .arg("-D")
            .arg(data)
            .args([
                "-p",
                &port,
                "-k",
                "",
                "-c",
                "fsync=off",
                "-c",
                "listen_addresses=127.0.0.1",
            ])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        self.running.push(child);
        let began = Instant::now();
        while self.try_sql(nth, "SELECT 1").is_none() {
            assert!(
                began.elapsed() < Duration::from_secs(60),
                "the server does not come up"
            );
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    fn url(&self, nth: usize, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}",
            self.ports[nth]
        )
    }

    fn psql(&self, url: &str, sql: &str) -> std::process::Output {
        self.programs
            .program("psql")
            .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
            .output()
            .unwrap()
    }

    fn try_sql(&self, nth: usize, sql: &str) -> Option<String> {
        let output = self.psql(&self.url(nth, "postgres"), sql);
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    fn sql(&self, nth: usize, sql: &str) -> String {
        out(&self.psql(&self.url(nth, "postgres"), sql))
    }

    fn sql_in(&self, database: &str, sql: &str) -> String {
        out(&self.psql(&self.url(0, database), sql))
    }

    fn playbook(&self, name: &str, primary: &str, read_store: &str, limits: &str) -> PathBuf {
        let folder = self.folder.path();
        let path = folder.join(name);
        let yaml = format!(
            "version: 1\nname: x\nprimary: {{ {primary} }}\nread_store: {{ url: \"{read_store}\" }}\nlog: {{ archive: log.jsonl }}\napplied: none\n\
             sources: {{ t: {{ topic: shop.main.t, table: public.t }} }}\nviews: {{ copy: {{ from: t, key: [id] }} }}\nlimits: {{ {limits} }}\n"
        );
        fs::write(&path, yaml).unwrap();
        path
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for child in self.running.iter_mut().rev() {
            // INT is "now"; a server that is killed outright would leave its shared memory.
            let _ = Command::new("kill")
                .args(["-INT", &child.id().to_string()])
                .status();
            let _ = child.wait();
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0)
}

#[test]
fn that_lag() {
    let Some(servers) = Servers::start() else {
        return;
    };
    const KEYS: i64 = 24_000;
    fs::write(servers.folder.path().join("log.jsonl"), log(KEYS)).unwrap();
    servers.sql_in("p", &format!("CREATE TABLE t (id bigint PRIMARY KEY, a text, b bigint); INSERT INTO t SELECT i, 'a' || i, i FROM generate_series(1, {KEYS}) AS i"));
    servers.sql_in(
        "r",
        "CREATE TABLE copy (id bigint PRIMARY KEY, a text, b bigint)",
    );
    let primary = format!("url: \"{}\"", servers.url(0, "p"));
    let book = servers.playbook(
        "playbook.yaml",
        &primary,
        &servers.url(0, "r"),
        "replica_lag_max: 1.2s",
    );
    waits_for_a_standby(&servers, &book, KEYS);
    reads_no_replica_that_lags(&servers);
    says_what_it_may_not_see(&servers, &primary);
}

/// The standby of the read store stands still: so does the load, and goes on when it does.
fn waits_for_a_standby(servers: &Servers, book: &Path, keys: i64) {
    servers.sql(1, "SELECT pg_wal_replay_pause()");
    let mut running = Running::start(&mut command(&[
        "replay",
        "big-bang",
        &text(book),
        "--yes",
        "--rate",
        "4k",
        "-v",
    ]));
    std::thread::sleep(Duration::from_secs(5));
    // Nothing is held meanwhile: no transaction of ours is open.
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(500));
        let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'trueup' AND state = 'idle in transaction'";
        assert_eq!(servers.sql(0, open), "0");
    }
    assert!(running.is_running(), "it did not wait");
    servers.sql(1, "SELECT pg_wal_replay_resume()");
    let (code, _, said) = running.end();
    assert_eq!(code, 0, "{said}");
    assert!(
        said.contains("throttled: replica lag ") && said.contains(" s > 1.2 s (walreceiver)"),
        "{said}"
    );
    assert_eq!(
        servers.sql_in("r", "SELECT count(*) FROM copy"),
        keys.to_string()
    );
    // With `none` nobody is looked at.
    servers.sql(1, "SELECT pg_wal_replay_pause()");
    let yaml = fs::read_to_string(book).unwrap().replace("1.2s", "none");
    fs::write(book, yaml).unwrap();
    run(&mut command(&[
        "replay",
        "big-bang",
        &text(book),
        "--yes",
        "--rate",
        "12k",
    ]))
    .exit(0);
    servers.sql(1, "SELECT pg_wal_replay_resume()");
}

/// The replica that the primary is read from lags: a verification waits until it does not.
fn reads_no_replica_that_lags(servers: &Servers) {
    let primary = format!(
        "url: \"{}\", read_url: \"{}\"",
        servers.url(0, "p"),
        servers.url(1, "p")
    );
    let book = servers.playbook(
        "replica.yaml",
        &primary,
        &servers.url(0, "r"),
        "replica_lag_max: 1s",
    );
    let caught_up = || {
        servers.sql(1, "SELECT pg_last_wal_replay_lsn()")
            == servers.sql(0, "SELECT pg_current_wal_flush_lsn()")
    };
    crate::support::projector::until("the standby follows", caught_up);
    servers.sql(1, "SELECT pg_wal_replay_pause()");
    servers.sql_in("p", "UPDATE t SET a = 'late' WHERE id = 5; CHECKPOINT");
    std::thread::sleep(Duration::from_secs(2));
    let mut running = Running::start(&mut command(&[
        "verify",
        &text(&book),
        "-v",
        "--lag-wait",
        "1s",
        "--no-hash",
    ]));
    std::thread::sleep(Duration::from_secs(4));
    assert!(running.is_running(), "it did not wait");
    servers.sql(1, "SELECT pg_wal_replay_resume()");
    let (code, out, said) = running.end();
    assert!(said.contains(" > 1 s (read_url)"), "{said}");
    assert!(
        matches!(code, 1 | 5),
        "the late row differs: {code} {out} {said}"
    );
}

/// A role that may not see replicas is told so, once, and goes on.
fn says_what_it_may_not_see(servers: &Servers, primary: &str) {
    servers.sql(
        0,
        "CREATE ROLE plain LOGIN; GRANT ALL ON DATABASE r TO plain",
    );
    servers.sql_in(
        "r",
        "GRANT CREATE ON SCHEMA public TO plain; GRANT USAGE ON SCHEMA trueup TO plain; GRANT SELECT ON ALL TABLES IN SCHEMA trueup TO plain; ALTER TABLE copy OWNER TO plain; GRANT SELECT ON ALL TABLES IN SCHEMA public TO plain",
    );
    let url = servers.url(0, "r").replace("postgres@", "plain@");
    let book = servers.playbook("plain.yaml", primary, &url, "replica_lag_max: 1s");
    let ran = run(&mut command(&[
        "replay",
        "big-bang",
        &text(&book),
        "--dry-run",
    ]))
    .exit(0);
    let words = "role plain may not see how far they lag";
    assert_eq!(ran.stdout.matches(words).count(), 1, "{}", ran.stdout);
}
