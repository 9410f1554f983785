//! `/webhooks/deliveries`.

pub mod body;
pub mod list;
pub mod resend;
pub mod show;
