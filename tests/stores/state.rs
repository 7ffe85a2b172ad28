//! The state of a shadow, on every store: read out, put into another shadow and gone on from there, it comes to what the
//! whole log comes to at once, and to what the oracle says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use trueup::projection::cell::{Cell, Row};
use trueup::projection::change::Key;
use trueup::projection::counts::Counts;
use trueup::projection::decode::{AnyDecoder, Decoder, Source};
use trueup::projection::mapping::{From, Mapping, Target, Test, key_of};
use trueup::projection::seen::Seen;
use trueup::projection::types::{Column, ColumnType};
use trueup::projection::version::{Guard, Order, Version};
use trueup::report::progress::{Progress, Show};
use trueup::store::{
    Acts, NextOffset, RunState, Shadow, StateBatch, Store, StoreError, TableName, WritePermit,
};
use trueup::strategies::load::{self, Loader};
use trueup::strategies::settle::Settler;
use trueup::stream::{Archive, ArchiveConfig, Log, Range};

use crate::oracle::{self, Columns, Record};
use crate::support::{seed, size};

const TOPIC: &str = "shop.public.t";
const NAMES: [&str; 4] = ["id", "name", "note", "number"];

/// The tables that the views are: keyed by a number, and by its text, whose order is another one.
pub(super) const TABLES: &str = "CREATE TABLE numbered (id BIGINT PRIMARY KEY, name TEXT, note TEXT, number TEXT); \
     CREATE TABLE texted (id TEXT PRIMARY KEY, name TEXT, note TEXT, number TEXT)";

type Gone = Vec<(Key<'static>, Version)>;
type Rows = Vec<(Row<'static>, Version)>;
type State = (Rows, Gone);

/// One history, as a log and as a view.
struct Case<'a> {
    store: &'a Store,
    permit: WritePermit,
    progress: Progress,
    shadow: Shadow,
    mapping: Mapping,
    log: Arc<Log>,
    ends: BTreeMap<i32, i64>,
}

/// A load underway.
struct Load {
    loader: Loader,
    settler: Settler,
}

pub(super) async fn goes_on(store: &Store, schema: Option<&str>) {
    let seed = seed();
    let mut tombstones = 0;
    for n in 0..size(24, 400) as u64 {
        let this = seed.wrapping_add(n);
        println!("history {this}");
        let rng = StdRng::seed_from_u64(this);
        // One history with more rows than a batch has, and more tombstones too.
        let (keys, events) = if n == 1 {
            (15_000, 45_000)
        } else {
            (1 + this % 60, 1 + (this / 7) % 400)
        };
        let history = oracle::random_history(this, keys as i64, events as usize, 4);
        let history = oracle::interleave(this, &history);
        tombstones += one_history(store, schema, n, rng, &history).await;
    }
    assert!(tombstones > 2_000, "only {tombstones} keys were gone");
}

/// Both states are one; what is only in one of them is shown, and not all of both.
fn same(left: &State, right: &State) {
    fn only<'a, T: PartialEq>(of: &'a [T], not: &[T]) -> Vec<&'a T> {
        of.iter().filter(|x| !not.contains(x)).take(3).collect()
    }
    if left != right {
        panic!(
            "only left: {:?} {:?}\nonly right: {:?} {:?}",
            only(&left.0, &right.0),
            only(&left.1, &right.1),
            only(&right.0, &left.0),
            only(&right.1, &left.1)
        );
    }
}

/// How many tombstones there were at the end.
async fn one_history(
    store: &Store,
    schema: Option<&str>,
    number: u64,
    mut rng: StdRng,
    history: &[Record],
) -> usize {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("log.jsonl");
    std::fs::write(&file, oracle::archive(TOPIC, history)).expect("written");
    let mut case = Case::new(store, schema, &mut rng, file, history).await;
    let cuts = case.cuts(&mut rng);

    let whole = case
        .begin(format!("whole-{number}"), &Seen::default())
        .await;
    let whole = case.round(whole, None, None).await;
    let at_once = case.state().await.expect("settled");
    case.end(whole).await;
    assert_eq!(shown(&at_once.0), expected(&case, history));

    let first = case
        .begin(format!("first-{number}"), &Seen::default())
        .await;
    let first = case.round(first, None, Some(&cuts[0])).await;
    let first = case.round(first, Some(&cuts[0]), Some(&cuts[1])).await;
    let half = case.state().await.expect("settled");
    let next = first.loader.next().to_vec();
    let seen = first.loader.seen();
    case.end(first).await;

    let mut second = case.begin(format!("second-{number}"), &seen).await;
    second.loader = case.restored(second.loader, &half, &next).await;
    assert_eq!(case.state().await.expect("nothing waits"), half);
    let second = case.round(second, Some(&cuts[1]), Some(&cuts[2])).await;
    store
        .build(&case.permit, &case.shadow)
        .await
        .expect("no key is there twice");
    let second = case.round(second, Some(&cuts[2]), None).await;
    let gone_on = case.state().await.expect("settled");
    same(&gone_on, &at_once);
    replaced(&case, &gone_on).await;
    case.end(second).await;
    at_once.1.len()
}

