//! `spool` as it is typed.

mod doctor;
mod import;
mod throwaway;
