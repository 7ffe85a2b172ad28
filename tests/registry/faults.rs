//! What is said of frames and registries that are not as they should be; nothing is written then.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use serde_json::json;

use super::{System, framed, trueup};
use crate::support::text;

const COLUMNS: &[&str] = &["id"];

#[test]
fn frames_and_registries_that_are_not_as_they_should_be() {
    let Some(system) = System::new("tu_frames") else {
        return;
    };
    system.primary("CREATE TABLE public.rows (id bigint PRIMARY KEY)");
    system.primary("INSERT INTO rows VALUES (1)");
    system.reads("CREATE SCHEMA read");
    system.reads("CREATE TABLE read.rows (id bigint PRIMARY KEY)");
    let topic = system.topic("rows");
    let envelope = r#"{"type":"record","name":"shop.Envelope","fields":[{"name":"after","type":{"type":"record","name":"Row","fields":[{"name":"id","type":"long"}]}},{"name":"op","type":"string"},
      {"name":"source","type":{"type":"record","name":"Source","fields":[{"name":"lsn","type":"long"}]}}]}"#;
    let id = system.register(&format!("{topic}-value"), "AVRO", envelope, json!([]));
    let key = |id: u8| json!({"id": id}).to_string().into_bytes();
    let good = |row: u8| framed(id, &[&[row << 1, 2][..], b"c", &[20]].concat());
    system.send(&topic, &[(key(1), Some(good(1)))]);
    let replay = |registry: Option<&str>| {
        let playbook = system.playbook(&topic, registry, COLUMNS);
        trueup(&["replay", "big-bang", &text(&playbook), "--yes"])
    };
    replay(Some(&system.registry)).exit(0);
    system.equal();

    // Without a registry.
    replay(None).exit(3).says(&[
        &format!("{topic}:0:0"),
        &format!("its value is framed with the schema id {id}"),
        "log: registry:",
    ]);
    // One that is down, with a password that nobody shows.
    let down = replay(Some("http://me:s3cret@127.0.0.1:9/v7"))
        .exit(4)
        .says(&["cannot use the schema registry at http://me:***@127.0.0.1:9/v7"]);
    assert!(!down.stderr.contains("s3cret"));
    // What answers is none; what answers lets nobody in.
    let registry = system.registry.clone();
    let elsewhere = registry.replace("/apis/ccompat/v7", "/nowhere");
    replay(Some(&elsewhere))
        .exit(4)
        .says(&["what answers there is no schema registry"]);
    replay(Some(&closed()))
        .exit(4)
        .says(&["it answers with status 401"]);
    let doctor = system.playbook(&topic, Some("http://127.0.0.1:9"), COLUMNS);
    let looked = trueup(&["doctor", &text(&doctor)]).exit(5);
    let said = "cannot use the schema registry at http://127.0.0.1:9";
    assert!(looked.stdout.contains(said), "{}", looked.stdout);
    replay(Some("redis://h"))
        .exit(2)
        .says(&["log.registry.url"]);

    // A value that is cut off, then one whose schema nobody has: the first of them is named.
    let whole = good(2);
    system.send(&topic, &[(key(2), Some(whole[..6].to_vec()))]);
    replay(Some(&registry)).exit(3).says(&[
        &format!("record {topic}:0:1: its value was written with the schema {id}, and does not fit it: field op: it is cut off"),
    ]);
    let before = system.reads("SELECT count(*) FROM read.rows");
    assert_eq!(before, "1");
    for (table, value, said) in [
        (
            "lost",
            framed(9_999_999, b"x"),
            "record {}:0:0: its value names the schema 9999999 (subject {}-value), which the registry at",
        ),
        (
            "short",
            vec![0, 0, 1],
            "record {}:0:0: its value begins as a frame with a schema id, and ends after 3 of at least 5 bytes",
        ),
        (
            "long",
            [&[0; 8][..], &[9, 2, 2]].concat(),
            "record {}:0:0: its value is framed with a schema id of eight bytes",
        ),
    ] {
        let topic = system.topic(table);
        system.send(
            &topic,
            &[(key(1), Some(value.clone())), (key(2), Some(value))],
        );
        let playbook = system.playbook(
            &format!("{topic}, table: public.rows"),
            Some(&registry),
            COLUMNS,
        );
        let said = said.replace("{}", &topic);
        let ran = trueup(&["replay", "big-bang", &text(&playbook), "--yes"]);
        let ran = ran.exit(3).says(&[&said]);
        if table == "lost" {
            ran.says(&[
                &format!("first met at {topic}:0:0"),
                "it has none of that subject",
            ]);
        }
    }
}

/// Something that lets nobody in.
fn closed() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let answer =
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    url
}
