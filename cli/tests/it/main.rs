//! `spool` as it is typed.

mod import;
mod throwaway;
