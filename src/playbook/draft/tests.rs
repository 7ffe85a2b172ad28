use std::path::Path;

use super::*;
use crate::playbook::{Log, Playbook, View, ViewKind, parse};

const NASTY: &[&str] = &[
    "order: #1",
    "yes",
    "No",
    "null",
    "~",
    "no-1",
    "1",
    "1e3",
    "0x1F",
    "2024-01-01",
    "-",
    "- x",
    "? x",
    "<<",
    "a\"b\\c",
    "it's",
    "{x}",
    "[x]",
    "%x",
    "&x",
    "*x",
    "!x",
    "|",
    "`x`",
    "a#b",
    "a #b",
    "${X}",
    "$${X}",
    "tab\tand\nline\r",
    "\u{1}\u{7f}\u{85}\u{2028}\u{feff}",
    "Größe",
    "数量",
    "😀",
    "x:",
    "# guessed",
];

fn draft() -> Draft {
    let table = |name: &str| TableName {
        schema: Some("read".to_owned()),
        name: name.to_owned(),
    };
    Draft {
        file: "books/shop.yaml".to_owned(),
        name: "shop".to_owned(),
        primary: "${PRIMARY_URL}".to_owned(),
        read_store: "sqlite:read.db".to_owned(),
        brokers: (
            "${KAFKA_BROKERS:-localhost:9092}".to_owned(),
            Some("not looked at".to_owned()),
        ),
        sources: vec![DraftSource {
            name: "orders".to_owned(),
            table: table("orders"),
            topic: ("shop.public.orders".to_owned(), None),
        }],
        views: vec![DraftView {
            name: "orders_copy".to_owned(),
            table: table("orders_copy"),
            key: vec!["id".to_owned()],
            from: ("orders".to_owned(), None),
            columns: vec![("id".to_owned(), column("id"), None)],
            remarks: Vec::new(),
            decide: Vec::new(),
            unusable: None,
        }],
        left_out: Vec::new(),
    }
}

fn column(name: &str) -> Origin {
    Origin::Column {
        name: name.to_owned(),
        former: Vec::new(),
    }
}

#[track_caller]
fn parsed(draft: &Draft) -> Playbook {
    let env = |name: &str| (name != "X").then(|| "sqlite:x.db".to_owned());
    let text = draft.text();
    parse(&text, Path::new("shop.yaml"), &env).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// The guesses that a reader of the file counts are those that are reported.
#[track_caller]
fn counted_right(draft: &Draft) {
    let text = draft.text();
    let marked = |mark: &str| text.lines().skip(2).filter(|l| l.contains(mark)).count();
    assert_eq!(marked("# guessed: "), draft.guesses().len(), "{text}");
    assert_eq!(marked("# decide: "), draft.questions().len(), "{text}");
}

/// What a view copies.
fn copied(view: &View) -> (&str, Option<&[(String, Origin)]>) {
    match &view.kind {
        ViewKind::Copy { from, columns, .. } => (from, columns.as_deref()),
        ViewKind::Events { .. } | ViewKind::Query { .. } => {
            panic!("a draft has copies only: {view:?}")
        }
    }
}

#[test]
fn the_simple_case_says_no_columns() {
    let playbook = parsed(&draft());
    assert_eq!(copied(&playbook.views[0]).1, None);
    assert!(matches!(playbook.log, Log::Kafka { .. }));
    let mut spaced = draft();
    spaced.name = "read: store".to_owned();
    assert_eq!(parsed(&spaced).name, "read--store");
    counted_right(&draft());
    assert_eq!(draft().guesses().len(), 1);
}

#[test]
fn any_name_comes_back_as_it_was() {
    for name in NASTY {
        let mut draft = draft();
        draft.name = (*name).to_owned();
        draft.sources[0].name = (*name).to_owned();
        draft.sources[0].topic.0 = (*name).to_owned();
        let view = &mut draft.views[0];
        view.name = (*name).to_owned();
        view.key = vec![(*name).to_owned()];
        view.from.0 = (*name).to_owned();
        view.columns = vec![((*name).to_owned(), column(name), Some((*name).to_owned()))];
        view.columns
            .push(("other".to_owned(), Origin::Foreign, None));
        view.remarks = vec![(*name).to_owned()];
        draft.left_out = vec![(*name).to_owned()];
        let playbook = parsed(&draft);
        let (source, view) = (&playbook.sources[0], &playbook.views[0]);
        assert_eq!(
            (source.name.as_str(), source.topic.as_str()),
            (*name, *name)
        );
        let (from, columns) = copied(view);
        assert_eq!((view.name.as_str(), from), (*name, *name));
        assert_eq!(view.key, [*name]);
        let columns = columns.expect("columns");
        assert_eq!(columns[0], ((*name).to_owned(), column(name)));
        if name.contains('.') || name.trim() != *name {
            continue;
        }
        draft.views[0].table.name = (*name).to_owned();
        assert_eq!(parsed(&draft).views[0].table.name, *name);
    }
}

#[test]
fn what_cannot_be_used_is_a_comment_that_can_be_uncommented() {
    let mut draft = draft();
    let mut other = draft.views[0].clone();
    other.name = "other".to_owned();
    other.table.name = "other".to_owned();
    other.columns = vec![
        ("id".to_owned(), column("nr"), Some("renamed".to_owned())),
        ("at".to_owned(), Origin::Offset, Some("by name".to_owned())),
    ];
    other.decide = vec!["fewer rows".to_owned()];
    other.unusable = Some("no key\nto be found".to_owned());
    draft.views.push(other);
    assert_eq!(parsed(&draft).views.len(), 1);
    counted_right(&draft);
    let text = draft.text();
    assert!(text.contains("1 view stands here as a comment"), "{text}");
    let line = |line: &str| match line.strip_prefix("  # ") {
        Some(rest) if !rest.starts_with("not usable") => format!("  {rest}\n"),
        _ => format!("{line}\n"),
    };
    let uncommented: String = text.lines().map(line).collect();
    let env = |_: &str| Some("sqlite:x.db".to_owned());
    let playbook = parse(&uncommented, Path::new("x.yaml"), &env);
    assert_eq!(
        playbook.map(|p| p.views.len()).ok(),
        Some(2),
        "{uncommented}"
    );
}

#[test]
fn suggestions_hold_once_they_are_uncommented() {
    let (_, suggestions) = SUGGESTIONS.split_once("say:\n").expect("a head");
    let lines = suggestions.lines();
    let lines: Vec<&str> = lines
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .collect();
    let text = draft().text() + &lines.join("\n");
    let env = |_: &str| Some("sqlite:x.db".to_owned());
    let playbook = parse(&text, Path::new("x.yaml"), &env);
    let playbook = playbook.unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert!(playbook.captured.is_some() && playbook.cutover.is_some());
    assert!(playbook.limits.deletes_max.is_some());
}
