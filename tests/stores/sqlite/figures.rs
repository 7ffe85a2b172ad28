//! Figures of the store at full size: `cargo test --release -- --ignored sqlite::figures --nocapture`.

#![allow(clippy::print_stdout)] // Seeds and figures are what these tests print.

use std::time::Instant;

use trueup::projection::cell::Cell;
use trueup::projection::change::Key;
use trueup::projection::version::{Rank, Version};
use trueup::store::{Access, Acts, Origin};

use super::{Db, permit, plain, shadow, table, text};

const ROWS: i64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; a million rows"]
async fn a_million_rows() {
    let db = Db::new("PRAGMA journal_mode = WAL; CREATE TABLE accounts (aid INTEGER PRIMARY KEY, bid INTEGER, abalance INTEGER, filler TEXT)").await;
    let store = db.open(Access::Write).await;
    let shadow = shadow(
        &store,
        "accounts",
        "r",
        &["aid", "bid", "abalance", "filler"],
    )
    .await;
    store.begin(&permit(), &shadow).await.expect("begun");
    let took = |what: &str, began: Instant| {
        let seconds = began.elapsed().as_secs_f64();
        println!("{what}: {seconds:.2} s, {:.0} rows/s", 1e6 / seconds);
    };
    let mut encoder = store.encoder(&shadow);
    let began = Instant::now();
    for i in 0..ROWS {
        let row = vec![
            Cell::Int(i.into()),
            Cell::Int((i % 10).into()),
            Cell::Int((i * 7).into()),
            text("twenty letters, plus"),
        ];
        let version = Version {
            rank: Rank::default(),
            partition: 0,
            offset: i,
            clock: Some(i),
        };
        encoder.first(
            &row,
            &Origin {
                version,
                arrival: 0,
            },
        );
        if i % 50_000 == 49_999 {
            let batch = encoder.take();
            store
                .append(&permit(), &shadow, batch, &trueup::store::Mark::default())
                .await
                .expect("appended");
        }
    }
    took("encode and append", began);
    let began = Instant::now();
    store.build(&permit(), &shadow).await.expect("built");
    took("build", began);
    let began = Instant::now();
    store
        .swap(
            &permit(),
            std::slice::from_ref(&shadow),
            &trueup::store::Fence::none(),
        )
        .await
        .expect("swapped");
    took("swap into an empty table", began);
    let catalog = store.catalog(&table("accounts")).await.expect("found");
    let scan = plain(&catalog, &table("accounts"));
    let began = Instant::now();
    let mut stream = store.rows(scan.clone()).await.expect("rows");
    let mut rows = 0;
    while let Some(batch) = stream.recv().await {
        rows += batch.expect("rows").len();
    }
    assert_eq!(rows, 1_000_000);
    took("rows", began);
    let began = Instant::now();
    assert_eq!(store.split(&scan, 8).await.expect("cuts").len(), 7);
    took("split in 8", began);

    // The same again over the full table, one row in a hundred changed and a quarter of the keys coming twice.
    let mut again = shadow.clone();
    again.run = "r2".to_owned();
    store.begin(&permit(), &again).await.expect("begun");
    let mut encoder = store.encoder(&again);
    for i in 0..ROWS {
        let balance = if i % 100 == 0 { 1 } else { i * 7 };
        let row = vec![
            Cell::Int(i.into()),
            Cell::Int((i % 10).into()),
            Cell::Int(balance.into()),
            text("twenty letters, plus"),
        ];
        let version = Version {
            rank: Rank::default(),
            partition: 0,
            offset: i,
            clock: Some(i),
        };
        encoder.first(
            &row,
            &Origin {
                version,
                arrival: 0,
            },
        );
        if i % 4 == 0 {
            let key = Key(vec![Cell::Int(i.into())]);
            encoder.again(
                &key,
                Some(&row),
                &Origin {
                    version,
                    arrival: 1,
                },
            );
        }
        if i % 50_000 == 49_999 {
            let batch = encoder.take();
            store
                .append(&permit(), &again, batch, &trueup::store::Mark::default())
                .await
                .expect("appended");
        }
    }
    let began = Instant::now();
    let mut by = super::loading::Newest::default();
    store
        .settle(&permit(), &again, &mut by)
        .await
        .expect("settled");
    took("settle a quarter of the keys", began);
    store.build(&permit(), &again).await.expect("built");
    let began = Instant::now();
    store
        .swap(
            &permit(),
            std::slice::from_ref(&again),
            &trueup::store::Fence::none(),
        )
        .await
        .expect("swapped");
    took("swap with 1 % changed", began);
}
