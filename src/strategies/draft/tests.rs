use super::*;
use crate::projection::types::Column;
use crate::store::CatalogColumn;
use crate::store::dialect::postgres::column_type;

/// A table out of `name type` pairs; a `!` before the name makes it a part of the key, a `=` behind the type a default.
fn table(name: &str, columns: &str) -> Catalog {
    let mut primary_key = Vec::new();
    let columns: Vec<CatalogColumn> = columns
        .split(", ")
        .map(|written| {
            let (name, kind) = written.rsplit_once(' ').expect("a name and a type");
            let plain = name.trim_start_matches('!');
            if plain != name {
                primary_key.push(plain.to_owned());
            }
            let kind = kind.trim_end_matches('=');
            CatalogColumn {
                column: Column {
                    name: plain.to_owned(),
                    kind: column_type(kind),
                    nullable: true,
                },
                sql_type: kind.to_owned(),
                has_default: written.ends_with('='),
                generated: false,
                is_list: false,
            }
        })
        .collect();
    Catalog {
        table: TableName {
            schema: None,
            name: name.to_owned(),
        },
        id: 0,
        columns,
        unique_keys: Vec::from_iter((!primary_key.is_empty()).then(|| primary_key.clone())),
        indexes: Vec::new(),
        primary_key,
        rows_estimate: None,
        bytes: 0,
    }
}

