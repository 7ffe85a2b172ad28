//! One column of a row group: cells to values with their levels, and back.

use ::parquet::basic::Type as Physical;
use ::parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use ::parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray,
    FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use ::parquet::errors::ParquetError;
use ::parquet::file::writer::SerializedColumnWriter;

use super::decimal;
use super::form::{Field, Form};
use crate::projection::cell::Cell;
use crate::projection::types::ColumnType;

/// Definition levels of a list: it is NULL, it is empty, an element is NULL, an element is there.
const LIST_NULL: i16 = 0;
const LIST_EMPTY: i16 = 1;
const ELEMENT_NULL: i16 = 2;
const ELEMENT: i16 = 3;

/// Values of one physical type.
enum Values {
    Bool(Vec<bool>),
    Int32(Vec<i32>),
    Int64(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<f64>),
    Bytes(Vec<ByteArray>),
    Fixed(Vec<FixedLenByteArray>),
}

impl Values {
    fn of(form: Form) -> Values {
        match form.physical() {
            Physical::BOOLEAN => Values::Bool(Vec::new()),
            Physical::INT32 => Values::Int32(Vec::new()),
            Physical::INT64 | Physical::INT96 => Values::Int64(Vec::new()),
            Physical::FLOAT => Values::Float(Vec::new()),
            Physical::DOUBLE => Values::Double(Vec::new()),
            Physical::BYTE_ARRAY => Values::Bytes(Vec::new()),
            Physical::FIXED_LEN_BYTE_ARRAY => Values::Fixed(Vec::new()),
        }
    }

    fn clear(&mut self) {
        match self {
            Values::Bool(v) => v.clear(),
            Values::Int32(v) => v.clear(),
            Values::Int64(v) => v.clear(),
            Values::Float(v) => v.clear(),
            Values::Double(v) => v.clear(),
            Values::Bytes(v) => v.clear(),
            Values::Fixed(v) => v.clear(),
        }
    }

    /// Stores an integer, whose physical type is wide enough: the upper half of an unsigned type turns negative, as Parquet
    /// has it.
    #[allow(clippy::cast_possible_truncation)] // The range was looked at before.
    fn int(&mut self, number: i128, bytes: impl FnOnce(i128) -> Vec<u8>) {
        match self {
            Values::Int32(v) => v.push(number as i32),
            Values::Int64(v) => v.push(number as i64),
            Values::Fixed(v) => v.push(FixedLenByteArray::from(bytes(number))),
            _ => unreachable!("integers have three physical types"),
        }
    }
}

/// What became of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// Its value says it all.
    Whole,
    /// Its value says less than the cell did.
    Less,
}

/// One column being collected.
pub(super) struct Buffer {
    form: Form,
    is_list: bool,
    is_required: bool,
    values: Values,
    definitions: Vec<i16>,
    repetitions: Vec<i16>,
}

impl Buffer {
    pub(super) fn new(field: &Field) -> Buffer {
        Buffer {
            form: field.form,
            is_list: field.is_list,
            is_required: field.is_required,
            values: Values::of(field.form),
            definitions: Vec::new(),
            repetitions: Vec::new(),
        }
    }

