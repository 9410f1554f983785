//! The whole system, from outside.

mod budget;
mod cancel;
mod crash_sweep;
mod explain;
mod limits;
mod custody;
mod doubt;
mod handover;
mod memo;
mod orphans;
mod outages;
mod postgres_18;
mod replicate_clients;
mod retry;
mod supervisor;
mod the_film;
mod tidy;
