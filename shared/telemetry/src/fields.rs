//! The dictionary of log fields: every name that a log line may carry, with what it means. `tests/it/dictionary.rs` reads this file
//! and fails on a name in a log macro that does not stand here, so that one thing has one name in all programs.

/// A name that log lines use.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// As it stands in the line.
    pub name: &'static str,
    /// What it says, in one sentence.
    pub meaning: &'static str,
}

const fn field(name: &'static str, meaning: &'static str) -> Field {
    Field { name, meaning }
}

/// All of them. Texts pass [`crate::redact`] before they are written, whatever their name.
pub const ALL: &[Field] = &[
    // What a line is about.
    field("request_id", "Id of the HTTP request, also of the one that a task was enqueued for."),
    field("trace_id", "The trace, where traces are on."),
    field("job_id", "The job."),
    field("task_id", "The task in the queue."),
    field("attempt", "Which attempt of the task; runs that only waited do not count."),
    field("kind", "Kind of the task, or of the thing."),
    field("lease_token", "The claim: the fence of the run."),
    field("worker", "Name of the worker process."),
    field("worker_id", "Number of the worker process."),
    field("prediction_id", "Our id of a paid call."),
    field("external_id", "The provider's id of a paid call."),
    field("reused_from", "The paid call whose output is used again."),
    field("scene_id", "The scene."),
    field("campaign_id", "The campaign."),
    field("client_id", "The client."),
    field("endpoint_id", "An endpoint that webhooks go to."),
    field("key_id", "The part of an API key that may be shown."),
    field("by", "Who did it: the id of a key, or an account."),
    field("provider", "Who runs the model."),
    field("model", "The model."),
    field("schedule", "The schedule."),
    field("invariant", "What must always hold."),
    field("examples", "The first rows of which it does not."),
    field("part", "A part of the figures of the database."),
    field("partition", "A partition of the history."),
    field("digest", "SHA-256 of a stored file."),
    field("service", "A part of `spool dev`."),
    field("program", "A program that was started."),
    field("pid", "A process."),
    field("crash_point", "A place where tests kill a worker."),
    // What happened.
    field("outcome", "How it ended, in one word."),
    field("duration_ms", "How long it took, in milliseconds."),
    field("queue_wait_ms", "How long the task was ready before it was claimed, in milliseconds."),
    field("error", "What went wrong, causes included."),
    field("error.class", "What went wrong, in one word to group by."),
    field("why", "A reason, for people."),
    field("state", "Where it stands."),
    field("operation", "What was being done."),
    field("location", "Where in the code."),
    // HTTP.
    field("method", "The request's method."),
    field("route", "The route's pattern."),
    field("path", "The request's path, without what follows a question mark."),
    field("status", "Status of the answer, or of a process."),
    // Money.
    field("cost_micros", "What it cost, in micro-dollars."),
    field("estimate_micros", "What was held for it, in micro-dollars."),
    field("list_micros", "Its list price, in micro-dollars."),
    field("buys_micros", "What it may buy, in micro-dollars."),
    field("permille", "By how much it is off, in thousandths."),
    // Numbers and settings.
    field("count", "How many."),
    field("bytes", "How large."),
    field("seconds", "How long, in seconds."),
    field("version", "Version of a payload."),
    field("revision", "Revision of the job."),
    field("planned_at", "When it was planned for."),
    field("signal", "A signal of the operating system."),
    field("address", "An address that is listened on."),
    field("cdn_address", "The address of the simulator's CDN."),
    field("file", "A file or a folder."),
    field("place", "What lies on a disk."),
    field("filter", "Which log lines are written."),
    // How films are joined.
    field("args", "Arguments of FFmpeg."),
    field("copied", "Clips that were copied."),
    field("normalised", "Clips that were made anew."),
    field("form", "Form of a joined film."),
    field("made", "Length of a joined film."),
    field("wanted", "Length that it should have."),
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn each_name_stands_once_and_has_a_meaning() {
        for (position, field) in ALL.iter().enumerate() {
            assert!(ALL[position + 1..].iter().all(|other| other.name != field.name), "{}", field.name);
            assert!(field.meaning.ends_with('.'), "{}", field.name);
            let plain = |c: char| c.is_ascii_lowercase() || matches!(c, '_' | '.');
            assert!(field.name.chars().all(plain), "{}", field.name);
        }
    }
}
