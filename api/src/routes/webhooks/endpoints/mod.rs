//! `/webhooks/endpoints`.

pub mod body;
pub mod create;
pub mod list;
pub mod ping;
pub mod remove;
pub mod resend;
pub mod rotate;
pub mod show;
pub mod update;
