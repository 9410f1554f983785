//! A filter that is asked for every line and every span.

use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Filter};

/// Filters of layers leave their answer in the thread, for the layer to find. Where all of them always say yes they are not asked, and the
/// layer finds the answer to some other question: sqlx asks one after each statement, and the next span had no fields (tokio-rs/tracing,
/// issue 2519). So this one never promises a yes.
pub(super) struct EachTime<F>(pub(super) F);

impl<S: Subscriber, F: Filter<S>> Filter<S> for EachTime<F> {
    fn enabled(&self, metadata: &Metadata<'_>, context: &Context<'_, S>) -> bool {
        self.0.enabled(metadata, context)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = self.0.callsite_enabled(metadata);
        if interest.is_always() { Interest::sometimes() } else { interest }
    }

    fn event_enabled(&self, event: &Event<'_>, context: &Context<'_, S>) -> bool {
        self.0.event_enabled(event, context)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::filter::LevelFilter;
    use tracing_subscriber::layer::SubscriberExt;
    use tracing_subscriber::{Layer, Registry};

    use super::*;

    /// Keeps the names of the spans that it is told of.
    #[derive(Clone, Default)]
    struct Names(Arc<Mutex<Vec<&'static str>>>);

    impl Layer<Registry> for Names {
        fn on_new_span(
            &self,
            attributes: &tracing::span::Attributes<'_>,
            _: &tracing::span::Id,
            _: Context<'_, Registry>,
        ) {
            self.0.lock().unwrap().push(attributes.metadata().name());
        }
    }

    #[test]
    fn a_span_is_seen_whatever_was_asked_before() {
        let other = tracing::subscriber::with_default(tracing_subscriber::registry(), || {
            tracing::trace_span!("never made").metadata()
        });
        let other = other.expect("everything is enabled there");
        let names = Names::default();
        let layer = names.clone().with_filter(EachTime(LevelFilter::INFO));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            for _ in 0..2 {
                // As log::log_enabled! does, without anything that follows.
                tracing::dispatcher::get_default(|dispatch| dispatch.enabled(other));
                let _span = tracing::error_span!("made");
            }
        });
        assert_eq!(*names.0.lock().unwrap(), ["made", "made"]);
    }
}
