//! Values in Avro's binary encoding, written as JSON on the way: nothing is built in between.

use std::fmt;

use super::avro::{Form, Type};
use super::write;

/// Values inside each other.
const DEPTH_MAX: usize = 100;
/// Elements that take no bytes, in all: nothing else would bound them.
const EMPTY_ELEMENTS_MAX: usize = 100_000;

/// What is wrong with a value, and in which field.
#[derive(Debug)]
pub(super) struct Fault {
    /// The fields from the innermost out.
    path: Vec<String>,
    problem: String,
}

impl Fault {
    fn new(problem: impl Into<String>) -> Fault {
        Fault {
            path: Vec::new(),
            problem: problem.into(),
        }
    }

    fn inside(mut self, field: &str) -> Fault {
        self.path.push(field.to_owned());
        self
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            let path: Vec<&str> = self.path.iter().rev().map(String::as_str).collect();
            write!(f, "field {}: ", path.join("."))?;
        }
        f.write_str(&self.problem)
    }
}

/// Where a value goes.
trait Out {
    fn raw(&mut self, json: &[u8]);
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>));
}

impl Out for Vec<u8> {
    fn raw(&mut self, json: &[u8]) {
        self.extend_from_slice(json);
    }
    fn write(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(self);
    }
}

/// Nowhere: the value is passed over.
struct Nowhere;

impl Out for Nowhere {
    fn raw(&mut self, _: &[u8]) {}
    fn write(&mut self, _: impl FnOnce(&mut Vec<u8>)) {}
}

/// The bytes of a value, from where they have not been read yet.
pub(super) struct Datum<'s, 'b> {
    types: &'s [Type],
    rest: &'b [u8],
    depth: usize,
    /// Elements that took no bytes.
    empty: usize,
}

impl<'s, 'b> Datum<'s, 'b> {
    pub(super) fn new(types: &'s [Type], bytes: &'b [u8]) -> Datum<'s, 'b> {
        Datum {
            types,
            rest: bytes,
            depth: 0,
            empty: 0,
        }
    }

    /// Reads all of the bytes as one value.
    pub(super) fn whole(&mut self, of: usize, out: &mut Vec<u8>) -> Result<(), Fault> {
        self.value(of, out)?;
        match self.rest.len() {
            0 => Ok(()),
            left => Err(Fault::new(format!(
                "{left} bytes are left behind its end; it was written with another schema"
            ))),
        }
    }

    fn value(&mut self, of: usize, out: &mut impl Out) -> Result<(), Fault> {
        let types = self.types;
        match &types[of].form {
            Form::Null => out.raw(b"null"),
            Form::Boolean => {
                let value = match self.take(1)? {
                    [0] => false,
                    [1] => true,
                    _ => return Err(Fault::new("a boolean that is neither 0 nor 1")),
                };
                out.write(|o| write::boolean(o, value));
            }
            Form::Int => {
                let value = i32::try_from(self.long()?);
                let value = value.map_err(|_| Fault::new("an int of more than 32 bits"))?;
                out.write(|o| write::integer(o, value.into()));
            }
            Form::Long => {
                let value = self.long()?;
                out.write(|o| write::integer(o, value));
            }
            Form::Float => {
                let value = f32::from_le_bytes(self.array()?);
                out.write(|o| write::single(o, value));
            }
            Form::Double => {
                let value = f64::from_le_bytes(self.array()?);
                out.write(|o| write::float(o, value));
            }
            Form::Bytes => {
                let value = self.counted()?;
                out.write(|o| write::bytes(o, value));
            }
            Form::Text => {
                let value = self.text()?;
                out.write(|o| write::text(o, value));
            }
            Form::Fixed(size) => {
                let value = self.take(*size)?;
                out.write(|o| write::bytes(o, value));
            }
            Form::Enum(symbols) => {
                let symbol = self.choice(symbols, "symbols")?;
                out.write(|o| write::text(o, symbol));
            }
            Form::Union(branches) => {
                let branch = *self.choice(branches, "branches")?;
                self.below(|datum| datum.value(branch, out))?;
            }
            Form::Array(items) => self.list(*items, out)?,
            Form::Map(values) => self.map(*values, out)?,
            Form::Record(fields) => {
                let mut before: &[u8] = b"{";
                for field in fields {
                    let read = self.below(|datum| {
                        if field.skipped {
                            return datum.value(field.of, &mut Nowhere);
                        }
                        out.raw(before);
                        out.raw(&field.key);
                        before = b",";
                        datum.value(field.of, out)
                    });
                    read.map_err(|fault| fault.inside(&field.name))?;
                }
                if before == b"{" {
                    out.raw(before);
                }
                out.raw(b"}");
            }
            Form::Open => return Err(Fault::new("a type that its schema does not define")),
        }
        Ok(())
    }

