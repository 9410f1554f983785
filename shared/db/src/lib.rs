//! All SQL on our own tables: jobs, scenes, assets, predictions, ledger, limits, keys.
//!
//! Every function takes the caller's connection and neither begins nor commits: the caller owns the
//! transaction. Locks are taken in one order everywhere: job, scenes, predictions,
//! budgets, ledger, limits, tasks.

pub mod assets;
pub mod budgets;
pub mod campaigns;
pub mod cancellation;
pub mod clients;
pub mod custody;
pub mod error;
pub mod events;
pub mod explain;
pub mod import;
pub mod jobs;
pub mod keys;
pub mod learned;
pub mod ledger;
pub mod limits;
pub mod media;
pub mod orphans;
pub mod pool;
pub mod predictions;
pub mod progress;
pub mod revisions;
pub mod scenes;
pub mod schema;
pub mod spend;
mod spend_stop;
pub mod waste;
pub mod webhooks;
