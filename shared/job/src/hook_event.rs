//! What callers can be told of by webhook.

use crate::state::text_enum;

text_enum! {
    /// A kind of event; its name is the `type` of the message.
    HookEvent {
        /// A job was asked for; its storyboard can be looked at.
        JobCreated = "job.created",
        /// Somebody said yes.
        JobApproved = "job.approved",
        /// Another stage has begun.
        JobProgress = "job.progress",
        /// The video is there.
        JobCompleted = "job.completed",
        /// It ended without one.
        JobFailed = "job.failed",
        /// It was called off.
        JobCanceled = "job.canceled",
        /// A job that had ended is worked on again, or waits for another approval.
        JobReopened = "job.reopened",
        /// Somebody tries whether an endpoint can be reached.
        Ping = "webhook.ping",
    }
}

impl HookEvent {
    /// Whether an endpoint can ask for it: a ping comes only when it is asked for.
    pub const fn can_be_chosen(self) -> bool {
        !matches!(self, Self::Ping)
    }
}
