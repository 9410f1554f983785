//! The whole list of addresses, by who may knock, and the layers around them.

use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::{Extension, Router, middleware};
use spool_media::key::Digest;
use spool_telemetry::metrics::Metrics;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt};
use utoipa_axum::routes;

use crate::layers::{api_key, edge, headers, link, panic};
use crate::limits::{FORM_SLACK_BYTES, MOST_JSON_BYTES, MOST_MEDIA_BYTES};
use crate::openapi::{self, Door};
use crate::openapi_examples;
use crate::routes::openapi::Document;
use crate::routes::{
    admin, assets, audio, campaigns, clients, content, docs, health, jobs, metrics, openapi as document,
    provider_media, provider_webhook, scenes, videos, webhooks,
};
use crate::state::AppState;

type Routes = OpenApiRouter<AppState>;

/// Anybody may call these.
fn open() -> Routes {
    Routes::default()
        .routes(routes!(health::healthz))
        .routes(routes!(health::readyz))
        .routes(routes!(metrics::metrics))
        .routes(routes!(document::json))
        .routes(routes!(document::plain))
        .routes(routes!(docs::page))
        .routes(routes!(docs::script))
        .routes(routes!(docs::style))
        .routes(routes!(provider_webhook::receive))
}

/// A key with `read` for GET and HEAD, with `write` for everything else.
fn keyed() -> Routes {
    Routes::default()
        .routes(routes!(clients::list::list, clients::create::create))
        .routes(routes!(
            clients::show::show,
            clients::update::patch,
            clients::update::put,
            clients::remove::remove
        ))
        .routes(routes!(clients::campaigns::list))
        .routes(routes!(clients::stats::show))
        .routes(routes!(campaigns::list::list, campaigns::create::create))
        .routes(routes!(
            campaigns::show::show,
            campaigns::update::patch,
            campaigns::update::put,
            campaigns::remove::remove
        ))
        .routes(routes!(campaigns::assets::list))
        .routes(routes!(campaigns::stats::show))
        .routes(routes!(campaigns::create_job::create_job))
        // Counted as it streams; a length that is announced too large is refused at once.
        .routes(routes!(assets::list::list, assets::upload::upload).layer::<_, Infallible>((
            DefaultBodyLimit::disable(),
            RequestBodyLimitLayer::new(MOST_MEDIA_BYTES as usize + FORM_SLACK_BYTES),
        )))
        .routes(routes!(assets::unified::create).layer::<_, Infallible>((
            DefaultBodyLimit::disable(),
            RequestBodyLimitLayer::new(MOST_MEDIA_BYTES as usize + FORM_SLACK_BYTES),
        )))
        .routes(routes!(assets::from_url::create))
        .routes(routes!(assets::from_urls::create))
        .routes(routes!(assets::show::show, assets::update::update, assets::remove::remove))
        .routes(routes!(jobs::from_image_pairs::create))
        .routes(routes!(jobs::from_property_photos::create))
        .routes(routes!(jobs::list::list))
        .routes(routes!(jobs::show::show, jobs::remove::remove))
        .routes(routes!(jobs::events::stream))
        .routes(routes!(jobs::actions::act))
        .routes(routes!(jobs::duplicate::duplicate))
        .routes(routes!(jobs::explain::explain))
        .routes(routes!(jobs::approve::approve))
        .routes(routes!(jobs::cancel::cancel))
        .routes(routes!(jobs::dry_run::dry_run))
        .routes(routes!(jobs::retry::retry_job))
        .routes(routes!(jobs::retry_many::retry_many))
        .routes(routes!(scenes::list::list))
        .routes(routes!(
            scenes::show::show,
            scenes::update::put,
            scenes::update::patch,
            scenes::remove::remove
        ))
        .routes(routes!(scenes::regenerate::regenerate))
        .routes(routes!(scenes::reorder::reorder))
        .routes(routes!(scenes::refine::refine))
        .routes(routes!(videos::gallery::generated))
        .routes(routes!(videos::gallery::ai_videos))
        .routes(routes!(videos::metrics::show, videos::metrics::report))
        .routes(routes!(webhooks::endpoints::list::list, webhooks::endpoints::create::create))
        .routes(routes!(
            webhooks::endpoints::show::show,
            webhooks::endpoints::update::update,
            webhooks::endpoints::remove::remove
        ))
        .routes(routes!(webhooks::endpoints::rotate::rotate))
        .routes(routes!(webhooks::endpoints::ping::ping))
        .routes(routes!(webhooks::endpoints::resend::resend))
        .routes(routes!(webhooks::deliveries::list::list))
        .routes(routes!(webhooks::deliveries::show::show))
        .routes(routes!(webhooks::deliveries::resend::resend))
        .routes(routes!(audio::generate::create))
        .routes(routes!(audio::status::show))
}

