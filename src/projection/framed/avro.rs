//! Avro schemas. They are read here rather than by a library, for the libraries of Rust drop what Connect writes beside the
//! primitive types: `connect.name`, without which a long is no timestamp.

use std::collections::HashMap;

use serde_json::Map;
use serde_json::Value;

use super::connect;
use super::connect::Place;
use super::datum::Datum;

/// Nodes of a Connect schema; a schema that refers to its types again and again can be written in few words.
const NODES_MAX: usize = 100_000;
/// Schemas inside each other.
const DEPTH_MAX: usize = 100;

/// A schema ready to read by.
#[derive(Debug)]
pub(super) struct Schema {
    pub(super) types: Vec<Type>,
    root: usize,
    connect: String,
}

/// A type, its parts by their place in [`Schema::types`].
#[derive(Debug)]
pub(super) struct Type {
    pub(super) form: Form,
    /// The node of Connect's schema that it is, without what is below it.
    node: connect::Node,
}

/// How a type is written.
#[derive(Debug)]
pub(super) enum Form {
    /// A name whose type has not been read yet.
    Open,
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    Text,
    Fixed(usize),
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<Field>),
}

/// A field of a record.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: String,
    /// `"name":`
    pub(super) key: Vec<u8>,
    pub(super) of: usize,
    /// Whether it is passed over.
    pub(super) skipped: bool,
}

impl Schema {
    pub(super) fn read(text: &str, references: &[(String, String)]) -> Result<Schema, String> {
        let mut reader = Reader::default();
        for (name, text) in references {
            let read = json(text).and_then(|json| reader.schema(&json, Above::default()));
            read.map_err(|e| format!("the schema {name} that it refers to: {e}"))?;
        }
        let root = reader.schema(&json(text)?, Above::default())?;
        let mut schema = Schema {
            types: reader.types,
            root,
            connect: String::new(),
        };
        let node = Tree::new(&schema).node(root)?;
        schema.connect = node.text();
        Ok(schema)
    }

    /// Writes the JSON of a value; returns the schema of that.
    pub(super) fn open(&self, body: &[u8], out: &mut Vec<u8>) -> Result<&str, String> {
        let mut datum = Datum::new(&self.types, body);
        datum
            .whole(self.root, out)
            .map_err(|fault| fault.to_string())?;
        Ok(&self.connect)
    }
}

fn json(text: &str) -> Result<Value, String> {
    // A schema that is nothing but the name of a type is sometimes kept without its quotes.
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if text.chars().all(bare) {
        return Ok(Value::String(text.to_owned()));
    }
    serde_json::from_str(text).map_err(|e| format!("is no JSON: {e}"))
}

/// What a schema stands in.
#[derive(Clone, Copy, Default)]
struct Above<'n> {
    namespace: &'n str,
    place: Option<Place>,
    depth: usize,
}

#[derive(Default)]
struct Reader {
    types: Vec<Type>,
    /// Where the types with a name are.
    named: HashMap<String, usize>,
}

impl Reader {
    fn add(&mut self, form: Form, node: connect::Node) -> usize {
        self.types.push(Type { form, node });
        self.types.len() - 1
    }

    fn schema(&mut self, json: &Value, above: Above<'_>) -> Result<usize, String> {
        let above = Above {
            depth: above.depth + 1,
            ..above
        };
        if above.depth > DEPTH_MAX {
            return Err(format!(
                "more than {DEPTH_MAX} schemas stand inside each other"
            ));
        }
        match json {
            Value::String(name) => self.by_name(name, above, &Map::new()),
            Value::Array(branches) => {
                let branches = branches.iter().map(|b| self.schema(b, above));
                let branches = branches.collect::<Result<Vec<_>, _>>()?;
                Ok(self.add(Form::Union(branches), connect::Node::of("union")))
            }
            Value::Object(object) => self.object(object, above),
            _ => Err("holds something that is neither a name, a list nor an object".to_owned()),
        }
    }

