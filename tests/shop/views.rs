//! The twelve reports: what identifies their rows, how their columns compare, and the playbook that holds them all.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;

use super::system::Shop;

/// How the two sides of a column compare; most are exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// Floating-point numbers this close, as a share of the larger.
    Tolerance(f64),
    /// The parts between this separator, in any order.
    Parts(&'static str),
    /// The elements of an array, in any order.
    Elements,
}

/// Where a playbook has the text of a view.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Text {
    Inline,
    File,
    /// As the primary prints its own view.
    Pasted,
}

/// One report. The text of its query is in `views/NAME.sql`.
#[derive(Debug)]
pub struct View {
    pub name: &'static str,
    pub key: &'static [&'static str],
    pub rules: &'static [(&'static str, Rule)],
    text: Text,
    /// What changes a row of its table for good: the right side of a SET.
    pub spoil: &'static str,
    /// What makes a row of its table one that nobody expects, as JSON.
    pub stray: &'static str,
}

const fn view(
    name: &'static str,
    key: &'static [&'static str],
    text: Text,
    spoil: &'static str,
    stray: &'static str,
) -> View {
    View {
        name,
        key,
        rules: &[],
        text,
        spoil,
        stray,
    }
}

pub const VIEWS: [View; 12] = [
    View {
        rules: &[("channels", Rule::Elements), ("cities", Rule::Parts(", "))],
        ..view(
            "buyers_of_category",
            &["category_id"],
            Text::File,
            "cities = coalesce(cities, '') || ', Atlantis'",
            r#"{"category_id": -1}"#,
        )
    },
    view(
        "category_tree",
        &["category_id"],
        Text::Inline,
        "path = path || 0",
        r#"{"category_id": -1}"#,
    ),
    view(
        "contacts",
        &["kind", "id"],
        Text::File,
        "details = details || '{\"spoilt\": true}'",
        r#"{"kind": "ghost", "id": -1}"#,
    ),
    view(
        "customer_value",
        &["customer_id"],
        Text::Inline,
        "span = span + interval '1 microsecond'",
        r#"{"customer_id": -1}"#,
    ),
    view(
        "latest_orders",
        &["customer_id"],
        Text::Inline,
        "placed = placed + interval '1 microsecond'",
        r#"{"customer_id": -1}"#,
    ),
    view(
        "monthly_revenue",
        &["month", "channel"],
        Text::File,
        "running = running + 0.01",
        r#"{"month": "1999-01-01"}"#,
    ),
    view(
        "open_balances",
        &["order_id"],
        Text::Pasted,
        "travelled = CASE WHEN travelled IS NULL THEN interval '0' END",
        r#"{"order_id": -1}"#,
    ),
    view(
        "order_documents",
        &["order_id"],
        Text::File,
        "document = jsonb_set(document, '{status}', '\"spoilt\"')",
        r#"{"order_id": -1}"#,
    ),
    view(
        "order_summary",
        &["order_id"],
        Text::Inline,
        "note = coalesce(note, '') || '.'",
        r#"{"order_id": -1}"#,
    ),
    view(
        "product_sales",
        &["product_id"],
        Text::Inline,
        "stars = CASE WHEN stars IS NULL THEN 0 ELSE stars + 0.0001 END",
        r#"{"product_id": -1, "sku": "none"}"#,
    ),
    view(
        "silent_customers",
        &["customer_id"],
        Text::File,
        "newsletter = CASE WHEN newsletter IS NULL THEN false END",
        r#"{"customer_id": -1}"#,
    ),
    View {
        rules: &[
            ("average_weight", Rule::Tolerance(1e-9)),
            ("stock_weight", Rule::Tolerance(1e-9)),
        ],
        ..view(
            "supplier_scores",
            &["supplier_id"],
            Text::Inline,
            "stock_weight = coalesce(stock_weight, 0) * 1.001 + 1",
            r#"{"supplier_id": -1}"#,
        )
    },
];

impl View {
    /// The query as somebody wrote it.
    pub fn query(&self) -> String {
        let file = format!("tests/shop/views/{}.sql", self.name);
        fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
    }

    /// `query:` of a playbook.
    fn written(&self, shop: &Shop) -> String {
        match self.text {
            Text::Inline => block(&self.query()),
            Text::File => {
                fs::write(shop.path(&format!("{}.sql", self.name)), self.query()).unwrap();
                format!("{{ file: {}.sql }}", self.name)
            }
            Text::Pasted => {
                let sql = format!("SELECT pg_get_viewdef('reports.{}'::regclass)", self.name);
                block(&shop.primary(&sql))
            }
        }
    }

    fn compare(&self) -> String {
        let rules: Vec<String> = self
            .rules
            .iter()
            .map(|(column, rule)| match rule {
                Rule::Tolerance(share) => format!("{column}: {{ tolerance: {share:e} }}"),
                Rule::Parts(separator) => format!("{column}: {{ unordered: {separator:?} }}"),
                Rule::Elements => format!("{column}: unordered"),
            })
            .collect();
        if rules.is_empty() {
            String::new()
        } else {
            format!("    compare: {{ {} }}\n", rules.join(", "))
        }
    }
}

/// A block of YAML, whose first line may begin with blanks of its own.
fn block(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(|l| format!("      {l}")).collect();
    format!("|2\n{}", lines.join("\n"))
}

/// The playbook of the whole shop.
pub fn playbook(shop: &Shop) -> String {
    let (name, brokers) = (shop.carried.name, &shop.carried.brokers);
    let mut yaml = format!(
        "version: 1\nname: {}\nprimary: {{ url: \"{}\" }}\nread_store: {{ url: \"{}\" }}\nlog:\n  kafka: {{ brokers: \"{brokers}\" }}\ncaptured: {{ slot: {name} }}\napplied: none\nsources:\n",
        name.replace('_', "-"),
        shop.carried.primary_url(),
        shop.carried.reads_url()
    );
    let tables = shop.primary(
        "SELECT relname FROM pg_class WHERE relnamespace = 'shop'::regnamespace AND relkind = 'r' ORDER BY 1",
    );
    for table in tables.lines() {
        writeln!(yaml, "  {table}: {{ topic: {name}.shop.{table} }}").unwrap();
    }
    yaml.push_str("views:\n");
    for view in &VIEWS {
        writeln!(
            yaml,
            "  {0}:\n    table: reports.{0}\n    key: [{1}]\n{2}    query: {3}",
            view.name,
            view.key.join(", "),
            view.compare(),
            view.written(shop)
        )
        .unwrap();
    }
    yaml
}
