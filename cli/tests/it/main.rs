//! `spool` as it is typed.

mod throwaway;
