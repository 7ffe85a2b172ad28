//! Query views that are brought up to date by what changed in their sources, round by round, against the query over what the
//! primary then holds.

mod figures;
mod histories;
mod queries;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use trueup::projection::mapping::{From, Mapping, Target};
use trueup::projection::query::{Dialect, NoSource, Query, TouchedBy};
use trueup::projection::types::Column;
use trueup::report::progress::Progress;
use trueup::store::{Access, Acts, Engine as Kind, Store, TableName, WritePermit};
use trueup::strategies::bounds::Bound;
use trueup::strategies::load::OnBad;
use trueup::strategies::replay::derive::Derivation;
use trueup::strategies::replay::pipeline::Pipeline;
use trueup::strategies::replay::{Begin, Options, Plan, plan};
use trueup::strategies::{Applied, Captured, Origin, SourcePart, Systems, View};
use trueup::stream::{Archive, ArchiveConfig, Log};

use crate::support::pair::{Engine, Pair, Side};

/// A view as a test writes it; its table has these columns, the first of them the key.
pub struct Written {
    pub name: String,
    pub key: usize,
    pub columns: Vec<(&'static str, &'static str)>,
    pub query: String,
    pub touched_by: Vec<(String, String)>,
}

/// Changes, written as records that any number of logs hold the beginning of.
pub struct Recorded {
    pair: Pair,
    engine: Engine,
    pub sources: Vec<String>,
    views: Vec<Written>,
    files: Vec<PathBuf>,
    offsets: BTreeMap<(usize, i32), i64>,
    lsn: u64,
    out: Option<BufWriter<File>>,
}

impl Recorded {
    /// Databases with these sources, made by `tables`, and these views.
    pub fn new(
        engine: Engine,
        tables: &str,
        sources: &[&str],
        views: Vec<Written>,
    ) -> Option<Recorded> {
        let pair = Pair::new(engine, "touched")?;
        pair.playbook("");
        pair.sql(Side::Primary, tables);
        for view in &views {
            let columns: Vec<String> = view
                .columns
                .iter()
                .map(|(name, kind)| format!("{name} {kind}"))
                .collect();
            let key: Vec<&str> = view.columns[..view.key].iter().map(|c| c.0).collect();
            let sql = format!(
                "CREATE TABLE {} ({}, PRIMARY KEY ({}))",
                view.name,
                columns.join(", "),
                key.join(", ")
            );
            pair.sql(Side::Read, &sql);
        }
        Some(Recorded {
            pair,
            engine,
            sources: sources.iter().map(|s| (*s).to_owned()).collect(),
            views,
            files: Vec::new(),
            offsets: BTreeMap::new(),
            lsn: 1,
            out: None,
        })
    }

    /// One change of a source: the row before and after, as JSON objects.
    pub fn change(&mut self, source: usize, key: &str, op: &str, after: Option<&str>) {
        let partition = i32::try_from(key.bytes().map(u32::from).sum::<u32>() % 2).unwrap();
        let offset = self.offsets.entry((source, partition)).or_default();
        self.lsn += 1;
        let lsn = self.lsn;
        let value = format!(
            r#"{{"before":null,"after":{},"op":"{op}","ts_ms":{lsn},"source":{{"connector":"postgresql","name":"shop","db":"shop","schema":"main","table":"{}","snapshot":"false","lsn":{lsn},"ts_ms":{lsn}}}}}"#,
            after.unwrap_or("null"),
            self.sources[source],
        );
        let file = self.pair.path(&format!("log-{}.jsonl", self.files.len()));
        let out = (self.out).get_or_insert_with(|| BufWriter::new(File::create(file).unwrap()));
        writeln!(
            out,
            r#"{{"topic":"shop.main.{}","partition":{partition},"offset":{offset},"tstype":"create","ts":{lsn},"broker":0,"key":{},"payload":{}}}"#,
            self.sources[source],
            serde_json::Value::from(key),
            serde_json::Value::from(value),
        )
        .unwrap();
        *offset += 1;
    }

    /// Ends what one log has more than the one before it.
    pub fn cut(&mut self) {
        let file = self.pair.path(&format!("log-{}.jsonl", self.files.len()));
        match self.out.take() {
            Some(mut out) => out.flush().unwrap(),
            None => fs::write(&file, "").unwrap(),
        }
        self.files.push(file);
    }

    /// What the primary holds.
    pub fn primary(&self, sql: &str) {
        // The pair has a runtime of its own.
        std::thread::scope(|scope| scope.spawn(|| self.pair.sql(Side::Primary, sql)).join())
            .unwrap();
    }

    /// The query of a view.
    pub fn text_of(&self, view: &str) -> &str {
        let view = self.views.iter().find(|v| v.name == view);
        &view.unwrap().query
    }

