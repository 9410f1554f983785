//! System tests: the real programs, started as a person would start them, watched from outside over
//! HTTP, the database and the simulator's ledger.

pub mod alertmanager;
pub mod armed;
pub mod books;
pub mod creates;
pub mod doctor;
pub mod film;
pub mod job;
pub mod logs;
pub mod otlp;
pub mod prometheus;
pub mod receiver;
pub mod scripts;
pub mod services;
pub mod system;
pub mod wait;
pub mod workers;
