//! How the connector that wrote a topic was set up, as far as its records do not say it themselves. The keys are the
//! connector's own property names, so that they can be copied from its configuration.

/// How Debezium wrote a topic. The default is that of Debezium.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `decimal.handling.mode`
    pub decimals: Decimals,
    /// `time.precision.mode`
    pub times: Times,
    /// `binary.handling.mode`
    pub binary: Binary,
    /// `interval.handling.mode`: whether intervals are text; as microseconds they are lost.
    pub intervals_as_text: bool,
    /// `money.fraction.digits`
    pub money_digits: u32,
    /// `unavailable.value.placeholder`, its bytes.
    pub unavailable: Vec<u8>,
    /// `skipped.operations`: whether truncates are left out; `None` where nothing says it.
    pub skips_truncates: Option<bool>,
    /// `replace.null.with.default`: whether a NULL arrives as its column's default; `None` where nothing says it.
    pub fills_nulls: Option<bool>,
    /// What `ExtractNewRecordState` makes of the records, if it does.
    pub flattened: Option<Flattened>,
}

/// How decimals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decimals {
    /// The unscaled integer's bytes.
    Precise,
    /// A binary floating-point number.
    Double,
    /// Text.
    Text,
}

/// How dates, times and timestamps without a zone are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Milliseconds or microseconds, by the column's own digits.
    Adaptive,
    /// The same, but times of day always in microseconds.
    AdaptiveMicros,
    /// Milliseconds.
    Connect,
    /// ISO text.
    Iso,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binary {
    /// As bytes, which JSON has as base64.
    Bytes,
    /// Base64 text.
    Base64,
    /// Base64 text of the alphabet for URLs.
    UrlSafe,
    /// Hexadecimal text.
    Hex,
}

/// How `ExtractNewRecordState` was set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flattened {
    /// `add.fields`: what each added field holds, and what it is called in the record.
    pub fields: Vec<(String, String)>,
    /// Whether deletes leave no record at all, so that a replay would bring every deleted row back.
    pub drops_deletes: bool,
}

/// What Debezium writes for a TOASTed value that an update did not touch.
const UNAVAILABLE: &str = "__debezium_unavailable_value";

/// What is worth adding to a flattened record: an order, and what tells deletes and snapshots.
const ADDED: [&str; 10] = [
    "op",
    "lsn",
    "source.lsn",
    "source.ts_ms",
    "source.snapshot",
    "snapshot",
    "source.txId",
    "file",
    "pos",
    "row",
];

/// The properties that are understood.
const KNOWN: [&str; 16] = [
    "decimal.handling.mode",
    "decimal.format",
    "time.precision.mode",
    "binary.handling.mode",
    "interval.handling.mode",
    "hstore.handling.mode",
    "money.fraction.digits",
    "unavailable.value.placeholder",
    "skipped.operations",
    "replace.null.with.default",
    "flattened",
    "add.fields",
    "add.fields.prefix",
    "delete.tombstone.handling.mode",
    "delete.handling.mode",
    "drop.tombstones",
];

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            decimals: Decimals::Precise,
            times: Times::Adaptive,
            binary: Binary::Bytes,
            intervals_as_text: false,
            money_digits: 2,
            unavailable: UNAVAILABLE.into(),
            skips_truncates: None,
            fills_nulls: None,
            flattened: None,
        }
    }
}

/// A property that means nothing here: which, what is wrong, and what to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadSetting {
    /// The property.
    pub property: String,
    /// What is wrong.
    pub what: String,
    /// What to write.
    pub fix: String,
}

impl Settings {
    /// The settings that these properties make.
    ///
    /// # Errors
    /// All properties that are not understood.
    pub fn of(properties: &[(String, String)]) -> Result<Settings, Vec<BadSetting>> {
        let mut settings = Settings::default();
        let mut bad = Vec::new();
        for (property, value) in properties {
            if let Err((what, fix)) = settings.set(property, value) {
                bad.push(BadSetting {
                    property: property.clone(),
                    what,
                    fix,
                });
            }
        }
        let get = |name: &str| {
            let found = properties.iter().find(|(property, _)| property == name);
            found.map(|(_, value)| value.as_str())
        };
        if get("flattened") == Some("true") {
            settings.flattened = Some(flattened(&get));
        } else if let Some((property, _)) = properties.iter().find(|(p, _)| is_of_flattened(p)) {
            bad.push(BadSetting {
                property: property.clone(),
                what: "says how records are flattened, and nothing says that they are".to_owned(),
                fix: "add `flattened: true`, or take it out".to_owned(),
            });
        }
        if bad.is_empty() {
            Ok(settings)
        } else {
            Err(bad)
        }
    }