impl<'a> Case<'a> {
    async fn new(
        store: &'a Store,
        schema: Option<&str>,
        rng: &mut StdRng,
        file: std::path::PathBuf,
        history: &[Record],
    ) -> Case<'a> {
        let name = if rng.random() { "numbered" } else { "texted" };
        let table = TableName {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
        };
        let live = store.catalog(&table).await.expect("the table");
        let columns: Vec<Column> = live.columns.iter().map(|c| c.column.clone()).collect();
        let mut source = columns.clone();
        source[0].kind = ColumnType::INT64;
        // A row whose note is NULL is not in the view: it leaves it as a deleted one does.
        let noted = Test::Not(Box::new(Test::AnyOf(vec![Cell::Null])));
        let mapping = Mapping {
            source,
            source_key: vec![0],
            columns: (columns.iter().cloned().enumerate())
                .map(|(at, column)| Target {
                    column,
                    from: From::Source(at),
                })
                .collect(),
            key: vec![0],
            filter: if rng.random() {
                vec![(2, noted)]
            } else {
                Vec::new()
            },
        };
        let mut ends = BTreeMap::new();
        for record in history {
            ends.insert(record.partition, record.offset + 1);
        }
        let config = ArchiveConfig {
            files: vec![file],
            compacted: false,
        };
        Case {
            store,
            permit: WritePermit::grant(),
            progress: Progress::start(Show::Quiet),
            shadow: Shadow {
                run: String::new(),
                live,
                columns,
                key: vec![0],
                carried: Vec::new(),
                rank_words: 1,
                staged: false,
            },
            mapping,
            log: Arc::new(Log::Archive(Archive::open(config).expect("an archive"))),
            ends,
        }
    }

    /// Three places in every partition, one behind the other.
    fn cuts(&self, rng: &mut StdRng) -> Vec<BTreeMap<i32, i64>> {
        let mut cuts = vec![BTreeMap::new(); 3];
        for (partition, end) in &self.ends {
            let mut places: Vec<i64> = (0..3).map(|_| rng.random_range(0..=*end)).collect();
            places.sort_unstable();
            for (cut, place) in cuts.iter_mut().zip(places) {
                cut.insert(*partition, place);
            }
        }
        cuts
    }

    async fn begin(&mut self, run: String, seen: &Seen) -> Load {
        self.shadow.run = run;
        let begun = self.store.begin(&self.permit, &self.shadow).await;
        begun.expect("begun");
        let source = Source {
            name: "t".to_owned(),
            columns: self.mapping.source.clone(),
            key: vec![0],
            former: Vec::new(),
            computed: Vec::new(),
            settings: Default::default(),
        };
        let guard = Guard::new(Order::Lsn, Vec::new());
        let encoder = self.store.encoder(&self.shadow);
        Load {
            loader: Loader::new(
                AnyDecoder::Rows(Box::new(Decoder::new(source, guard).after(seen))),
                self.mapping.clone(),
                encoder,
                64 << 20,
            ),
            settler: Settler::new(Order::Lsn),
        }
    }

    /// Every record that this load read is accounted for, and nothing besides; the run leaves nothing.
    async fn end(&self, load: Load) {
        let (loaded, settled) = (&load.loader.counts, &load.settler.counts);
        let counts = Counts {
            put: loaded.put + settled.put,
            deleted: settled.deleted,
            stale: settled.stale,
            duplicate: settled.duplicate,
            ..loaded.clone()
        };
        counts.check().expect("they add up");
        let state = RunState::Discarded;
        let ended = self.store.end(&self.permit, &self.shadow, state).await;
        ended.expect("ended");
    }

    /// Loads between two cuts and settles.
    async fn round(
        &self,
        mut load: Load,
        from: Option<&BTreeMap<i32, i64>>,
        to: Option<&BTreeMap<i32, i64>>,
    ) -> Load {
        let ranges = self.ends.iter().map(|(partition, end)| Range {
            topic: TOPIC.into(),
            partition: *partition,
            from: from.map_or(0, |cut| cut[partition]),
            to: to.map_or(*end, |cut| cut[partition]),
        });
        let ranges: Vec<Range> = ranges.filter(|r| r.from < r.to).collect();
        let records: i64 = ranges.iter().map(|r| r.to - r.from).sum();
        let before = load.loader.counts.clone();
        let (loader, stopped) = load::load(
            (Arc::clone(&self.log), Arc::default()),
            ranges,
            load.loader,
            self.store,
            &self.shadow,
            &self.permit,
            &self.progress,
            Arc::new(AtomicBool::new(false)),
        )
        .await
        .expect("loaded");
        assert!(!stopped);
        let read = loader.counts.read - before.read;
        assert_eq!(read, records as u64);
        // What waits to be settled hides the state.
        let ready = |c: &Counts| c.put + c.ignored.values().sum::<u64>();
        let waits = read > ready(&loader.counts) - ready(&before);
        let state = self.state().await;
        let refused = matches!(state, Err(StoreError::Refused(_)));
        assert_eq!(refused, waits, "{state:?}");
        load.loader = loader;
        let by = &mut load.settler;
        let done = self.store.settle(&self.permit, &self.shadow, by).await;
        done.expect("settled");
        load
    }

    /// What the shadow holds. Batches are of bounded size, rows come before tombstones, and both in key order.
    async fn state(&self) -> Result<State, StoreError> {
        let mut batches = self.store.state(&self.shadow).await?;
        let (mut rows, mut gone): State = Default::default();
        while let Some(batch) = batches.recv().await {
            match batch? {
                StateBatch::Rows(some) => {
                    assert!(gone.is_empty() && some.len() <= 2_000);
                    rows.extend(some);
                }
                StateBatch::Gone(some) => {
                    assert!(some.len() <= 2_000);
                    gone.extend(some);
                }
            }
        }
        let keys: Vec<Key<'static>> = rows.iter().map(|(row, _)| key_of(row, &[0])).collect();
        assert!(keys.is_sorted_by(|a, b| a < b));
        assert!(gone.is_sorted_by(|a, b| a.0 < b.0));
        let both = gone.iter().find(|(key, _)| keys.binary_search(key).is_ok());
        assert_eq!(both, None, "a row and a tombstone");
        Ok((rows, gone))
    }

    async fn restored(&self, loader: Loader, (rows, gone): &State, next: &[NextOffset]) -> Loader {
        let rows = rows.chunks(100).map(|some| StateBatch::Rows(some.to_vec()));
        let gone = gone.chunks(100).map(|some| StateBatch::Gone(some.to_vec()));
        let batches: Vec<anyhow::Result<StateBatch>> = rows.chain(gone).map(Ok).collect();
        let (loader, stopped) = load::restore(
            (batches.into_iter(), Arc::default()),
            next.to_vec(),
            loader,
            self.store,
            &self.shadow,
            &self.permit,
            &self.progress,
            Arc::new(AtomicBool::new(false)),
        )
        .await
        .expect("restored");
        assert!(!stopped);
        assert_eq!(loader.next(), next);
        assert_eq!(loader.counts, Counts::default());
        loader
    }
}