    fn object(&mut self, object: &Map<String, Value>, above: Above<'_>) -> Result<usize, String> {
        match object.get("type") {
            Some(Value::String(kind)) => match kind.as_str() {
                "record" | "error" => self.record(object, above),
                "enum" => self.symbols(object, above),
                "fixed" => self.fixed(object, above),
                "array" => {
                    let items = self.schema(part(object, "items")?, inside(above))?;
                    Ok(self.add(Form::Array(items), described(object, "array")))
                }
                "map" => {
                    let values = self.schema(part(object, "values")?, inside(above))?;
                    Ok(self.add(Form::Map(values), described(object, "map")))
                }
                name => self.by_name(name, above, object),
            },
            Some(nested) => self.schema(nested, above),
            None => Err("holds an object without a `type`".to_owned()),
        }
    }

    /// A primitive type, or one that has been named before.
    fn by_name(
        &mut self,
        name: &str,
        above: Above<'_>,
        object: &Map<String, Value>,
    ) -> Result<usize, String> {
        let (form, kind) = match name {
            "null" => (Form::Null, "null"),
            "boolean" => (Form::Boolean, "boolean"),
            "int" => (Form::Int, "int32"),
            "long" => (Form::Long, "int64"),
            "float" => (Form::Float, "float"),
            "double" => (Form::Double, "double"),
            "bytes" => (Form::Bytes, "bytes"),
            "string" => (Form::Text, "string"),
            _ => {
                let full = full_name(name, above.namespace);
                let found = self.named.get(&full).or_else(|| self.named.get(name));
                return found
                    .copied()
                    .ok_or_else(|| format!("names the type {full}, which nothing defines"));
            }
        };
        Ok(self.add(form, described(object, kind)))
    }

    /// Gives a name its place, before its type is read: a type may hold itself.
    fn name<'o>(
        &mut self,
        object: &'o Map<String, Value>,
        above: Above<'o>,
    ) -> Result<(usize, String), String> {
        let name = object.get("name").and_then(Value::as_str);
        let name = name.ok_or("holds a type without its `name`")?;
        let namespace = object.get("namespace").and_then(Value::as_str);
        let full = full_name(name, namespace.unwrap_or(above.namespace));
        let at = self.add(Form::Open, connect::Node::default());
        self.named.insert(full.clone(), at);
        Ok((at, full))
    }

    fn record(&mut self, object: &Map<String, Value>, above: Above<'_>) -> Result<usize, String> {
        let (at, full) = self.name(object, above)?;
        let written = part(object, "fields")?;
        let written = written
            .as_array()
            .ok_or_else(|| format!("{full} has `fields` that are no list"))?;
        let place = above.place.unwrap_or_else(|| Place::of_root(&full));
        let namespace = full.rsplit_once('.').map_or("", |(space, _)| space);
        let mut fields = Vec::with_capacity(written.len());
        for field in written {
            let name = field.get("name").and_then(Value::as_str);
            let name = name.ok_or_else(|| format!("{full} has a field without a name"))?;
            let of = field.get("type").unwrap_or(&Value::Null);
            let above = Above {
                namespace,
                place: Some(place.below(name)),
                depth: above.depth,
            };
            let of = self
                .schema(of, above)
                .map_err(|e| format!("field {name} of {full}: {e}"))?;
            fields.push(Field {
                name: name.to_owned(),
                key: format!("{}:", Value::String(name.to_owned())).into_bytes(),
                of,
                skipped: connect::is_skipped(place, name),
            });
        }
        let mut node = described(object, "struct");
        node.name = node.name.or(Some(full));
        self.types[at] = Type {
            form: Form::Record(fields),
            node,
        };
        Ok(at)
    }

    fn symbols(&mut self, object: &Map<String, Value>, above: Above<'_>) -> Result<usize, String> {
        let (at, full) = self.name(object, above)?;
        let symbols = part(object, "symbols")?.as_array();
        let symbols = symbols.into_iter().flatten().map(Value::as_str);
        let symbols: Option<Vec<String>> = symbols.map(|s| s.map(str::to_owned)).collect();
        let form =
            Form::Enum(symbols.ok_or_else(|| format!("{full} has symbols that are no texts"))?);
        let node = described(object, "string");
        self.types[at] = Type { form, node };
        Ok(at)
    }

    fn fixed(&mut self, object: &Map<String, Value>, above: Above<'_>) -> Result<usize, String> {
        let (at, full) = self.name(object, above)?;
        let size = part(object, "size")?.as_u64();
        let size = size.and_then(|s| usize::try_from(s).ok());
        let form = Form::Fixed(size.ok_or_else(|| format!("{full} has a size that is no number"))?);
        let node = described(object, "bytes");
        self.types[at] = Type { form, node };
        Ok(at)
    }
}

