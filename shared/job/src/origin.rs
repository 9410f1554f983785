//! The request that something is done for: what joins the log lines and the spans of all processes that have a part in it.

use serde::{Deserialize, Serialize};

/// A request, as tasks and jobs remember it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its id, as its answer carried it.
    pub request_id: String,
    /// The span under which the work for it belongs, as a W3C `traceparent`; none where traces are off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_parent: Option<String>,
}

impl Origin {
    /// The trace, as people and collectors name it.
    pub fn trace_id(&self) -> Option<&str> {
        self.trace_parent.as_deref()?.split('-').nth(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tasks::{Concerns, JobTask};

    #[test]
    fn payloads_of_older_programs_have_none_and_ours_are_small() {
        let older: JobTask = serde_json::from_str(r#"{"job_id": 7}"#).unwrap();
        assert_eq!((older.job_id(), older.origin()), (Some(7), None));
        let origin = Origin { request_id: "r".to_owned(), trace_parent: None };
        assert_eq!(origin.trace_id(), None);
        let traced = Origin { trace_parent: Some("00-abc-def-01".to_owned()), ..origin.clone() };
        assert_eq!(traced.trace_id(), Some("abc"));
        let text = serde_json::to_string(&JobTask { job_id: 7, origin: Some(origin.clone()) }).unwrap();
        assert_eq!(text, r#"{"job_id":7,"origin":{"request_id":"r"}}"#);
        assert_eq!(serde_json::from_str::<JobTask>(&text).unwrap().origin(), Some(&origin));
    }
}
