//! How each type of column is stored.

use std::sync::Arc;

use ::parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use ::parquet::errors::ParquetError;
use ::parquet::schema::types::{Type, TypePtr};

use super::decimal;
use crate::projection::types::{Column, ColumnType};

/// The stored form of one value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Bool,
    /// A width that Parquet knows no word for takes the next one.
    Int {
        bits: u8,
        unsigned: bool,
    },
    Float32,
    Float64,
    Decimal {
        precision: u32,
        scale: u32,
    },
    /// A decimal number of any size: its text.
    Numeric,
    Text,
    Json,
    Bytes,
    Date,
    Time,
    Timestamp,
    TimestampTz,
    Uuid,
}

impl Form {
    /// `None` for an array, which has a form for each of its elements.
    fn of(kind: &ColumnType) -> Option<Form> {
        Some(match kind {
            ColumnType::Bool => Form::Bool,
            ColumnType::Int { bits, unsigned } => Form::Int {
                bits: *bits,
                unsigned: *unsigned,
            },
            ColumnType::Float32 => Form::Float32,
            ColumnType::Float64 => Form::Float64,
            ColumnType::Numeric {
                size: Some((precision, scale)),
            } if (1..=decimal::PRECISION_MAX).contains(precision) && scale <= precision => {
                Form::Decimal {
                    precision: *precision,
                    scale: *scale,
                }
            }
            ColumnType::Numeric { .. } => Form::Numeric,
            ColumnType::Text { .. } | ColumnType::Other(_) => Form::Text,
            ColumnType::Json => Form::Json,
            ColumnType::Bytes => Form::Bytes,
            ColumnType::Date => Form::Date,
            ColumnType::Time { .. } => Form::Time,
            ColumnType::Timestamp { .. } => Form::Timestamp,
            ColumnType::TimestampTz { .. } => Form::TimestampTz,
            ColumnType::Uuid => Form::Uuid,
            ColumnType::Array(_) => return None,
        })
    }

    /// Whether a stored value may be less than the cell was, so that its text is kept beside it.
    fn is_lossy(self) -> bool {
        matches!(self, Form::Float32 | Form::Decimal { .. })
    }

    pub(super) fn physical(self) -> Physical {
        match self {
            Form::Bool => Physical::BOOLEAN,
            Form::Int { bits: 0..=32, .. } | Form::Date => Physical::INT32,
            Form::Int { .. } | Form::Time | Form::Timestamp | Form::TimestampTz => Physical::INT64,
            Form::Float32 => Physical::FLOAT,
            Form::Float64 => Physical::DOUBLE,
            Form::Decimal {
                precision: 0..=9, ..
            } => Physical::INT32,
            Form::Decimal {
                precision: 10..=18, ..
            } => Physical::INT64,
            Form::Decimal { .. } | Form::Uuid => Physical::FIXED_LEN_BYTE_ARRAY,
            Form::Numeric | Form::Text | Form::Json | Form::Bytes => Physical::BYTE_ARRAY,
        }
    }

    fn logical(self) -> Option<LogicalType> {
        Some(match self {
            Form::Bool | Form::Float32 | Form::Float64 | Form::Bytes => return None,
            Form::Int { bits, unsigned } => {
                let width = match bits {
                    0..=8 => 8,
                    9..=16 => 16,
                    17..=32 => 32,
                    _ => 64,
                };
                LogicalType::integer(width, !unsigned)
            }
            Form::Decimal { precision, scale } => {
                LogicalType::decimal(small(scale), small(precision))
            }
            Form::Numeric | Form::Text => LogicalType::String,
            Form::Json => LogicalType::Json,
            Form::Date => LogicalType::Date,
            Form::Time => LogicalType::time(false, TimeUnit::MICROS),
            Form::Timestamp => LogicalType::timestamp(false, TimeUnit::MICROS),
            Form::TimestampTz => LogicalType::timestamp(true, TimeUnit::MICROS),
            Form::Uuid => LogicalType::Uuid,
        })
    }

    fn primitive(self, name: &str, repetition: Repetition) -> Result<TypePtr, ParquetError> {
        let mut builder = Type::primitive_type_builder(name, self.physical())
            .with_repetition(repetition)
            .with_logical_type(self.logical());
        match self {
            Form::Decimal { precision, scale } => {
                builder = builder
                    .with_precision(small(precision))
                    .with_scale(small(scale))
                    .with_length(small(decimal::bytes(precision)));
            }
            Form::Uuid => builder = builder.with_length(16),
            _ => {}
        }
        builder.build().map(Arc::new)
    }
}

