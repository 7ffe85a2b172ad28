//! Clusters that do not let us in.

use std::time::{Duration, Instant};

use trueup::stream::{Kafka, StreamError};

use super::{config, service};

#[test]
fn a_broker_that_is_away_is_an_error_soon() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    for address in [
        format!("127.0.0.1:{port}"),
        "no-such-host.invalid:9092".to_owned(),
    ] {
        let started = Instant::now();
        let error = Kafka::open(config(&address, &[])).unwrap_err();
        println!("{:?}: {error}", started.elapsed());
        assert!(matches!(error, StreamError::Unreachable { .. }), "{error}");
        assert!(started.elapsed() < Duration::from_secs(16));
    }
}

#[test]
fn a_listener_that_says_nothing_is_an_error_in_bounded_time() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let error = Kafka::open(config(&silent.local_addr().unwrap().to_string(), &[])).unwrap_err();
    println!("{:?}: {error}", started.elapsed());
    assert!(matches!(error, StreamError::Unreachable { .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(25));
}

#[test]
fn a_wrong_password_is_an_error_at_once_and_not_shown() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA_SASL") else {
        return;
    };
    for mechanism in ["PLAIN", "SCRAM-SHA-256"] {
        let sasl = |password| {
            let properties = [
                ("security.protocol", "SASL_PLAINTEXT"),
                ("sasl.mechanism", mechanism),
                ("sasl.username", "trueup"),
                ("sasl.password", password),
            ];
            Kafka::open(config(&brokers, &properties))
        };
        let started = Instant::now();
        let error = sasl("wrong-as-can-be").unwrap_err().to_string();
        println!("{:?}: {error}", started.elapsed());
        assert!(started.elapsed() < Duration::from_secs(10));
        assert!(
            error.contains("sasl.password") && !error.contains("wrong-as-can-be"),
            "{error}"
        );
        sasl("trueup-secret").unwrap();
    }
    // Without SASL at all.
    let error = Kafka::open(config(&brokers, &[])).unwrap_err();
    println!("{error}");
    assert!(matches!(error, StreamError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("security.protocol"), "{error}");
}

#[test]
fn a_certificate_that_nobody_signed_is_an_error_at_once() {
    let Some(brokers) = service("TRUEUP_TEST_KAFKA_SSL") else {
        return;
    };
    let Some(authority) = service("TRUEUP_TEST_KAFKA_CA") else {
        return;
    };
    let started = Instant::now();
    let error = Kafka::open(config(&brokers, &[("security.protocol", "SSL")])).unwrap_err();
    println!("{:?}: {error}", started.elapsed());
    assert!(matches!(error, StreamError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("ssl.ca.location"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(10));
    let tls = [
        ("security.protocol", "SSL"),
        ("ssl.ca.location", &authority),
    ];
    let known = Kafka::open(config(&brokers, &tls)).unwrap();
    assert!(matches!(
        known.topic("no-such-topic"),
        Err(StreamError::NoTopic { .. })
    ));
}
