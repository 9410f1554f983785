//! What a check says: how bad it is, what it is, and what to do about it.

use serde::Serialize;
use serde_json::{Value, json};

use super::Findings;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// As it should be.
    Ok,
    /// Good to know.
    Note,
    /// Somebody should look at it, today.
    Warning,
    /// Something is broken, or will not work.
    Error,
}

impl Severity {
    const ALL: [Self; 4] = [Self::Ok, Self::Note, Self::Warning, Self::Error];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One sentence of what it is, and one of what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    pub(crate) what: String,
    pub(crate) todo: Option<String>,
    /// After this there is nothing more to look at.
    pub(crate) is_the_end: bool,
}

impl Finding {
    fn of(severity: Severity, what: impl Into<String>, todo: Option<String>) -> Self {
        Self { severity, what: what.into(), todo, is_the_end: false }
    }

    pub(crate) fn ok(what: impl Into<String>) -> Self {
        Self::of(Severity::Ok, what, None)
    }

    pub(crate) fn note(what: impl Into<String>) -> Self {
        Self::of(Severity::Note, what, None)
    }

    pub(crate) fn warning(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::of(Severity::Warning, what, Some(todo.into()))
    }

    pub(crate) fn error(what: impl Into<String>, todo: impl Into<String>) -> Self {
        Self::of(Severity::Error, what, Some(todo.into()))
    }

    /// A warning, or an error where it is bad.
    pub(crate) fn bad_if(is_bad: bool, what: impl Into<String>, todo: impl Into<String>) -> Self {
        if is_bad { Self::error(what, todo) } else { Self::warning(what, todo) }
    }
}

/// What of these was found, or, where it was nothing, that all is well.
pub(crate) fn or_ok(found: Vec<Finding>, well: impl FnOnce() -> String) -> Vec<Finding> {
    if found.is_empty() { vec![Finding::ok(well())] } else { found }
}

/// Everything that was found, in the order in which it was looked at.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: Vec<(&'static str, Finding)>,
    /// Something could not be looked at.
    is_blind: bool,
}

impl Report {
    /// Adds what a check has found, or that it could not look.
    pub(crate) fn add(&mut self, check: &'static str, found: Findings) {
        match found {
            Ok(found) => self.findings.extend(found.into_iter().map(|finding| (check, finding))),
            Err(trouble) => {
                self.is_blind = true;
                let what = format!("could not be looked at: {}", crate::told(&*trouble));
                let todo =
                    "see to that and run `spool doctor` again; a timeout says that the database is busy";
                self.findings.push((check, Finding::warning(what, todo)));
            }
        }
    }

    pub(crate) fn findings(&self) -> impl Iterator<Item = (&'static str, &Finding)> {
        self.findings.iter().map(|(check, finding)| (*check, finding))
    }

    pub(crate) fn count(&self, severity: Severity) -> usize {
        self.findings.iter().filter(|(_, finding)| finding.severity == severity).count()
    }

    /// 0: nothing is wrong; 1: something is; 2: something could not be looked at, and the rest is well.
    pub(crate) fn exit_code(&self, strict: bool) -> u8 {
        let bad = if strict { Severity::Warning } else { Severity::Error };
        if self.findings.iter().any(|(_, finding)| finding.severity >= bad && !self.is_only_blind(finding)) {
            1
        } else if self.is_blind {
            2
        } else {
            0
        }
    }

    fn is_only_blind(&self, finding: &Finding) -> bool {
        self.is_blind && finding.what.starts_with("could not be looked at")
    }

    pub(crate) fn json(&self, strict: bool) -> Value {
        let findings: Vec<Value> = self
            .findings()
            .map(|(check, finding)| {
                let mut value = json!({"check": check, "severity": finding.severity, "what": finding.what});
                if let Some(todo) = &finding.todo {
                    value["do"] = json!(todo);
                }
                value
            })
            .collect();
        let counts: serde_json::Map<String, Value> = Severity::ALL
            .iter()
            .map(|severity| (severity.as_str().to_owned(), json!(self.count(*severity))))
            .collect();
        json!({"exit_code": self.exit_code(strict), "counts": counts, "findings": findings})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_says_the_worst() {
        let report = |found: Vec<Finding>, blind: bool| {
            let mut report = Report::default();
            report.add("some", Ok(found));
            if blind {
                report.add("other", Err("no answer".into()));
            }
            (report.exit_code(false), report.exit_code(true))
        };
        let (ok, note) = (Finding::ok("x"), Finding::note("x"));
        let (warning, error) = (Finding::warning("x", "y"), Finding::error("x", "y"));
        assert_eq!(report(vec![ok.clone(), note], false), (0, 0));
        assert_eq!(report(vec![ok.clone(), warning.clone()], false), (0, 1));
        assert_eq!(report(vec![warning.clone(), error.clone()], false), (1, 1));
        assert_eq!(report(vec![ok], true), (2, 2));
        assert_eq!(report(vec![warning], true), (2, 1));
        assert_eq!(report(vec![error], true), (1, 1));
    }
}
