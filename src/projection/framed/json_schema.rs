//! JSON Schemas as Connect's JSON Schema converter writes them: what JSON cannot say stands in `connect.type` and the title.

use std::collections::HashMap;

use serde_json::Value;

use super::connect;
use super::connect::Place;

/// Schemas inside each other; one that holds itself is followed no further.
const DEPTH_MAX: usize = 40;
/// Nodes of the Connect schema.
const NODES_MAX: usize = 100_000;

/// The Connect schema of the values that a JSON Schema describes.
pub(super) fn connect(text: &str, references: &[(String, String)]) -> Result<String, String> {
    let parse =
        |text: &str| serde_json::from_str::<Value>(text).map_err(|e| format!("is no JSON: {e}"));
    let root = parse(text)?;
    let mut others = HashMap::new();
    for (name, text) in references {
        let read = parse(text).map_err(|e| format!("the schema {name} that it refers to {e}"))?;
        others.insert(name.as_str(), read);
    }
    let mut tree = Tree {
        others: &others,
        nodes: 0,
    };
    let title = root.get("title").and_then(Value::as_str);
    let place = Place::of_root(title.unwrap_or_default());
    Ok(tree.node(&root, &root, place, 0)?.text())
}

struct Tree<'s> {
    /// The other documents, by the names that they are referred to by.
    others: &'s HashMap<&'s str, Value>,
    nodes: usize,
}

impl<'s> Tree<'s> {
    /// `document` is the one that `schema` stands in.
    fn node(
        &mut self,
        schema: &'s Value,
        document: &'s Value,
        place: Place,
        depth: usize,
    ) -> Result<connect::Node, String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("has more than {NODES_MAX} parts"));
        }
        if depth > DEPTH_MAX {
            return Ok(connect::Node::of("struct"));
        }
        if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
            let (schema, document) = self.target(target, document)?;
            return self.node(schema, document, place, depth + 1);
        }
        if let Some(branches) = branches(schema) {
            let is_null = |s: &&Value| s.get("type").and_then(Value::as_str) == Some("null");
            let mut others = branches.iter().filter(|s| !is_null(s));
            let mut node = match (others.next(), others.next()) {
                (Some(one), None) => self.node(one, document, place, depth + 1)?,
                _ => connect::Node::of("union"),
            };
            node.optional = branches.iter().any(|s| is_null(&s));
            return Ok(node);
        }
        let mut node = plain(schema);
        if let Some(items) = schema.get("items").filter(|_| node.kind == "array") {
            let items = self.node(items, document, Place::Other, depth + 1)?;
            node.items = Some(Box::new(items));
        }
        if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
            let shown = |(name, _): &(&String, _)| !connect::is_skipped(place, name);
            for (name, property) in properties.iter().filter(shown) {
                let mut below = self.node(property, document, place.below(name), depth + 1)?;
                below.field = Some(name.clone());
                node.fields.push(below);
            }
        }
        Ok(node)
    }

    fn target(&self, target: &str, document: &'s Value) -> Result<(&'s Value, &'s Value), String> {
        let (name, pointer) = target.split_once('#').unwrap_or((target, ""));
        let missing = || format!("refers to {target}, which is not there");
        let document = match name {
            "" => document,
            name => self.others.get(name).ok_or_else(missing)?,
        };
        let schema = document.pointer(pointer).ok_or_else(missing)?;
        Ok((schema, document))
    }
}

fn branches(schema: &Value) -> Option<&Vec<Value>> {
    let list = |name| schema.get(name).and_then(Value::as_array);
    list("oneOf").or_else(|| list("anyOf"))
}

/// A schema without what is below it.
fn plain(schema: &Value) -> connect::Node {
    let text = |name: &str| schema.get(name).and_then(Value::as_str);
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one.as_str()],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let written = types.iter().copied().find(|t| *t != "null");
    let kind = text("connect.type").unwrap_or(match written.unwrap_or_default() {
        "integer" => "int64",
        "number" => "double",
        "object" => "struct",
        other => other,
    });
    let mut node = connect::Node::of(kind);
    node.optional = types.contains(&"null");
    let parameters = schema.get("connect.parameters").and_then(Value::as_object);
    node.parameters = parameters.cloned().unwrap_or_default();
    // The title of a schema that Connect has not written is a heading for people.
    let is_name = |title: &&str| {
        let known = ["io.debezium.", "org.apache.kafka.connect.data."];
        schema.get("connect.type").is_some()
            || kind == "struct"
            || known.iter().any(|k| title.starts_with(k))
    };
    node.name = text("title").filter(is_name).map(str::to_owned);
    node
}
