//! The pipe on real services: pgbench in PostgreSQL, through Debezium into Kafka, rebuilt into a read table that readers use.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::support::services::{Postgres, kafka_tool, out, script};
use crate::support::{command, run, service, size, text, trueup};

/// pgbench tables through Debezium, in databases of one test's own.
struct Bench {
    name: &'static str,
    postgres: Postgres,
    playbook: PathBuf,
    rows: u64,
}

impl Bench {
    fn load(name: &'static str, scale: usize, transactions: usize) -> Option<Bench> {
        service("TRUEUP_TEST_KAFKA")?;
        service("TRUEUP_TEST_CONNECT")?;
        let postgres = Postgres::new()?;
        let _ = script("pgbench").args(["drop", name]).output().unwrap();
        let loaded = script("pgbench")
            .args(["load", name, &scale.to_string(), &transactions.to_string()])
            .output()
            .unwrap();
        let printed = out(&loaded);
        let playbook = PathBuf::from(printed.lines().last().unwrap());
        Some(Bench {
            name,
            postgres,
            playbook,
            rows: scale as u64 * 100_000,
        })
    }

    fn trueup(&self, args: &[&str]) -> crate::support::Ran {
        let playbook = text(&self.playbook);
        let args: Vec<&str> = args
            .iter()
            .map(|a| if *a == "{}" { playbook.as_str() } else { a })
            .collect();
        trueup(&args)
    }

    fn reads(&self, sql: &str) -> String {
        self.postgres.sql(&format!("{}_reads", self.name), sql)
    }

    #[track_caller]
    fn equal(&self) {
        out(&script("pgbench")
            .args(["equal", self.name])
            .output()
            .unwrap());
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        let _ = script("pgbench").args(["drop", self.name]).output();
    }
}

/// Readers of the live table: each poll must succeed and see every row.
pub(crate) struct Readers {
    stop: Arc<AtomicBool>,
    polls: Arc<AtomicU64>,
    wrong: Arc<AtomicU64>,
    threads: Vec<std::thread::JoinHandle<()>>,
    began: Instant,
}

impl Readers {
    pub(crate) fn start(url: &str, rows: u64, count: usize) -> Readers {
        let (stop, polls, wrong) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicU64::new(0)),
        );
        let threads = (0..count)
            .map(|n| {
                let (stop, polls, wrong, url) = (
                    Arc::clone(&stop),
                    Arc::clone(&polls),
                    Arc::clone(&wrong),
                    url.to_owned(),
                );
                std::thread::spawn(move || {
                    let runtime = tokio::runtime::Builder::new_current_thread()
                        .enable_all()
                        .build()
                        .unwrap();
                    runtime.block_on(poll(&url, rows, n as u64, &stop, &polls, &wrong));
                })
            })
            .collect();
        Readers {
            stop,
            polls,
            wrong,
            threads,
            began: Instant::now(),
        }
    }

    /// Polls, polls a second, and polls that failed or missed their row.
    pub(crate) fn stop(mut self) -> (u64, u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in std::mem::take(&mut self.threads) {
            thread.join().unwrap();
        }
        let polls = self.polls.load(Ordering::Relaxed);
        let rate = polls * 1000
            / u64::try_from(self.began.elapsed().as_millis())
                .unwrap()
                .max(1);
        (polls, rate, self.wrong.load(Ordering::Relaxed))
    }
}

impl Drop for Readers {
    fn drop(&mut self) {
        // A test that failed drops the database too: nobody is to poll it, and complain, for ever.
        self.stop.store(true, Ordering::Relaxed);
    }
}

async fn poll(
    url: &str,
    rows: u64,
    seed: u64,
    stop: &AtomicBool,
    polls: &AtomicU64,
    wrong: &AtomicU64,
) {
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(url).await.unwrap();
    let mut key = seed;
    while !stop.load(Ordering::Relaxed) {
        key = (key * 6_364_136_223 + 1_442_695) % rows;
        let found: Result<Option<(i32,)>, _> =
            sqlx::query_as("SELECT branch_id FROM read.accounts WHERE account_id = $1")
                .bind(i32::try_from(key + 1).unwrap())
                .fetch_optional(&mut connection)
                .await;
        polls.fetch_add(1, Ordering::Relaxed);
        if matches!(found, Ok(Some(_))) {
            continue;
        }
        if wrong.fetch_add(1, Ordering::Relaxed) < 10 {
            println!("poll of {}: {found:?}", key + 1);
        }
    }
}

