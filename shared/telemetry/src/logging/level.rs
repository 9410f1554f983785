//! Which lines are written: `RUST_LOG` at start, and what an operator says while the process runs.

use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::each_time::EachTime;
use tokio_util::sync::CancellationToken;
use tracing::{Level, Metadata};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, ParseError, filter_fn};
use tracing_subscriber::layer::Filter;
use tracing_subscriber::registry::Registry;
use tracing_subscriber::reload::{self, Handle};

/// What passes when `RUST_LOG` is not set: our own events, and only the troubles of the libraries.
const USUAL: &str = "info,sqlx=warn,hyper=warn,hyper_util=warn,reqwest=warn,tower_http=warn,h2=warn";
/// Longest filter that is taken.
const LONGEST: usize = 500;
/// How soon a process follows an operator's word.
const LOOK: Duration = Duration::from_secs(5);

/// Of this process, once its subscriber is installed.
static SWITCH: Mutex<Option<Switch>> = Mutex::new(None);

pub(super) struct Switch {
    handle: Handle<EnvFilter, Registry>,
    at_start: String,
    now: String,
}

/// A filter that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum BadFilter {
    /// Its parts make no sense.
    #[error("it is no list of levels and target=level: {0}")]
    Unreadable(#[from] ParseError),
    /// Nobody writes one by hand that is so long.
    #[error("it has more than {LONGEST} characters")]
    TooLong,
    /// Such a filter keeps the values that it compares, which may be anything.
    #[error("it filters by fields; give levels, such as info,spool_worker=debug")]
    OfFields,
}

/// Whether a filter can be.
pub fn check(filter: &str) -> Result<(), BadFilter> {
    read(filter).map(drop)
}

fn read(filter: &str) -> Result<EnvFilter, BadFilter> {
    if filter.len() > LONGEST {
        return Err(BadFilter::TooLong);
    }
    if filter.contains(['[', '{']) {
        return Err(BadFilter::OfFields);
    }
    Ok(EnvFilter::try_new(filter)?)
}

/// The filter to begin with, what changes it later, and what is wrong with `RUST_LOG`.
pub(super) fn at_start() -> (impl Filter<Registry> + Send + Sync, Switch, Option<BadFilter>) {
    let given = std::env::var(EnvFilter::DEFAULT_ENV).ok().filter(|given| !given.trim().is_empty());
    let (filter, text, bad) = match given.map(|given| (read(&given), given)) {
        Some((Ok(filter), given)) => (filter, given, None),
        Some((Err(error), _)) => (EnvFilter::new(USUAL), USUAL.to_owned(), Some(error)),
        None => (EnvFilter::new(USUAL), USUAL.to_owned(), None),
    };
    let (filter, handle) = reload::Layer::new(filter);
    let switch = Switch { handle, at_start: text.clone(), now: text };
    (EachTime(filter.and(filter_fn(is_for_readers))), switch, bad)
}

/// What a library says at its lowest level may be what goes over the wire: that is never written.
fn is_for_readers(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= Level::DEBUG || metadata.target().starts_with("spool")
}

pub(super) fn keep(switch: Switch) {
    *SWITCH.lock().unwrap_or_else(PoisonError::into_inner) = Some(switch);
}

/// Writes what this filter lets pass from now on; none: what the process started with. Says whether that is a change. A process
/// without a subscriber of ours changes nothing.
pub fn change(filter: Option<&str>) -> Result<bool, BadFilter> {
    let mut switch = SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(switch) = switch.as_mut() else { return Ok(false) };
    let wanted = filter.unwrap_or(&switch.at_start);
    if wanted == switch.now {
        return Ok(false);
    }
    let filter = read(wanted)?;
    // It fails when the subscriber is gone, with which this process ends.
    if switch.handle.reload(filter).is_ok() {
        switch.now = wanted.to_owned();
    }
    Ok(true)
}

/// Follows what `read` says until `stop`: a filter, or none for that of the start. Where it cannot say, all stays as it is.
pub async fn follow<F, E>(read: impl Fn() -> F, stop: CancellationToken)
where
    F: Future<Output = Result<Option<String>, E>>,
{
    loop {
        if let Ok(filter) = read().await {
            match change(filter.as_deref()) {
                Ok(true) => tracing::warn!(filter, "the log level is changed"),
                Ok(false) => {}
                Err(error) => tracing::warn!(%error, "the log level stays as it is"),
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_and_nothing_else() {
        for (filter, good) in [
            ("info", true),
            ("info,spool_worker=debug,sqlx=warn", true),
            ("off", true),
            ("info,[run{job_id=17}]=debug", false),
            ("spool_worker=loud", false),
            (&"x".repeat(501), false),
        ] {
            assert_eq!(check(filter).is_ok(), good, "{filter}");
        }
    }

    /// Keeps where the events that reach it come from.
    #[derive(Clone, Default)]
    struct Targets(std::sync::Arc<Mutex<Vec<String>>>);

    impl tracing_subscriber::Layer<Registry> for Targets {
        fn on_event(&self, event: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, Registry>) {
            self.0.lock().unwrap().push(event.metadata().target().to_owned());
        }
    }

    #[test]
    fn a_library_never_shows_what_goes_over_the_wire() {
        use tracing_subscriber::Layer;
        use tracing_subscriber::layer::SubscriberExt;
        let seen = Targets::default();
        let layer = seen.clone().with_filter(EachTime(filter_fn(is_for_readers)));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::trace!(target: "h2::codec", "bytes");
            tracing::debug!(target: "h2::codec", "a frame");
            tracing::trace!(target: "spool_queue", "ours");
        });
        assert_eq!(*seen.0.lock().unwrap(), ["h2::codec", "spool_queue"]);
    }
}
