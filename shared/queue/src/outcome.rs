//! How a run can end, as its handler says it.

use std::{error::Error, fmt, time::Duration};

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::error::BoxError;

/// The end of one run.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The task did what it was for; the value is kept as its output.
    Done(Value),
    /// The attempt failed. It is repeated while the policy has attempts left, else the task is dead.
    Retry {
        /// Instead of the policy's delay.
        after: Option<Duration>,
        /// A short word to group errors by.
        class: String,
        /// What happened, for people.
        error: String,
    },
    /// The task waits for something outside. No attempt is used, no worker is held.
    Park {
        /// When to look again, unless somebody wakes it.
        until: ParkUntil,
        /// What it waits for, for people.
        why: String,
    },
    /// The task is not wanted any more.
    Cancel {
        /// Why, for people.
        why: String,
    },
    /// The task can never succeed: it is dead at once.
    Fail {
        /// A short word to group errors by.
        class: String,
        /// What happened, for people.
        error: String,
    },
}

impl Outcome {
    /// Done, without output.
    pub const fn done() -> Self {
        Self::Done(Value::Null)
    }

    /// Parks for a while.
    pub fn park_in(delay: Duration, why: impl Into<String>) -> Self {
        Self::Park { until: ParkUntil::In(delay), why: why.into() }
    }

    /// Parks until a moment.
    pub fn park_at(at: DateTime<Utc>, why: impl Into<String>) -> Self {
        Self::Park { until: ParkUntil::At(at), why: why.into() }
    }
}

/// When a parked task is looked at again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkUntil {
    /// After this long, by the database's clock.
    In(Duration),
    /// At this moment.
    At(DateTime<Utc>),
}

/// What a handler returns when nothing went wrong.
#[derive(Debug)]
pub enum Done {
    /// The queue writes this outcome, in a batch with others.
    Outcome(Outcome),
    /// `Run::commit` has written it already; the queue writes nothing more.
    Committed(Committed),
}

/// Proof that an outcome was written in the handler's own transaction. Only `Run::commit` makes one.
#[derive(Debug)]
pub struct Committed(pub(crate) ());

impl Done {
    /// Done, without output.
    pub const fn nothing() -> Self {
        Self::Outcome(Outcome::done())
    }

    /// Done, with an output that is kept in the history.
    ///
    /// # Errors
    /// When the output cannot be written as JSON.
    pub fn output(output: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self::Outcome(Outcome::Done(serde_json::to_value(output)?)))
    }
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        Self::Outcome(outcome)
    }
}

/// Until a run that got no connection looks for one again: sooner it would only stand in the same crowd.
const NO_CONNECTION: Duration = Duration::from_secs(5);

/// What a handler returns when something went wrong. Made from any error by `?`: then it is a retry by the kind's policy. Only that a
/// connection pool of sqlx had none free in time, alone or as the source of the error, costs no attempt: the task is parked for five
/// seconds, since it is the worker that has too much to do, or Postgres that is away.
#[derive(Debug)]
pub struct Failure {
    pub(crate) class: String,
    pub(crate) error: String,
    pub(crate) how: How,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Retry(Option<Duration>),
    Park(Duration),
    Fail,
}

impl Failure {
    /// Retry by the policy, with a class of the caller's choice.
    pub fn retry(class: impl Into<String>, error: impl Into<BoxError>) -> Self {
        Self { class: class.into(), error: sentence(error.into().as_ref()), how: How::Retry(None) }
    }

    /// Retry after a delay of the caller's choice.
    pub fn retry_after(after: Duration, class: impl Into<String>, error: impl Into<BoxError>) -> Self {
        Self { how: How::Retry(Some(after)), ..Self::retry(class, error) }
    }

    /// Never try again.
    pub fn fail(class: impl Into<String>, error: impl Into<BoxError>) -> Self {
        Self { how: How::Fail, ..Self::retry(class, error) }
    }

    /// The word that errors are grouped by.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// What happened, causes included.
    pub fn error(&self) -> &str {
        &self.error
    }

    /// Whether it uses up an attempt; else the task is parked.
    pub fn costs_attempt(&self) -> bool {
        !matches!(self.how, How::Park(_))
    }

    /// Whether it is final.
    pub fn is_final(&self) -> bool {
        self.how == How::Fail
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.error)
    }
}

impl<E: Into<BoxError>> From<E> for Failure {
    fn from(error: E) -> Self {
        let error = error.into();
        let failure = Self { class: class_of::<E>(), error: sentence(error.as_ref()), how: How::Retry(None) };
        if no_connection(error.as_ref()) {
            Self { how: How::Park(NO_CONNECTION), ..failure }
        } else {
            failure
        }
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Self {
        let Failure { class, error, how } = failure;
        match how {
            How::Retry(after) => Self::Retry { after, class, error },
            How::Park(delay) => Self::park_in(delay, error),
            How::Fail => Self::Fail { class, error },
        }
    }
}

/// The last part of the type's name: `sqlx_core::error::Error` is `error::Error`, `FetchError` is `FetchError`.
fn class_of<E>() -> String {
    let name = std::any::type_name::<E>();
    let plain = name.split('<').next().unwrap_or(name);
    let mut parts = plain.rsplit("::");
    match (parts.next(), parts.next()) {
        (Some("Error"), Some(module)) => format!("{module}::Error"),
        (Some(last), _) => last.to_owned(),
        _ => "error".to_owned(),
    }
}

fn no_connection(error: &(dyn Error + 'static)) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.any(|cause| matches!(cause.downcast_ref(), Some(sqlx::Error::PoolTimedOut)))
}

fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn any_error_is_a_retry_that_names_its_causes() {
        fn fails() -> Result<(), Failure> {
            Err(Outer(std::io::Error::other("inner")))?;
            Ok(())
        }
        let failure = fails().unwrap_err();
        assert_eq!((failure.class(), failure.error(), failure.is_final()), ("Outer", "outer: inner", false));
        assert!(matches!(Outcome::from(failure), Outcome::Retry { after: None, .. }));
    }

    #[test]
    fn that_there_was_no_connection_costs_no_attempt() {
        #[derive(Debug, thiserror::Error)]
        #[error("could not read the task")]
        struct Read(#[source] sqlx::Error);
        for failure in
            [Failure::from(sqlx::Error::PoolTimedOut), Failure::from(Read(sqlx::Error::PoolTimedOut))]
        {
            assert!(!failure.costs_attempt());
            let why = failure.error().to_owned();
            assert_eq!(Outcome::from(failure), Outcome::park_in(NO_CONNECTION, why));
        }
        let failure = Failure::from(Read(sqlx::Error::PoolClosed));
        assert!(matches!(Outcome::from(failure), Outcome::Retry { after: None, .. }));
    }

    #[test]
    fn an_error_called_error_is_named_by_its_module() {
        let failure = Failure::from(std::io::Error::other("x"));
        assert_eq!(failure.class(), "error::Error");
    }

    #[test]
    fn a_final_failure_is_final() {
        assert!(matches!(Outcome::from(Failure::fail("rejected", "no")), Outcome::Fail { .. }));
    }
}