#[test]
fn big_bang_rebuilds_a_table_that_is_being_read() {
    let (scale, transactions) = (size(1, 10), size(5_000, 50_000));
    let Some(bench) = Bench::load("tu_pipe", scale, transactions) else {
        return;
    };
    // The first rebuild fills the empty table; from then on readers use it.
    let first = bench
        .trueup(&["replay", "big-bang", "{}", "--yes", "--format", "json"])
        .exit(0)
        .json();
    let counts = &first["counts"];
    println!("counts {counts}");
    assert_eq!(
        counts["read"].as_u64().unwrap(),
        bench.rows + transactions as u64
    );
    bench.equal();
    bench.trueup(&["verify", "{}"]).exit(0);
    let before = bench.postgres.schema_dump("tu_pipe_reads", "read");
    let readers = Readers::start(&bench.postgres.url("tu_pipe_reads"), bench.rows, 2);
    bench.reads("UPDATE read.accounts SET balance = balance + 1 WHERE account_id % 1000 = 7");
    let again = bench
        .trueup(&["replay", "big-bang", "{}", "--yes", "--format", "json"])
        .exit(0)
        .json();
    std::thread::sleep(Duration::from_millis(500));
    let (polls, rate, wrong) = readers.stop();
    println!(
        "{polls} polls, {rate} a second, {wrong} wrong; locked {} ms",
        again["views"][0]["swap_locked_ms"]
    );
    assert_eq!(wrong, 0);
    assert!(polls > 1_000, "the readers hardly ran: {polls} polls");
    bench.equal();
    let after = bench.postgres.schema_dump("tu_pipe_reads", "read");
    assert!(
        before == after,
        "the schema changed:\n{before}\n--- after\n{after}"
    );
    bench.trueup(&["verify", "{}"]).exit(0);
    planted_differences_are_counted_exactly(&bench);
    the_projector_must_be_stopped(&bench);
    refusals_on_real_services(&bench);
}

