//! `spool` as it is typed.

mod doctor;
mod import;
mod money;
mod throwaway;
