//! How a field is read when it may hold anything: the value, or nothing, but never an error. Only a list that is far too long
//! is one.

mod list;
mod quantity;
mod scalar;

pub(super) use list::{DEVICES, FEW, List, Object, devices, object, places, rows};
pub(super) use quantity::*;
pub use scalar::Stamp;
pub(super) use scalar::{flag, number, serial, stamp, text, whole};