/// Precision, scale and width are at most [`decimal::PRECISION_MAX`].
fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

/// A column of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) form: Form,
    /// Whether it holds lists of that form.
    pub(super) is_list: bool,
    /// Whether every row has a value.
    pub(super) is_required: bool,
}

impl Field {
    fn own(name: &str, form: Form, is_required: bool) -> Field {
        Field {
            name: name.to_owned(),
            form,
            is_list: false,
            is_required,
        }
    }

    fn of(column: &Column) -> Result<Field, String> {
        let (kind, is_list) = match &column.kind {
            ColumnType::Array(of) => (&**of, true),
            kind => (kind, false),
        };
        let form = Form::of(kind).ok_or_else(|| {
            format!(
                "column {} is an array of arrays, which a snapshot cannot hold",
                column.name
            )
        })?;
        // NULL is taken everywhere: whether a column may be NULL is for the database to say.
        Ok(Field {
            name: column.name.clone(),
            form,
            is_list,
            is_required: false,
        })
    }

    fn schema(&self) -> Result<TypePtr, ParquetError> {
        if !self.is_list {
            let required = if self.is_required {
                Repetition::REQUIRED
            } else {
                Repetition::OPTIONAL
            };
            return self.form.primitive(&self.name, required);
        }
        let list = Type::group_type_builder("list")
            .with_repetition(Repetition::REPEATED)
            .with_fields(vec![self.form.primitive("element", Repetition::OPTIONAL)?])
            .build()?;
        Type::group_type_builder(&self.name)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(Some(LogicalType::List))
            .with_fields(vec![Arc::new(list)])
            .build()
            .map(Arc::new)
    }
}

/// What follows the columns of the table.
const EXACT: &str = "trueup_exact";
const VERSION: [&str; 4] = [
    "trueup_partition",
    "trueup_offset",
    "trueup_rank",
    "trueup_clock",
];

/// The columns of a file: those of the table, then what is kept beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::snapshot) struct Layout {
    pub(super) fields: Vec<Field>,
    /// Columns of the table.
    pub(super) cells: usize,
    /// Whether the column of exact texts follows.
    pub(super) has_exact: bool,
    /// Whether those of the version do.
    pub(super) versioned: bool,
}

impl Layout {
    /// The layout of a file with these columns.
    ///
    /// # Errors
    /// What a snapshot cannot hold, in words.
    pub(in crate::snapshot) fn of<'a>(
        columns: impl Iterator<Item = &'a Column>,
        versioned: bool,
    ) -> Result<Layout, String> {
        let mut fields = columns.map(Field::of).collect::<Result<Vec<_>, _>>()?;
        let cells = fields.len();
        let own = |name: &str| name == EXACT || VERSION.contains(&name);
        if let Some(field) = fields.iter().find(|f| own(&f.name)) {
            return Err(format!(
                "column {} has a name that snapshots use themselves; rename it",
                field.name
            ));
        }
        let has_exact = fields.iter().any(|f| f.form.is_lossy());
        if has_exact {
            fields.push(Field::own(EXACT, Form::Json, false));
        }
        if versioned {
            let [partition, offset, rank, clock] = VERSION;
            fields.push(Field::own(
                partition,
                Form::Int {
                    bits: 32,
                    unsigned: false,
                },
                true,
            ));
            fields.push(Field::own(
                offset,
                Form::Int {
                    bits: 64,
                    unsigned: false,
                },
                true,
            ));
            fields.push(Field::own(rank, Form::Bytes, true));
            fields.push(Field::own(
                clock,
                Form::Int {
                    bits: 64,
                    unsigned: false,
                },
                false,
            ));
        }
        Ok(Layout {
            fields,
            cells,
            has_exact,
            versioned,
        })
    }

    /// As Parquet has it.
    pub(super) fn schema(&self) -> Result<TypePtr, ParquetError> {
        let fields = self
            .fields
            .iter()
            .map(Field::schema)
            .collect::<Result<Vec<_>, _>>()?;
        Type::group_type_builder("trueup")
            .with_fields(fields)
            .build()
            .map(Arc::new)
    }
}