fn planted_differences_are_counted_exactly(bench: &Bench) {
    out(&script("pgbench")
        .args(["plant", bench.name, "100", "50", "50"])
        .output()
        .unwrap());
    for how in [
        &["verify", "{}", "--format", "json"][..],
        &["verify", "{}", "--format", "json", "--no-hash"],
    ] {
        let report = bench.trueup(how).exit(1).json();
        let view = &report["views"][0];
        let found = ["changed", "missing", "extra"].map(|kind| view[kind].as_u64().unwrap());
        assert_eq!(found, [100, 50, 50], "{report}");
        assert_eq!(report["verdict"], "drift");
    }
    // The role that verifies needs no more than SELECT.
    let database = "tu_pipe_reads";
    bench.reads("DO $$ BEGIN CREATE ROLE tu_reader LOGIN PASSWORD 'reader'; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    bench.reads("GRANT USAGE ON SCHEMA read TO tu_reader; GRANT SELECT ON ALL TABLES IN SCHEMA read TO tu_reader");
    let yaml = std::fs::read_to_string(&bench.playbook).unwrap();
    let reader = yaml.replace(
        &bench.postgres.url(database),
        &bench.postgres.url_as("tu_reader", "reader", database),
    );
    let path = bench.playbook.with_extension("reader.yaml");
    std::fs::write(&path, reader).unwrap();
    trueup(&["verify", &text(&path)]).exit(1);
    trueup(&["replay", "big-bang", &text(&path), "--yes"])
        .exit(3)
        .says(&["tu_reader"]);
    assert_eq!(
        bench.reads("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup\\_2%'"),
        "0"
    );
}

/// A consumer that is in the group until it is dropped.
fn projector(protocol: &str, topic: &str) -> rdkafka::consumer::BaseConsumer {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let consumer: BaseConsumer = rdkafka::ClientConfig::new()
        .set("bootstrap.servers", service("TRUEUP_TEST_KAFKA").unwrap())
        .set("group.id", format!("tu_projector_{protocol}"))
        .set("group.protocol", protocol)
        .set("auto.offset.reset", "earliest")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    consumer.subscribe(&[topic]).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while consumer.assignment().unwrap().count() == 0 {
        assert!(Instant::now() < until, "the projector got no partitions");
        consumer.poll(Duration::from_millis(100));
    }
    consumer
}

/// Commits that everything was applied: the table is as the log says.
fn applied_all(consumer: &rdkafka::consumer::BaseConsumer, topic: &str) {
    use rdkafka::consumer::{CommitMode, Consumer as _};
    let mut all = rdkafka::TopicPartitionList::new();
    for partition in 0..4 {
        let wait = Duration::from_secs(10);
        let (_, end) = consumer.fetch_watermarks(topic, partition, wait).unwrap();
        let end = rdkafka::Offset::Offset(end);
        all.add_partition_offset(topic, partition, end).unwrap();
    }
    consumer.commit(&all, CommitMode::Sync).unwrap();
}

fn the_projector_must_be_stopped(bench: &Bench) {
    let topic = format!("{}.public.pgbench_accounts", bench.name);
    let yaml = std::fs::read_to_string(&bench.playbook).unwrap();
    let path = bench.playbook.with_extension("group.yaml");
    for protocol in ["classic", "consumer"] {
        let applied = format!("applied: {{ consumer_group: tu_projector_{protocol} }}");
        std::fs::write(&path, yaml.replace("applied: none", &applied)).unwrap();
        let consumer = projector(protocol, &topic);
        trueup(&["replay", "big-bang", &text(&path), "--yes"])
            .exit(3)
            .says(&["the projector is active", "1 members"]);
        applied_all(&consumer, &topic);
        drop(consumer);
        let done = trueup(&[
            "replay",
            "big-bang",
            &text(&path),
            "--yes",
            "--format",
            "json",
        ])
        .exit(0)
        .says(&["the projector is at offset"])
        .json();
        assert_eq!(done["positions"].as_array().unwrap().len(), 4);
    }
    // A checkpoint that stands still is a projector at rest.
    bench.reads("CREATE TABLE IF NOT EXISTS public.checkpoint (topic text, partition int, next_offset bigint)");
    let applied =
        "applied: { checkpoint: \"SELECT topic, partition, next_offset FROM public.checkpoint\" }";
    std::fs::write(&path, yaml.replace("applied: none", applied)).unwrap();
    trueup(&["replay", "big-bang", &text(&path), "--dry-run"]).exit(0);
}

fn refusals_on_real_services(bench: &Bench) {
    let yaml = std::fs::read_to_string(&bench.playbook).unwrap();
    let changed = |name: &str, from: &str, to: &str| {
        assert!(yaml.contains(from), "{from} is not in {yaml}");
        let path = bench.playbook.with_extension(format!("{name}.yaml"));
        std::fs::write(&path, yaml.replace(from, to)).unwrap();
        text(&path)
    };
    let replay = |path: &str| trueup(&["replay", "big-bang", path, "--yes"]);
    replay(&changed(
        "topic",
        ".public.pgbench_accounts }",
        ".public.nothing, table: public.pgbench_accounts }",
    ))
    .exit(2)
    .says(&["no topic"]);
    replay(&changed("password", "postgres:trueup@", "postgres:wrong@"))
        .exit(4)
        .says(&["password authentication failed"]);
    // What hangs on the table is named, and nothing is written.
    bench.reads(
        "CREATE MATERIALIZED VIEW read.rich AS SELECT * FROM read.accounts WHERE balance > 0",
    );
    bench
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["materialized view read.rich"]);
    bench.reads("DROP MATERIALIZED VIEW read.rich");
    // Interrupted: the live table stays, and the shadow is gone on with, or given up.
    let before = bench.reads("SELECT count(*), sum(balance) FROM read.accounts");
    let playbook = text(&bench.playbook);
    let mut child = command(&["replay", "big-bang", &playbook, "--yes"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(Duration::from_millis(600));
    // The process may have ended already on a fast machine; then there is nothing to interrupt.
    let _ = run(std::process::Command::new("kill").args(["-INT", &child.id().to_string()]));
    let code = child.wait().unwrap().code();
    println!("interrupted: exit {code:?}");
    if code == Some(130) {
        assert_eq!(
            bench.reads("SELECT count(*), sum(balance) FROM read.accounts"),
            before
        );
        let shadows = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'trueup\\_2%'";
        let runs = bench.trueup(&["runs", "{}", "--format", "json"]).json();
        let unfinished = runs["runs"].as_array().unwrap().iter();
        let ids: Vec<String> = unfinished
            .filter(|run| run["state"] == "unfinished")
            .map(|run| run["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(bench.reads(shadows), ids.len().to_string(), "{runs}");
        for id in ids {
            bench.trueup(&["runs", "abort", "{}", &id, "--yes"]).exit(0);
        }
        assert_eq!(bench.reads(shadows), "0");
    } else {
        assert_eq!(code, Some(0));
    }
    // A log that lost its beginning.
    let server = service("TRUEUP_TEST_KAFKA").unwrap();
    let topic = format!("{}.public.pgbench_accounts", bench.name);
    let file = bench.playbook.with_extension("delete.json");
    let partitions = format!(
        "{{\"version\":1,\"partitions\":[{{\"topic\":\"{topic}\",\"partition\":0,\"offset\":10}}]}}"
    );
    std::fs::write(&file, partitions).unwrap();
    kafka_tool(
        "org.apache.kafka.tools.DeleteRecordsCommand",
        &[
            "--bootstrap-server",
            &server,
            "--offset-json-file",
            &text(&file),
        ],
    );
    bench
        .trueup(&["replay", "big-bang", "{}", "--yes"])
        .exit(3)
        .says(&["partition 0 starts at offset 10"]);
}
