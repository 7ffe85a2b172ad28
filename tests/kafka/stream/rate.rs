//! Not a test: how fast a topic reads.
//! `TRUEUP_RATE_RECORDS=1000000 [TRUEUP_RATE_TRANSACTION=40] cargo test --release rate -- --nocapture`

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rdkafka::producer::Producer;

use super::{Made, WAIT, service};

/// The number that a variable holds, if it is set.
fn number(variable: &str) -> Option<i32> {
    std::env::var(variable)
        .ok()
        .map(|number| number.parse().unwrap())
}

#[test]
fn rate() {
    let Some(records) = number("TRUEUP_RATE_RECORDS") else {
        return;
    };
    // Records in each transaction; without it, none are used.
    let transaction = number("TRUEUP_RATE_TRANSACTION");
    let Some(brokers) = service("TRUEUP_TEST_KAFKA") else {
        return;
    };
    let topic = Made::new(brokers, "rate", 4, &[]);
    let producer = match transaction {
        None => topic.producer(&[("linger.ms", "50"), ("batch.size", "262144")]),
        Some(_) => topic.producer(&[("transactional.id", &topic.name)]),
    };
    if transaction.is_some() {
        producer.init_transactions(WAIT).unwrap();
    }
    let value = "x".repeat(555);
    for number in 0..records {
        let first = transaction.is_some_and(|size| number % size == 0);
        if first && number > 0 {
            producer.commit_transaction(WAIT).unwrap();
        }
        if first {
            producer.begin_transaction().unwrap();
        }
        topic.send(&producer, number % 4, &number.to_string(), Some(&value));
    }
    match transaction {
        None => producer.flush(WAIT).unwrap(),
        Some(_) => producer.commit_transaction(WAIT).unwrap(),
    }
    let log = topic.log();
    for _ in 0..5 {
        let started = Instant::now();
        let ranges = topic.all(&log);
        let mut bytes = 0;
        let outcome = log.read(&ranges, &AtomicBool::new(false), |record| {
            bytes += record.value.map_or(0, <[u8]>::len);
            Ok::<_, Infallible>(ControlFlow::Continue(()))
        });
        let (outcome, took) = (outcome.unwrap(), started.elapsed());
        println!(
            "{} records, {} gaps, {bytes} bytes in {took:?}",
            outcome.records, outcome.gaps
        );
        assert_eq!(outcome.records, records as u64);
    }
}
