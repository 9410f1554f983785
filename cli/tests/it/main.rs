//! `spool` as it is typed.

mod doctor;
mod import;
mod import_progress;
mod import_scenes;
mod money;
mod throwaway;
