//! Figures at full size; run by name, with `--ignored --nocapture`.

use std::time::Instant;

use super::*;

#[test]
#[ignore = "a million rows"]
fn a_million_rows() {
    with_db("bench", |mut db| async move {
        db.run(
            "CREATE TABLE accounts (aid int PRIMARY KEY, bid int, abalance int, filler char(84))",
        )
        .await;
        let store = db.store(Access::Write).await;
        let permit = WritePermit::grant();
        let live = store
            .catalog(&table("public", "accounts"))
            .await
            .expect("accounts");
        let run = shadow("r1", live, &["aid", "bid", "abalance", "filler"]);
        store.begin(&permit, &run).await.expect("begun");
        let filler = "x".repeat(84);
        let (began, used) = (Instant::now(), cpu());
        let mut encoder = store.encoder(&run);
        let mut row = vec![Cell::Null; 4];
        for id in 0..1_000_000i64 {
            if id % 50_000 == 0 && id > 0 {
                store
                    .append(
                        &permit,
                        &run,
                        encoder.take(),
                        &trueup::store::Mark::default(),
                    )
                    .await
                    .expect("appended");
            }
            row[0] = Cell::Int(id.into());
            row[1] = Cell::Int((id / 100_000).into());
            row[2] = Cell::Int((id * 7919 % 10_000 - 5_000).into());
            row[3] = Cell::Text(filler.as_str().into());
            encoder.first(&row, &origin(id));
        }
        store
            .append(
                &permit,
                &run,
                encoder.take(),
                &trueup::store::Mark::default(),
            )
            .await
            .expect("appended");
        println!(
            "encode + append of 1 M rows: {:?}, own CPU {:.2} s",
            began.elapsed(),
            cpu() - used
        );
        let began = Instant::now();
        for id in 0..1_000_000i64 {
            row[0] = Cell::Int(id.into());
            encoder.first(&row, &origin(id));
            if encoder.bytes() > 8 << 20 {
                encoder.take();
            }
        }
        println!("  encode alone: {:?}", began.elapsed());
        let began = Instant::now();
        store.build(&permit, &run).await.expect("built");
        println!("build: {:?}", began.elapsed());
        let began = Instant::now();
        store.seal(&permit, &run).await.expect("sealed");
        println!("seal: {:?}", began.elapsed());
        let swapped = store
            .swap(
                &permit,
                std::slice::from_ref(&run),
                &trueup::store::Fence::none(),
            )
            .await
            .expect("swapped")
            .remove(0);
        println!("swap: locked {} ms", swapped.locked_ms);
        let scan = whole(
            &store
                .catalog(&table("public", "accounts"))
                .await
                .expect("accounts"),
        );
        for _ in 0..3 {
            let (began, used) = (Instant::now(), cpu());
            let mut rows = store.rows(scan.clone()).await.expect("rows");
            let mut count = 0;
            while let Some(batch) = rows.recv().await {
                count += batch.expect("a batch").len();
            }
            println!(
                "rows(): {count} in {:?}, own CPU {:.2} s",
                began.elapsed(),
                cpu() - used
            );
            let began = Instant::now();
            let digest = store.digest(&scan).await.expect("digest");
            println!("digest(): {} in {:?}", digest.rows, began.elapsed());
        }
        let began = Instant::now();
        println!(
            "split(64): {} in {:?}",
            store.split(&scan, 64).await.expect("cuts").len(),
            began.elapsed()
        );
    });
}

/// Seconds of CPU that this process has used, from the kernel's ticks of 10 ms.
fn cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat
        .rsplit(')')
        .next()
        .expect("fields")
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("ticks");
    (ticks(11) + ticks(12)) / 100.0
}
