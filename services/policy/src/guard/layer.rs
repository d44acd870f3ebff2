//! The layer that asks before every handler of a service.
//!
//! It stands around the service's routes and knows them by their templates. A route that nobody listed is refused: a guard
//! that forgets one is none.

use axum::Router;
use axum::body::{Body as HttpBody, Bytes};
use axum::extract::{FromRequest as _, FromRequestParts as _, MatchedPath, RawPathParams, Request, State};
use axum::http::Method;
use axum::http::request::Parts;
use axum::middleware::{self, Next};
use axum::response::Response;

use aeterna_kit::auth::{Authenticator, Caller};
use aeterna_kit::problem::{Code, Problem};

use super::Guard;
use super::judge::Judge;
use super::route::{Asked, Body, Route, Routes};

/// The document is everybody's.
const DOCUMENT: &str = "/api/v1/openapi.json";

#[derive(Debug, Clone)]
struct Door {
    guard: Guard,
    authenticator: Authenticator,
    routes: Routes,
}

/// Puts a guard before a service's routes; without one they stay as they are.
pub fn stand_before(router: Router, guard: Option<Guard>, authenticator: &Authenticator, routes: Routes) -> Router {
    let Some(guard) = guard else { return router };
    let door = Door {
        guard,
        authenticator: authenticator.clone(),
        routes,
    };
    router.layer(middleware::from_fn_with_state(door, ask))
}

async fn ask(State(door): State<Door>, request: Request, next: Next) -> Result<Response, Problem> {
    let matched = request.extensions().get::<MatchedPath>();
    // A path that goes on over slashes is `{*path}` to the router, and `{path}` to the document.
    let Some(path) = matched.map(|path| path.as_str().replace("{*", "{")) else {
        return Ok(next.run(request).await);
    };
    if path == DOCUMENT || request.method() == Method::OPTIONS {
        return Ok(next.run(request).await);
    }
    if door.routes.is_signed(request.method().as_str(), &path) {
        return Ok(next.run(request).await);
    }
    let (mut parts, mut body) = request.into_parts();
    let caller = Caller::from_request_parts(&mut parts, &door.authenticator).await?;
    let route = door.routes.find(parts.method.as_str(), &path).ok_or_else(|| {
        let detail = format!("no permission is known for {} {path}", parts.method);
        Problem::new(Code::Forbidden, detail)
    })?;
    let bytes = match route.body {
        Body::Unread => Bytes::new(),
        Body::Read => {
            let bytes = read(&parts, body).await?;
            body = HttpBody::from(bytes.clone());
            bytes
        }
    };
    let judge = admit(&door, &mut parts, route, &caller, &bytes).await?;
    judge.settle(caller).settle(&mut parts.extensions);
    parts.extensions.insert(judge);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

async fn admit(door: &Door, parts: &mut Parts, route: Route, caller: &Caller, body: &[u8]) -> Result<Judge, Problem> {
    let params: Vec<(String, String)> = match RawPathParams::from_request_parts(parts, &()).await {
        Ok(params) => params
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        // The handler says what is wrong with them.
        Err(_) => Vec::new(),
    };
    let asked = Asked {
        caller,
        headers: &parts.headers,
        params: &params,
        body,
    };
    let about = (route.about)(&asked);
    door.guard.admit(caller, &parts.headers, about, route.access).await
}

/// Reads a body under the limit that holds for the handler as well.
async fn read(parts: &Parts, body: HttpBody) -> Result<Bytes, Problem> {
    let request = Request::from_parts(parts.clone(), body);
    Bytes::from_request(request, &())
        .await
        .map_err(|rejection| Problem::unread(&rejection))
}

#[cfg(test)]
#[path = "layer_tests.rs"]
mod tests;
