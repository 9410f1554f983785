//! The worker: claims tasks from the queue, runs the step each of them names, records what came of it.
//!
//! Read `purchase/mod.rs` for how money is spent once, `steps/` for what is done, and
//! `crash.rs` for the places where tests kill it.

pub mod config;
mod context;
mod crash;
mod custody;
mod health;
mod limits;
mod links;
mod meter;
mod offers;
mod orphan_sweep;
mod purchase;
pub mod run;
mod steps;

/// Prints every crash point's name, one a line.
#[cfg(feature = "crash-points")]
#[expect(clippy::print_stdout, reason = "asked for on the command line")]
pub fn print_crash_points() {
    for point in crash::CrashPoint::ALL {
        println!("{point:?}");
    }
}