/// A key, or a signed link: `<img>` and `<video>` can send no header.
fn keyed_or_linked() -> Routes {
    Routes::default()
        .routes(routes!(assets::data::data))
        .routes(routes!(assets::thumbnail::thumbnail))
        .routes(routes!(videos::combined::combined))
        .routes(routes!(videos::thumbnail::thumbnail))
        .routes(routes!(videos::clip::show))
        .routes(routes!(videos::clip_thumbnail::show))
        .routes(routes!(audio::download::show))
        .routes(routes!(audio::segment::show))
}

/// A signed link only: providers have no key.
fn linked() -> Routes {
    Routes::default().routes(routes!(provider_media::show)).routes(routes!(content::show))
}

/// A key with `admin`.
fn administered() -> Routes {
    Routes::default()
        .routes(routes!(admin::workers::list))
        .routes(routes!(admin::budgets::list::list, admin::budgets::set::set, admin::budgets::remove::remove))
        .routes(routes!(admin::budgets::stop::stop, admin::budgets::stop::resume))
        .routes(routes!(admin::limits::list::list, admin::limits::set::set, admin::limits::reset::reset))
        .routes(routes!(admin::limits::weights::list, admin::limits::weights::set))
        .routes(routes!(
            admin::breakers::list::list,
            admin::breakers::open::open,
            admin::breakers::close::close
        ))
        .routes(routes!(admin::predictions::list::list))
        .routes(routes!(admin::predictions::resolve::resolve))
        .routes(routes!(admin::custody::list))
        .routes(routes!(admin::orphans::list))
        .routes(routes!(admin::spend::report::report))
        .routes(routes!(admin::spend::waste::waste))
        .routes(routes!(admin::keys::list::list, admin::keys::create::create))
        .routes(routes!(admin::keys::revoke::revoke))
        .routes(routes!(admin::audit::list))
        .routes(routes!(admin::log_level::list, admin::log_level::set, admin::log_level::reset))
        .routes(routes!(admin::storage::show))
}

/// The document of all of them.
pub fn document() -> OpenApi {
    let mut whole = openapi::base();
    for (routes, door) in [
        (open(), Door::Open),
        (keyed(), Door::Key),
        (keyed_or_linked(), Door::KeyOrLink),
        (linked(), Door::Link),
        (administered(), Door::Admin),
    ] {
        let mut part = routes.into_openapi();
        openapi::complete(&mut part, door);
        whole.merge(part);
    }
    openapi_examples::fill(&mut whole);
    whole
}

/// The API. `metrics` is what `/metrics` shows.
pub fn app(state: AppState, metrics: Metrics) -> Result<Router, serde_json::Error> {
    let by_method = middleware::from_fn_with_state(state.clone(), api_key::by_method);
    let admin = middleware::from_fn_with_state(state.clone(), api_key::admin);
    let link_or_key = middleware::from_fn_with_state(state.clone(), link::link_or_key);
    let link_only = middleware::from_fn_with_state(state.clone(), link::link_only);

    let cors = state.cors.layer();
    let tls = headers::ByTls(state.links.by_tls());

    let text = openapi::to_text(&document())?;
    let tag = http::HeaderValue::from_str(&Digest::of(text.as_bytes()).etag())
        .unwrap_or(http::HeaderValue::from_static("\"\""));
    let document = Arc::new(Document { text, tag });

    let routes: Router<AppState> = Router::new()
        .merge(Router::from(open()).route_layer((Extension(document), Extension(metrics))))
        .merge(Router::from(keyed()).route_layer(by_method))
        .merge(Router::from(keyed_or_linked()).route_layer(link_or_key))
        .merge(Router::from(linked()).route_layer(link_only))
        .merge(Router::from(administered()).route_layer(admin));

    // Outermost first, and all in one: the router copies each layer, with all below it, for every request.
    let around = (
        middleware::from_fn_with_state(tls, edge::layer),
        // Before any key is asked for: a browser's preflight has none.
        cors,
        CatchPanicLayer::custom(panic::respond),
        DefaultBodyLimit::max(MOST_JSON_BYTES),
    );
    Ok(routes.with_state(state).layer(around))
}