    async fn store(&self, side: Side) -> Store {
        let url = match self.engine {
            Engine::Sqlite => {
                let file = if side == Side::Read {
                    "read.db"
                } else {
                    "primary.db"
                };
                format!("sqlite:{}", self.pair.path(file).display())
            }
            Engine::Postgres => self.pair.url(side),
        };
        let kind = match self.engine {
            Engine::Sqlite => Kind::Sqlite,
            Engine::Postgres => Kind::Postgres,
        };
        let access = match side {
            Side::Read => Access::Write,
            Side::Primary => Access::Read,
        };
        Store::open(kind, &url, "the test's", access).await.unwrap()
    }

    /// How many cuts there are.
    pub fn cuts(&self) -> usize {
        self.files.len()
    }

    /// The systems whose log ends with that cut, from 1.
    pub async fn systems(&self, cut: usize) -> Systems {
        let config = ArchiveConfig {
            files: self.files[..cut].to_vec(),
            compacted: false,
        };
        Systems::new(
            (self.store(Side::Primary).await, None),
            (self.store(Side::Read).await, None),
            Captured::Unknown,
            Applied::None,
            Box::new(move || Ok(Log::Archive(Archive::open(config.clone())?))),
        )
    }

    /// The views, wired as a playbook's are.
    pub async fn views(&self, systems: &Systems) -> Vec<View> {
        let mut views = Vec::new();
        for written in &self.views {
            views.push(self.view(systems, written).await);
        }
        views
    }

    async fn view(&self, systems: &Systems, written: &Written) -> View {
        let name = |name: &str| TableName {
            schema: None,
            name: name.to_owned(),
        };
        let query = self.query(&written.query);
        let mut sources = Vec::new();
        for source in query.sources() {
            sources.push(SourcePart {
                name: source.to_owned(),
                topic: format!("shop.main.{source}"),
                table: systems.primary.catalog(&name(source)).await.unwrap(),
                order_by: None,
                epochs: Vec::new(),
                settings: Default::default(),
            });
        }
        let table = systems
            .read_store
            .catalog(&name(&written.name))
            .await
            .unwrap();
        let spelled = |source: &str| systems.primary.spelled(&name(source));
        let given = systems.primary.describe(&query.over(spelled)).await;
        let given = given.unwrap_or_else(|e| panic!("{e}: {}", written.query));
        let mut source = Vec::new();
        let columns = given.iter().enumerate().map(|(at, given)| {
            let column = table.column(&given.name).unwrap().column.clone();
            source.push(Column {
                name: given.name.clone(),
                kind: given.kind.clone().unwrap_or_else(|| column.kind.clone()),
                nullable: true,
            });
            Target {
                column,
                from: From::Source(at),
            }
        });
        let columns = columns.collect();
        let key: Vec<usize> = (0..written.key).collect();
        let touched_by = written.touched_by.iter().map(|(source, text)| {
            let said = match text.starts_with("SELECT") {
                true => TouchedBy::Query(Box::new(self.query(text))),
                false => TouchedBy::Column(text.clone()),
            };
            (source.clone(), said)
        });
        View {
            name: written.name.clone(),
            origin: Origin::Query {
                query,
                sources,
                touched_by: touched_by.collect(),
            },
            table,
            mapping: Mapping {
                source,
                source_key: key.clone(),
                columns,
                key,
                filter: Vec::new(),
            },
            rules: Vec::new(),
            carried: Vec::new(),
            scope: None,
        }
    }

    fn query(&self, text: &str) -> Query {
        let dialect = match self.engine {
            Engine::Sqlite => Dialect::Sqlite,
            Engine::Postgres => Dialect::Postgres,
        };
        let resolve = |_: Option<&str>, name: &str| {
            let known = self.sources.iter().any(|s| s == name);
            known.then(|| name.to_owned()).ok_or(NoSource {
                what: name.to_owned(),
                fix: String::new(),
            })
        };
        Query::parse(text, dialect, None, &resolve).unwrap_or_else(|p| panic!("{text}\n{p:?}"))
    }
}

/// The plan of a staging, as a snapshot makes it.
pub async fn staging(systems: &Systems, views: &[View], run: &str) -> Plan {
    let options = Options {
        begin: Begin::Zero,
        into: trueup::strategies::replay::Destination::Aside,
        until: Vec::new(),
        no_swap: true,
        no_check: true,
        on_bad: OnBad::Stop,
        accept_holes: false,
        deletes_max: Bound::DELETES,
        cutover: trueup::strategies::replay::Cutover::default(),
    };
    let plan = plan(systems, "touched", views, run.to_owned(), options).await;
    let plan = plan.unwrap();
    assert_eq!(plan.refusals, Vec::<String>::new());
    plan
}

/// Everything loaded and derived for the first time.
pub async fn derived<'a>(
    systems: &'a Systems,
    plan: &'a Plan,
    permit: &'a WritePermit,
    progress: &'a Progress,
) -> (Pipeline<'a>, Derivation<'a>) {
    let staging = plan.staging().unwrap();
    systems.staging().stage(permit, &staging).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut pipeline = Pipeline::new(systems, plan, permit, progress, stop).unwrap();
    pipeline.load_all().await.unwrap();
    let mut derivation = Derivation::default();
    derivation.renew(&mut pipeline).await.unwrap();
    (pipeline, derivation)
}