    fn below<R>(&mut self, read: impl FnOnce(&mut Self) -> Result<R, Fault>) -> Result<R, Fault> {
        if self.depth == DEPTH_MAX {
            return Err(Fault::new(format!(
                "more than {DEPTH_MAX} values stand inside each other"
            )));
        }
        self.depth += 1;
        let read = read(self);
        self.depth -= 1;
        read
    }

    fn list(&mut self, items: usize, out: &mut impl Out) -> Result<(), Fault> {
        out.raw(b"[");
        let mut first = true;
        while let Some(count) = self.block()? {
            for _ in 0..count {
                if !first {
                    out.raw(b",");
                }
                first = false;
                let before = self.rest.len();
                self.below(|datum| datum.value(items, out))?;
                self.empty += usize::from(self.rest.len() == before);
                if self.empty > EMPTY_ELEMENTS_MAX {
                    return Err(cut_off());
                }
            }
        }
        out.raw(b"]");
        Ok(())
    }

    fn map(&mut self, values: usize, out: &mut impl Out) -> Result<(), Fault> {
        out.raw(b"{");
        let mut first = true;
        while let Some(count) = self.block()? {
            for _ in 0..count {
                if !first {
                    out.raw(b",");
                }
                first = false;
                let key = self.text()?;
                out.write(|o| write::text(o, key));
                out.raw(b":");
                self.below(|datum| datum.value(values, out))?;
            }
        }
        out.raw(b"}");
        Ok(())
    }

    /// How many elements the next block holds; `None` behind the last.
    fn block(&mut self) -> Result<Option<i64>, Fault> {
        let mut count = self.long()?;
        if count == 0 {
            return Ok(None);
        }
        if count < 0 {
            // The size in bytes follows, for who passes over the block.
            self.long()?;
            count = count.checked_neg().unwrap_or(i64::MAX);
        }
        Ok(Some(count))
    }

    fn choice<'l, T>(&mut self, of: &'l [T], what: &str) -> Result<&'l T, Fault> {
        let at = self.long()?;
        let chosen = usize::try_from(at).ok().and_then(|at| of.get(at));
        chosen.ok_or_else(|| {
            let count = of.len();
            Fault::new(format!("chooses number {at} of {count} {what}"))
        })
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8], Fault> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or_else(cut_off)?;
        self.rest = rest;
        Ok(*taken)
    }

    fn counted(&mut self) -> Result<&'b [u8], Fault> {
        let count = self.long()?;
        let count = usize::try_from(count).map_err(|_| Fault::new("a negative length"))?;
        self.take(count)
    }

    fn text(&mut self) -> Result<&'b str, Fault> {
        let bytes = self.counted()?;
        std::str::from_utf8(bytes).map_err(|_| Fault::new("a text that is not in UTF-8"))
    }

    /// Seven bits a byte, the lowest first, the sign in the lowest bit of all.
    fn long(&mut self) -> Result<i64, Fault> {
        let mut value = 0u64;
        for (nth, byte) in self.rest.iter().enumerate().take(10) {
            value |= u64::from(byte & 0x7f) << (7 * nth);
            if nth == 9 && *byte > 1 {
                break;
            }
            if byte & 0x80 == 0 {
                self.rest = &self.rest[nth + 1..];
                return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
            }
        }
        if self.rest.len() < 10 {
            return Err(cut_off());
        }
        Err(Fault::new("a number of more than 64 bits"))
    }
}

fn cut_off() -> Fault {
    Fault::new("it is cut off")
}