/// Rows that the primary settles change places with tombstones.
async fn replaced(case: &Case<'_>, (rows, gone): &State) {
    let Some(last) = rows.first().map(|r| r.1).or(gone.first().map(|g| g.1)) else {
        // A truncate, or no record at all, has left nothing that could be replaced.
        return;
    };
    let version = Version {
        offset: 1 << 40,
        ..last
    };
    let (mut rows, mut gone) = (rows.clone(), gone.clone());
    let mut replacements = Vec::new();
    let back = (!gone.is_empty()).then(|| gone.remove(0).0);
    if !rows.is_empty() {
        let key = key_of(&rows.remove(0).0, &[0]);
        replacements.push((key.clone(), None, version));
        gone.push((key, version));
    }
    if let Some(key) = back {
        let mut row = vec![Cell::Null; NAMES.len()];
        row[0] = key.0[0].clone();
        replacements.push((key, Some(row.clone()), version));
        rows.push((row, version));
    }
    rows.sort_by_key(|(row, _)| key_of(row, &[0]));
    gone.sort_by(|a, b| a.0.cmp(&b.0));
    for _ in 0..2 {
        let done = case
            .store
            .replace(&case.permit, &case.shadow, &replacements, "");
        done.await.expect("replaced");
        let now = case.state().await.expect("nothing waits");
        assert_eq!(now, (rows.clone(), gone.clone()));
    }
}

/// The rows that the oracle wants, as texts by key.
fn expected(case: &Case<'_>, history: &[Record]) -> BTreeMap<String, Columns> {
    let filtered = !case.mapping.filter.is_empty();
    let (rows, _) = oracle::outcome(history);
    rows.into_iter()
        .filter(|(_, columns)| !filtered || columns["note"].is_some())
        .map(|(id, columns)| (id.to_string(), columns))
        .collect()
}

fn shown(rows: &Rows) -> BTreeMap<String, Columns> {
    let text = |cell: &Cell<'_>| trueup::projection::text::of(cell);
    let one = |(row, _): &(Row<'static>, Version)| {
        let columns = NAMES.iter().zip(row).skip(1);
        let columns = columns.map(|(name, cell)| ((*name).to_owned(), text(cell)));
        (text(&row[0]).expect("a key"), columns.collect())
    };
    rows.iter().map(one).collect()
}
