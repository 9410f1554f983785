//! All SQL on our own tables: jobs, scenes, assets, predictions, ledger, limits, keys.
//!
//! Every function takes the caller's connection and neither begins nor commits: the caller owns the
//! transaction. Locks are taken in one order everywhere: job, scenes, predictions,
//! budgets, ledger, limits, tasks.

pub mod asset_changes;
pub mod assets;
pub mod audit;
mod budget_change;
pub mod budgets;
pub mod campaigns;
pub mod cancellation;
pub mod checkup;
pub mod clients;
pub mod custody;
pub mod edit;
pub mod error;
pub mod events;
pub mod explain;
pub mod figures;
pub mod hooks;
pub mod idempotency;
pub mod import;
pub mod invariants;
pub mod job_creation;
pub mod job_deletion;
pub mod job_list;
pub mod job_mark;
pub mod job_times;
pub mod jobs;
pub mod keys;
pub mod learned;
pub mod ledger;
pub mod limits;
pub mod log_levels;
pub mod material;
pub mod media;
mod new_job;
pub mod origins;
pub mod orphans;
pub mod pool;
pub mod predictions;
pub mod progress;
pub mod revisions;
pub mod scenes;
pub mod schema;
pub mod signals;
pub mod soundtracks;
pub mod spend;
pub mod spend_order;
mod spend_stop;
mod spend_waits;
pub mod stats;
pub mod storage;
pub mod storyboard;
pub mod video_metrics;
pub mod waste;
pub mod waste_hours;
pub mod webhooks;