    /// Adds a cell.
    ///
    /// # Errors
    /// Why a column of this form cannot hold it. The buffer is of no use then.
    pub(super) fn push(&mut self, cell: &Cell<'_>) -> Result<Held, &'static str> {
        match (self.is_list, cell) {
            (false, cell) => {
                let (held, is_there) = self.value(cell)?;
                if !self.is_required {
                    self.definitions.push(i16::from(is_there));
                }
                Ok(held)
            }
            (true, Cell::Null) => Ok(self.list_of_none(LIST_NULL)),
            (true, Cell::Array(cells)) if cells.is_empty() => Ok(self.list_of_none(LIST_EMPTY)),
            (true, Cell::Array(cells)) => {
                let mut held = Held::Whole;
                for (nth, cell) in cells.iter().enumerate() {
                    let (of_cell, is_there) = self.value(cell)?;
                    if of_cell == Held::Less {
                        held = Held::Less;
                    }
                    self.definitions
                        .push(if is_there { ELEMENT } else { ELEMENT_NULL });
                    self.repetitions.push(i16::from(nth > 0));
                }
                Ok(held)
            }
            (true, Cell::Unchanged) => Err(UNKNOWN),
            (true, _) => Err("the value is no array"),
        }
    }

    fn list_of_none(&mut self, level: i16) -> Held {
        self.definitions.push(level);
        self.repetitions.push(0);
        Held::Whole
    }

    /// Adds a value, unless there is none to add.
    fn value(&mut self, cell: &Cell<'_>) -> Result<(Held, bool), &'static str> {
        let whole = Ok((Held::Whole, true));
        match (self.form, cell, &mut self.values) {
            (_, Cell::Unchanged, _) => return Err(UNKNOWN),
            (_, Cell::Null, _) if self.is_required => return Err("NULL stands where a value must"),
            (_, Cell::Null, _) => return Ok((Held::Whole, false)),
            (Form::Bool, Cell::Bool(b), Values::Bool(v)) => v.push(*b),
            (Form::Int { bits, unsigned }, Cell::Int(i), values) => {
                let (least, greatest) = ColumnType::int_range(bits, unsigned);
                if !(least..=greatest).contains(i) {
                    return Err("the integer is out of the column's range");
                }
                values.int(*i, |_| Vec::new());
            }
            (Form::Float64, Cell::Float(f), Values::Double(v)) => v.push(*f),
            (Form::Float32, Cell::Float(f), Values::Float(v)) => return Ok((single(v, *f), true)),
            (Form::Decimal { .. }, Cell::Numeric(text), _) => return Ok(self.decimal(text)),
            (Form::Date, Cell::Date(d), Values::Int32(v)) => v.push(*d),
            (Form::Time, Cell::Time(t), Values::Int64(v))
            | (Form::Timestamp, Cell::Timestamp(t), Values::Int64(v))
            | (Form::TimestampTz, Cell::TimestampTz(t), Values::Int64(v)) => v.push(*t),
            (Form::Uuid, Cell::Uuid(u), Values::Fixed(v)) => {
                v.push(u.to_be_bytes().to_vec().into())
            }
            (Form::Numeric, Cell::Numeric(t), Values::Bytes(v))
            | (Form::Text, Cell::Text(t), Values::Bytes(v))
            | (Form::Json, Cell::Json(t), Values::Bytes(v)) => v.push(t.as_bytes().to_vec().into()),
            (Form::Bytes, Cell::Bytes(b), Values::Bytes(v)) => v.push(b.to_vec().into()),
            _ => return Err("the value is of another kind than the column"),
        }
        whole
    }

    fn decimal(&mut self, text: &str) -> (Held, bool) {
        let Form::Decimal { precision, scale } = self.form else {
            unreachable!("asked for decimals only");
        };
        let Some(number) = decimal::whole(text, precision, scale) else {
            return (Held::Less, false);
        };
        self.values
            .int(number, |number| decimal::to_bytes(number, precision));
        match decimal::text(number, scale) == text {
            true => (Held::Whole, true),
            false => (Held::Less, true),
        }
    }

    /// Writes what was collected, and is empty again.
    pub(super) fn write(
        &mut self,
        out: &mut SerializedColumnWriter<'_>,
    ) -> Result<(), ParquetError> {
        let definitions = (!self.is_required).then_some(self.definitions.as_slice());
        let repetitions = self.is_list.then_some(self.repetitions.as_slice());
        match &self.values {
            Values::Bool(v) => out
                .typed::<BoolType>()
                .write_batch(v, definitions, repetitions)?,
            Values::Int32(v) => {
                out.typed::<Int32Type>()
                    .write_batch(v, definitions, repetitions)?
            }
            Values::Int64(v) => {
                out.typed::<Int64Type>()
                    .write_batch(v, definitions, repetitions)?
            }
            Values::Float(v) => {
                out.typed::<FloatType>()
                    .write_batch(v, definitions, repetitions)?
            }
            Values::Double(v) => {
                out.typed::<DoubleType>()
                    .write_batch(v, definitions, repetitions)?
            }
            Values::Bytes(v) => {
                out.typed::<ByteArrayType>()
                    .write_batch(v, definitions, repetitions)?
            }
            Values::Fixed(v) => {
                out.typed::<FixedLenByteArrayType>()
                    .write_batch(v, definitions, repetitions)?
            }
        };
        self.values.clear();
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

const UNKNOWN: &str = "the log left the value out, and it was not filled in";

fn single(values: &mut Vec<f32>, number: f64) -> Held {
    #[allow(clippy::cast_possible_truncation)] // What is lost is found right after.
    let near = number as f32;
    values.push(near);
    match number.is_nan() || f64::from(near).to_bits() == number.to_bits() {
        true => Held::Whole,
        false => Held::Less,
    }
}

/// Reads a column of `rows` rows.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(
    field: &Field,
    reader: ColumnReader,
    rows: usize,
) -> Result<Vec<Cell<'static>>, String> {
    let form = field.form;
    match reader {
        ColumnReader::BoolColumnReader(r) => cells(field, r, rows, |b| Some(Cell::Bool(b))),
        ColumnReader::Int32ColumnReader(r) => cells(field, r, rows, |n| of_int32(form, n)),
        ColumnReader::Int64ColumnReader(r) => cells(field, r, rows, |n| of_int64(form, n)),
        ColumnReader::FloatColumnReader(r) => {
            cells(field, r, rows, |f| Some(Cell::Float(f.into())))
        }
        ColumnReader::DoubleColumnReader(r) => cells(field, r, rows, |f| Some(Cell::Float(f))),
        ColumnReader::ByteArrayColumnReader(r) => {
            cells(field, r, rows, |b| of_bytes(form, b.data()))
        }
        ColumnReader::FixedLenByteArrayColumnReader(r) => {
            cells(field, r, rows, |b| of_bytes(form, b.data()))
        }
        ColumnReader::Int96ColumnReader(_) => Err("it has a type that no snapshot has".to_owned()),
    }
}

#[allow(clippy::cast_sign_loss)] // As it was written: an unsigned type's upper half is negative.
fn of_int32(form: Form, number: i32) -> Option<Cell<'static>> {
    Some(match form {
        Form::Int { unsigned: true, .. } => Cell::Int((number as u32).into()),
        Form::Int { .. } => Cell::Int(number.into()),
        Form::Date => Cell::Date(number),
        Form::Decimal { scale, .. } => Cell::Numeric(decimal::text(number.into(), scale).into()),
        _ => return None,
    })
}

#[allow(clippy::cast_sign_loss)] // As it was written: an unsigned type's upper half is negative.
fn of_int64(form: Form, number: i64) -> Option<Cell<'static>> {
    Some(match form {
        Form::Int { unsigned: true, .. } => Cell::Int((number as u64).into()),
        Form::Int { .. } => Cell::Int(number.into()),
        Form::Time => Cell::Time(number),
        Form::Timestamp => Cell::Timestamp(number),
        Form::TimestampTz => Cell::TimestampTz(number),
        Form::Decimal { scale, .. } => Cell::Numeric(decimal::text(number.into(), scale).into()),
        _ => return None,
    })
}

