//! The worker: claims tasks from the queue, runs the step each of them names, records what came of it.
//!
//! Read `purchase/mod.rs` for how money is spent once, `steps/` for what is done, and
//! `crash.rs` for the places where tests kill it.

mod attempt;
pub mod config;
mod context;
mod crash;
mod health;
mod hooks;
mod limits;
mod links;
mod log_level;
mod meter;
mod offers;
mod origin;
mod purchase;
pub mod run;
mod steps;
mod sweeps;

/// Prints every crash point's name, one a line.
#[cfg(feature = "crash-points")]
#[expect(clippy::print_stdout, reason = "asked for on the command line")]
pub fn print_crash_points() {
    for point in crash::CrashPoint::ALL {
        println!("{point:?}");
    }
}
