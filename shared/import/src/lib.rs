//! The databases of the older systems (SQLite files of two programs and several generations), read column by column and brought
//! over: rows into our tables with the ids and times they had, media into the store, and whatever has no place into the register
//! beside them. The file is only read.
//!
//! A run can be killed and begun again: a row is registered in the transaction that writes it, and is passed over from then on.

mod attach;
mod batch;
pub mod error;
mod files;
mod keep;
mod map;
mod numbers;
mod owners;
mod plan;
pub mod report;
mod run;
mod source;
mod tally;
mod verify;

pub use run::{Import, Watch, run};
pub use source::open::Source;
// What a caller needs to say where media go and what may be fetched.
pub use source::system::System;
pub use spool_media::store::{MediaStore, StoreError};
pub use spool_provider::guard::FetchPolicy;
