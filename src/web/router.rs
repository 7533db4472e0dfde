//! Joins pages, API and middleware into the router of the whole site.

use axum::Extension;
use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tower_http::CompressionLevel;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::limit::RequestBodyLimitLayer;

use super::routes::{Route, StrictQuery};
use super::{
    Web, api, assets, auth, csrf, error, error_response, headers, health, https, limits, metrics, pages,
    proxy, session,
};

/// The compression level of responses: the output is 1 % larger than with the default level 6, in four fifths of the
/// time.
const QUALITY: CompressionLevel = CompressionLevel::Precise(4);

/// All routes of pages and API with the access they need.
pub fn table(web: &Web) -> Vec<Route> {
    let mut table = pages::routes(web).into_parts().1;
    table.extend(api::routes(web).into_parts().1.into_iter().map(|route| route.below("/api")));
    table
}

/// The router of the whole site. Serve it with [`super::serve::serve`], which adds the address of the peer to each
/// request.
pub fn router(web: Web) -> Router {
    let app = web.app.clone();
    let (pages, known) = pages::routes(&web).into_parts();
    let pages = pages
        .fallback(error::not_found)
        .layer(from_fn_with_state(web.clone(), session::open))
        .layer(csrf::layer(&web))
        .layer(from_fn_with_state(web.clone(), csrf::require_origin))
        .layer(from_fn_with_state(web.clone(), https::require));
    let (api, _) = api::routes(&web).into_parts();
    let api = api
        .fallback(error::not_found)
        .layer(from_fn_with_state(app.clone(), auth::bearer))
        .layer(Extension(StrictQuery(api::body::refuse_query)));
    let site = Router::new()
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(metrics::text))
        .route("/static/{*path}", get(assets::file))
        .nest("/api", api)
        .merge(pages)
        .layer(from_fn(limits::body))
        .layer(RequestBodyLimitLayer::new(limits::UPLOAD_BODY))
        .layer(CatchPanicLayer::custom(limits::panicked))
        .layer(from_fn_with_state(app.clock.clone(), limits::time))
        .layer(from_fn_with_state((web.clone(), known.into()), error_response::render))
        .layer(CompressionLayer::new().quality(QUALITY))
        .layer(from_fn_with_state(web.clone(), headers::add))
        .layer(from_fn_with_state((app.clone(), web.forwarders.clone()), proxy::set_via))
        .with_state(web);
    // The base path has to be removed before routing, hence a second router around the site.
    Router::new().fallback_service(site).layer(from_fn_with_state(app, proxy::strip_base))
}