/// What fills each column: its source, or an `@` word, with a `?` behind a guess.
fn filled(pair: &Pair) -> String {
    let word = |c: &Filled| {
        let by = match &c.by {
            Fill::Source(name) => name.clone(),
            other => format!("@{other:?}").to_lowercase(),
        };
        format!(
            "{}={by}{}",
            c.name,
            if c.guessed.is_some() { "?" } else { "" }
        )
    };
    pair.columns.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn columns(read: &str, source: &str, expected: &str) -> Pair {
    let pair = pair(&table("t", read), &[table("t", source)]).expect("a pair");
    assert_eq!(filled(&pair), expected);
    pair
}

#[test]
fn columns_by_name() {
    let found = columns(
        "!id bigint, a text",
        "!id bigint, a text, b text",
        "id=id a=a",
    );
    assert_eq!((found.guessed, found.unusable), (None, None));
    assert_eq!(
        (found.key, found.uncopied),
        (vec!["id".to_owned()], vec!["b".to_owned()])
    );
    columns(
        "!id bigint, customerName text, A text",
        "!id bigint, customer_name text, a text",
        "id=id customerName=customer_name? A=a?",
    );
    // The very name goes before another spelling of it.
    columns(
        "!id bigint, A text, a text",
        "!id bigint, a text",
        "id=id A=@foreign? a=a",
    );
}

#[test]
fn a_column_that_does_not_take_the_other_type_is_not_filled_by_it() {
    let found = columns(
        "!id bigint, a bigint",
        "!id bigint, a text",
        "id=id a=@foreign?",
    );
    let why = found.columns[1].guessed.clone().expect("why");
    assert!(
        why.contains("a of t is text, which int64 does not take"),
        "{why}"
    );
}

#[test]
fn renamed_columns() {
    // By key, by likeness, by place.
    columns(
        "!account_id bigint, abalance bigint, holder text",
        "!aid bigint, balance bigint, owner text",
        "account_id=aid? abalance=balance? holder=owner?",
    );
    // With columns of our own behind them.
    columns(
        "!id bigint, x text, y date, note text",
        "!id bigint, b text, c date",
        "id=id x=b? y=c? note=@foreign?",
    );
    // Not as many as there are: no guess.
    columns(
        "!id bigint, x text, y text",
        "!id bigint, b text",
        "id=id x=@foreign? y=@foreign?",
    );
    columns(
        "!id bigint, x text",
        "!id bigint, b text, c text",
        "id=id x=@foreign?",
    );
    // Of another type: no guess.
    columns(
        "!id bigint, x text",
        "!id bigint, b bigint",
        "id=id x=@foreign?",
    );
    // Between their neighbours.
    columns(
        "!id bigint, x text, k date, y text",
        "!id bigint, b text, k date, c text",
        "id=id x=b? k=k y=c?",
    );
}

#[test]
fn bookkeeping_defaults_and_columns_of_others() {
    columns(
        "!id bigint, kafka_offset bigint, _partition integer, lsn numeric, source_ts_ms bigint, made date=, note text",
        "!id bigint",
        "id=id kafka_offset=@offset? _partition=@partition? lsn=@lsn? source_ts_ms=@clock? made=@default? note=@foreign?",
    );
    columns(
        "!id bigint, utc_offset bigint, applied_offset text, time_zone_offset bigint",
        "!id bigint, applied_offset text",
        "id=id utc_offset=@foreign? applied_offset=applied_offset time_zone_offset=@foreign?",
    );
    // A column of the source is no bookkeeping, whatever its name.
    columns(
        "!id bigint, offset bigint",
        "!id bigint, offset bigint",
        "id=id offset=offset",
    );
}

#[test]
fn keys() {
    let both = "!a bigint, !b text, c text";
    assert_eq!(columns(both, both, "a=a b=b c=c").key, ["a", "b"]);
    let found = columns("!a bigint, b text", "!a bigint, !b text", "a=a b=b");
    assert!(found.unusable.expect("why").contains("of t is (a, b)"));
    assert_eq!(found.key, ["a", "b"]);
    let found = columns("!a bigint, b text", "a bigint, b text", "a=a b=b");
    assert!(found.unusable.expect("why").contains("no primary key"));
    // A unique key will do where the primary key is the read store's own.
    let mut read = table("t", "!row bigint=, order_id bigint, x text");
    read.unique_keys.push(vec!["order_id".to_owned()]);
    let found = pair(&read, &[table("t", "!order_id bigint, x text")]).expect("a pair");
    assert_eq!(
        (found.key, found.unusable),
        (vec!["order_id".to_owned()], None)
    );
}

#[test]
fn the_source_that_fits_best() {
    let read = table("orders_copy", "!id bigint, total numeric, customer text");
    let sources = [
        table("customers", "!id bigint, name text, born date"),
        table("totals", "!id bigint, total numeric"),
        table("sales", "!id bigint, total numeric, customer text"),
    ];
    let found = pair(&read, &sources).expect("a pair");
    assert_eq!((found.source.name.as_str(), found.guessed), ("sales", None));
    // The same name goes before a better fit.
    let named = table("orders_copy", "!id bigint, total numeric");
    let all: Vec<Catalog> = sources.iter().cloned().chain([named]).collect();
    assert_eq!(
        pair(&read, &all).expect("a pair").source.name,
        "orders_copy"
    );
    // Of two that fit alike the first, and it says so.
    let twice = [
        sources[2].clone(),
        table("sales2", "!id bigint, total numeric, customer text"),
    ];
    let found = pair(&read, &twice).expect("a pair");
    assert_eq!(found.guessed.as_deref(), Some("sales2 would fit as well"));
}

#[test]
fn by_types_alone_only_where_all_of_them_agree() {
    let read = table("people", "!no bigint, label text, born date");
    let fits = table("customers", "!id bigint, name text, birthday date");
    let found = pair(&read, std::slice::from_ref(&fits)).expect("a pair");
    assert_eq!(
        found.guessed.as_deref(),
        Some("by the types of its columns alone")
    );
    assert!(
        pair(
            &read,
            &[table("customers", "!id bigint, name text, size bigint")]
        )
        .is_none()
    );
    assert!(
        pair(
            &table("x", "!no bigint, label text"),
            &[table("y", "!id bigint, name text")]
        )
        .is_none()
    );
    assert!(pair(&read, &[]).is_none());
    assert!(pair(&table("people", "x text"), &[table("people", "!id bigint")]).is_none());
}

#[test]
fn a_copy_with_fewer_rows_may_have_a_filter() {
    let mut read = table("t", "!id bigint");
    let mut source = read.clone();
    (read.rows_estimate, source.rows_estimate) = (Some(400), Some(1_000));
    let found = pair(&read, std::slice::from_ref(&source)).expect("a pair");
    assert_eq!(found.fewer_rows, Some((1_000, 400)));
    read.rows_estimate = Some(950);
    assert_eq!(pair(&read, &[source]).expect("a pair").fewer_rows, None);
}

#[test]
fn names_that_are_alike() {
    for (a, b) in [
        ("abalance", "balance"),
        ("orders", "order_list"),
        ("accounts", "account"),
        ("customer_name", "name"),
    ] {
        assert!(columns::alike(a, b) && columns::alike(b, a), "{a} {b}");
    }
    for (a, b) in [("id", "paid"), ("a", "abc"), ("note", "owner"), ("", "x")] {
        assert!(!columns::alike(a, b), "{a} {b}");
    }
    assert!(columns::same("orderId", "order_id") && !columns::same("-", "_"));
}
