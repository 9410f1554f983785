//! All dashboards, one file each.

mod api;
mod job;
mod money;
mod overview;
mod providers;
mod queue;
mod workers;

use crate::panel::Dashboard;

/// In the order in which they are listed.
pub(crate) fn all() -> Vec<Dashboard> {
    vec![
        overview::board(),
        queue::board(),
        providers::board(),
        money::board(),
        api::board(),
        workers::board(),
        job::board(),
    ]
}
