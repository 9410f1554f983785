//! `spool doctor` on a running system, as an operator runs it.

use crate::system::{System, command, program};
use serde_json::Value;

/// What it says and what it ends with.
#[derive(Debug)]
pub struct Diagnosis {
    /// Its exit code.
    pub code: i32,
    /// All findings.
    pub findings: Vec<Value>,
}

impl Diagnosis {
    /// Findings that are worse than a note.
    pub fn complaints(&self) -> Vec<&Value> {
        let is_bad = |finding: &&Value| matches!(finding["severity"].as_str(), Some("warning" | "error"));
        self.findings.iter().filter(is_bad).collect()
    }

    /// What a check has found.
    pub fn of(&self, check: &str) -> Vec<&Value> {
        self.findings.iter().filter(|finding| finding["check"] == check).collect()
    }
}

impl System {
    /// Runs it with more arguments.
    pub async fn doctor(&self, arguments: &[&str]) -> Diagnosis {
        let output = command(program("spool"))
            .args(["doctor", "--json"])
            .args(arguments)
            .env("DATABASE_URL", &self.ready.database_url)
            .env("SPOOL_MEDIA_URL", self.dir.path().join("media"))
            .output()
            .await
            .expect("spool doctor runs");
        let said = String::from_utf8_lossy(&output.stdout);
        let report: Value = serde_json::from_str(&said)
            .unwrap_or_else(|error| panic!("{error} in {said}: {}", String::from_utf8_lossy(&output.stderr)));
        let findings = report["findings"].as_array().expect("a list").clone();
        Diagnosis { code: output.status.code().expect("an exit code"), findings }
    }

    /// Everything that must always hold of tasks, jobs and money does.
    pub async fn invariants_hold(&self) {
        let diagnosis = self.doctor(&[]).await;
        let found = diagnosis.of("invariants");
        assert!(found.len() == 1 && found[0]["severity"] == "ok", "{found:#?}");
    }
}
