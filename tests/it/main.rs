//! The whole system, from outside.

mod budget;
mod crash_sweep;
mod outages;
mod replicate_clients;
mod supervisor;
mod the_film;
mod tidy;
