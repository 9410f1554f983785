//! What a request changes is noted in the transaction of the change. The key check opens a note for each request that may change
//! something, `database::commit` writes it with the first thing that is committed, and a handler cannot forget it.
//! A request that commits nothing has changed nothing and leaves no row.

use std::sync::Mutex;

use serde_json::Value;
use spool_db::audit::Change;

tokio::task_local! {
    /// Of the request that this task answers, until it is written.
    static OPEN: Mutex<Option<Change>>;
}

/// Answers a request whose first commit notes this change.
pub async fn noting<F: Future>(change: Change, request: F) -> F::Output {
    OPEN.scope(Mutex::new(Some(change)), request).await
}

/// Adds to the note what the path does not tell: the id of what is made, or the names of what is changed. To be called before the
/// commit, and never with a value that a caller sent.
pub fn about(name: &str, value: impl Into<Value>) {
    with_open(|open| *open = open.take().map(|change| change.about(name, value)));
}

/// The note of this request, if it is not written yet.
pub(crate) fn take() -> Option<Change> {
    with_open(Option::take).flatten()
}

/// `None` outside of a request that may change something.
fn with_open<T>(act: impl FnOnce(&mut Option<Change>) -> T) -> Option<T> {
    // Nothing panics while it is held.
    OPEN.try_with(|open| open.lock().ok().map(|mut open| act(&mut open))).ok().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_note_is_written_once_and_only_inside() {
        about("client", "x");
        assert_eq!(take(), None);
        let change = Change {
            key_id: "k".to_owned(),
            client_id: None,
            request_id: "r".to_owned(),
            method: "POST".to_owned(),
            route: "/a/{id}".to_owned(),
            path: "/a/1".to_owned(),
            about: json!({}),
        };
        noting(change, async {
            about("client", "x");
            about("changed", json!(["name"]));
            assert_eq!(take().expect("open").about, json!({"client": "x", "changed": ["name"]}));
            about("late", "y");
            assert_eq!(take(), None);
        })
        .await;
    }
}