    fn set(&mut self, property: &str, value: &str) -> Result<(), (String, String)> {
        match property {
            "decimal.handling.mode" => {
                self.decimals = one_of(
                    value,
                    &[
                        ("precise", Decimals::Precise),
                        ("double", Decimals::Double),
                        ("string", Decimals::Text),
                    ],
                )?;
            }
            "time.precision.mode" => {
                self.times = one_of(
                    value,
                    &[
                        ("adaptive", Times::Adaptive),
                        ("adaptive_time_microseconds", Times::AdaptiveMicros),
                        ("connect", Times::Connect),
                        ("isostring", Times::Iso),
                        ("microseconds", Times::Micros),
                        ("nanoseconds", Times::Nanos),
                    ],
                )?;
            }
            "binary.handling.mode" => {
                self.binary = one_of(
                    value,
                    &[
                        ("bytes", Binary::Bytes),
                        ("base64", Binary::Base64),
                        ("base64-url-safe", Binary::UrlSafe),
                        ("hex", Binary::Hex),
                    ],
                )?;
            }
            "interval.handling.mode" => {
                self.intervals_as_text = one_of(value, &[("numeric", false), ("string", true)])?;
            }
            // Either way the record shows which it is.
            "hstore.handling.mode" => one_of(value, &[("json", ()), ("map", ())])?,
            "decimal.format" => one_of(value, &[("BASE64", ()), ("NUMERIC", ())])?,
            "money.fraction.digits" => {
                let digits = value.parse().ok().filter(|digits| *digits <= 18);
                self.money_digits =
                    digits.ok_or_else(|| wrong(value, "a number of digits, 0 to 18"))?;
            }
            "unavailable.value.placeholder" => self.unavailable = placeholder(value)?,
            "skipped.operations" => {
                let mut skipped = value.split(',').map(str::trim);
                self.skips_truncates = Some(skipped.any(|operation| operation == "t"));
            }
            "replace.null.with.default" => self.fills_nulls = Some(flag(value)?),
            "flattened" | "drop.tombstones" => flag(value).map(drop)?,
            "add.fields" | "add.fields.prefix" => {}
            "delete.tombstone.handling.mode" => {
                let modes = [
                    "drop",
                    "tombstone",
                    "rewrite",
                    "rewrite-with-tombstone",
                    "delete-to-tombstone",
                ];
                one_of(value, &modes.map(|mode| (mode, ())))?;
            }
            "delete.handling.mode" => {
                one_of(value, &[("drop", ()), ("none", ()), ("rewrite", ())])?;
            }
            _ => {
                let what = "is no property of the connector that changes how records are read";
                return Err((what.to_owned(), format!("known are {}", KNOWN.join(", "))));
            }
        }
        Ok(())
    }
}

fn is_of_flattened(property: &str) -> bool {
    property.starts_with("add.fields")
        || property.starts_with("delete.")
        || property == "drop.tombstones"
}

fn wrong(value: &str, known: &str) -> (String, String) {
    (format!("`{value}` is none"), format!("write {known}"))
}

fn one_of<T: Copy>(value: &str, known: &[(&str, T)]) -> Result<T, (String, String)> {
    let found = known.iter().find(|(name, _)| *name == value);
    let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
    found
        .map(|(_, is)| *is)
        .ok_or_else(|| wrong(value, &format!("one of {}", names.join(", "))))
}

fn flag(value: &str) -> Result<bool, (String, String)> {
    one_of(value, &[("true", true), ("false", false)])
}

/// `hex:` begins the bytes themselves.
fn placeholder(value: &str) -> Result<Vec<u8>, (String, String)> {
    let Some(hex) = value.strip_prefix("hex:") else {
        return Ok(value.as_bytes().to_vec());
    };
    let digits: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.chunks(2).map(byte).collect();
    bytes
        .filter(|bytes| !bytes.is_empty() && digits.len().is_multiple_of(2))
        .ok_or_else(|| wrong(value, "`hex:` and an even number of hexadecimal digits"))
}

fn flattened<'a>(get: &impl Fn(&str) -> Option<&'a str>) -> Flattened {
    let prefix = get("add.fields.prefix").unwrap_or("__");
    let written = get("add.fields").unwrap_or_default();
    let named = |field: &str| format!("{prefix}{}", field.replace('.', "_"));
    let mut fields: Vec<(String, String)> = written
        .split(',')
        .map(str::trim)
        .filter(|field| !field.is_empty())
        .map(|field| match field.split_once(':') {
            Some((field, name)) => (field.to_owned(), format!("{prefix}{name}")),
            None => (field.to_owned(), named(field)),
        })
        .collect();
    if written.is_empty() {
        // Who does not say what was added gets what is there under the usual names.
        fields = ADDED.map(|field| (field.to_owned(), named(field))).into();
    }
    let tombstones_too = get("drop.tombstones") != Some("false");
    Flattened {
        fields,
        drops_deletes: match (
            get("delete.tombstone.handling.mode"),
            get("delete.handling.mode"),
        ) {
            (Some(mode), _) => mode == "drop",
            (None, Some("drop")) => tombstones_too,
            _ => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(properties: &[(&str, &str)]) -> Result<Settings, Vec<BadSetting>> {
        let owned = properties.iter().map(|(p, v)| ((*p).into(), (*v).into()));
        Settings::of(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn properties_as_the_connector_has_them() {
        assert_eq!(of(&[]), Ok(Settings::default()));
        let some = of(&[
            ("decimal.handling.mode", "string"),
            ("unavailable.value.placeholder", "hex:2a 2A"),
            ("skipped.operations", "none"),
        ])
        .expect("known");
        assert_eq!(some.decimals, Decimals::Text);
        assert_eq!(some.unavailable, b"**");
        assert_eq!(some.skips_truncates, Some(false));
        let flat = of(&[
            ("flattened", "true"),
            ("add.fields", "op:OPX, source.lsn"),
            ("add.fields.prefix", "_m_"),
            ("delete.handling.mode", "drop"),
        ]);
        let flat = flat.expect("known").flattened.expect("flattened");
        let fields = [("op", "_m_OPX"), ("source.lsn", "_m_source_lsn")];
        assert_eq!(
            flat.fields,
            fields.map(|(f, n)| (f.to_owned(), n.to_owned()))
        );
        assert!(flat.drops_deletes, "tombstones are dropped by default");
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let wrong = [
            ("decimal.handling.mode", "exact"),
            ("unavailable.value.placeholder", "hex:2"),
            ("slot.name", "x"),
            ("add.fields", "op"),
        ];
        let found = of(&wrong).expect_err("wrong");
        let of_whom: Vec<&str> = found.iter().map(|b| b.property.as_str()).collect();
        assert_eq!(of_whom, wrong.map(|(property, _)| property));
    }
}
