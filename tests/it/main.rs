//! The whole system, from outside.

mod budget;
mod crash_sweep;
mod outages;
mod postgres_18;
mod replicate_clients;
mod retry;
mod supervisor;
mod the_film;
mod tidy;
