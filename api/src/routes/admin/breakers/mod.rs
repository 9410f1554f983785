//! `/admin/breakers`: what is left alone because it fails, and by an operator's hand.

pub mod body;
pub mod close;
pub mod list;
pub mod open;
