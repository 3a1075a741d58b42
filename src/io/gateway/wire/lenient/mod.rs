//! Lenient fields: they yield the value, or nothing if it is invalid, but no error. Only a list that is far too long is
//! an error.

mod list;
mod quantity;
mod scalar;

pub(super) use list::{DEVICES, FEW, List, Object, devices, object, positions, rows};
pub(super) use quantity::*;
pub use scalar::Stamp;
pub(super) use scalar::{flag, number, serial, stamp, text, whole};