fn of_bytes(form: Form, bytes: &[u8]) -> Option<Cell<'static>> {
    let text = || String::from_utf8(bytes.to_vec()).ok();
    Some(match form {
        Form::Text => Cell::Text(text()?.into()),
        Form::Json => Cell::Json(text()?.into()),
        Form::Numeric => Cell::Numeric(text()?.into()),
        Form::Bytes => Cell::Bytes(bytes.to_vec().into()),
        Form::Uuid => Cell::Uuid(u128::from_be_bytes(bytes.try_into().ok()?)),
        Form::Decimal { scale, .. } => {
            Cell::Numeric(decimal::text(decimal::from_bytes(bytes)?, scale).into())
        }
        _ => return None,
    })
}

/// Reads values and levels, and puts them together.
fn cells<T: DataType>(
    field: &Field,
    mut reader: ColumnReaderImpl<T>,
    rows: usize,
    cell: impl Fn(T::T) -> Option<Cell<'static>>,
) -> Result<Vec<Cell<'static>>, String> {
    let (mut values, mut definitions, mut repetitions) = (Vec::new(), Vec::new(), Vec::new());
    let read = reader
        .read_records(
            rows,
            (!field.is_required).then_some(&mut definitions),
            field.is_list.then_some(&mut repetitions),
            &mut values,
        )
        .map_err(|e| e.to_string())?;
    if read.0 != rows {
        return Err(format!(
            "column {} has {} values instead of {rows}",
            field.name, read.0
        ));
    }
    let strange = || format!("column {} has a value that its type does not", field.name);
    let mut values = values.into_iter().map(|v| cell(v).ok_or_else(strange));
    let mut next = || values.next().unwrap_or_else(|| Err(strange()));
    if field.is_required {
        return (0..rows).map(|_| next()).collect();
    }
    if !field.is_list {
        let each = definitions
            .into_iter()
            .map(|d| if d == 0 { Ok(Cell::Null) } else { next() });
        return each.collect();
    }
    let mut lists: Vec<Cell<'static>> = Vec::with_capacity(rows);
    for (definition, repetition) in definitions.into_iter().zip(repetitions) {
        let element = match definition {
            LIST_NULL | LIST_EMPTY => None,
            ELEMENT_NULL => Some(Cell::Null),
            _ => Some(next()?),
        };
        match (repetition, lists.last_mut()) {
            (0, _) if definition == LIST_NULL => lists.push(Cell::Null),
            (0, _) => lists.push(Cell::Array(element.into_iter().collect())),
            (_, Some(Cell::Array(list))) => list.extend(element),
            _ => return Err(strange()),
        }
    }
    Ok(lists)
}