fn inside(above: Above<'_>) -> Above<'_> {
    Above {
        place: Some(Place::Other),
        ..above
    }
}

fn part<'o>(object: &'o Map<String, Value>, name: &str) -> Result<&'o Value, String> {
    object
        .get(name)
        .ok_or_else(|| format!("holds a type without its `{name}`"))
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() {
        name.to_owned()
    } else {
        format!("{namespace}.{name}")
    }
}

/// Connect's node for a type: what Connect's own converter wrote beside it, else what Avro's logical type stands for.
fn described(object: &Map<String, Value>, kind: &str) -> connect::Node {
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    let number = |name: &str| object.get(name).and_then(Value::as_u64).unwrap_or_default();
    let mut node = connect::Node::of(text("connect.type").unwrap_or(kind));
    if let Some(parameters) = object.get("connect.parameters").and_then(Value::as_object) {
        node.parameters = parameters.clone();
    }
    if let Some(name) = text("connect.name") {
        return node.named(name);
    }
    match text("logicalType") {
        Some("decimal") => node
            .named("org.apache.kafka.connect.data.Decimal")
            .with("scale", number("scale"))
            .with("connect.decimal.precision", number("precision")),
        Some("date") => node.named("org.apache.kafka.connect.data.Date"),
        Some("time-millis") => node.named("org.apache.kafka.connect.data.Time"),
        Some("time-micros") => node.named("io.debezium.time.MicroTime"),
        Some("timestamp-millis" | "local-timestamp-millis") => {
            node.named("org.apache.kafka.connect.data.Timestamp")
        }
        Some("timestamp-micros" | "local-timestamp-micros") => {
            node.named("io.debezium.time.MicroTimestamp")
        }
        Some("timestamp-nanos" | "local-timestamp-nanos") => {
            node.named("io.debezium.time.NanoTimestamp")
        }
        Some("uuid") if kind == "string" => node.named("io.debezium.data.Uuid"),
        _ => node,
    }
}

/// The Connect schema of a type, its named parts written out wherever they are used.
struct Tree<'s> {
    schema: &'s Schema,
    /// The types that are being written.
    above: Vec<usize>,
    nodes: usize,
}

impl<'s> Tree<'s> {
    fn new(schema: &'s Schema) -> Tree<'s> {
        Tree {
            schema,
            above: Vec::new(),
            nodes: 0,
        }
    }

    fn node(&mut self, at: usize) -> Result<connect::Node, String> {
        let Type { form, node } = &self.schema.types[at];
        let mut node = node.clone();
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            return Err(format!("has more than {NODES_MAX} parts"));
        }
        // A type that holds itself is described once.
        if self.above.contains(&at) {
            return Ok(node);
        }
        self.above.push(at);
        match form {
            Form::Array(items) => node.items = Some(Box::new(self.node(*items)?)),
            Form::Map(values) => node.values = Some(Box::new(self.node(*values)?)),
            Form::Union(branches) => node = self.union(branches)?,
            Form::Record(fields) => {
                for field in fields.iter().filter(|f| !f.skipped) {
                    let mut below = self.node(field.of)?;
                    below.field = Some(field.name.clone());
                    node.fields.push(below);
                }
            }
            _ => {}
        }
        self.above.pop();
        Ok(node)
    }

    /// A union with null is an optional value; one of several types has no name in Connect.
    fn union(&mut self, branches: &[usize]) -> Result<connect::Node, String> {
        let is_null = |at: &&usize| matches!(self.schema.types[**at].form, Form::Null);
        let optional = branches.iter().any(|at| is_null(&at));
        let others: Vec<usize> = branches.iter().filter(|at| !is_null(at)).copied().collect();
        let mut node = match others[..] {
            [one] => self.node(one)?,
            _ => connect::Node::of("union"),
        };
        node.optional = optional;
        Ok(node)
    }
}
