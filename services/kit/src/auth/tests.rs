use std::num::NonZeroU32;

use axum::http::Request;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::*;

const SECRET: &[u8; 32] = b"a secret of thirty-two bytes, ok";

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder();
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).expect("valid").into_parts().0
}

fn disabled(default: Option<&str>) -> Authenticator {
    let default_tenant = default.map(|id| TenantId::parse(id).expect("valid"));
    Authenticator::new(Mode::Disabled { default_tenant }, Limit::default())
}

fn jwt() -> Authenticator {
    let verifier = Verifier::new(Key::Secret(SECRET), Some("issuer"), Some("aeterna")).expect("a good key");
    Authenticator::new(Mode::Jwt(Box::new(verifier)), Limit::default())
}

/// A day in the far future, so that tests need no clock.
const FUTURE: i64 = 4_000_000_000;

fn claims() -> Value {
    json!({"sub": "ann", "tenant": "acme", "iss": "issuer", "aud": "aeterna", "exp": FUTURE})
}

fn token(algorithm: Algorithm, claims: &Value) -> String {
    let signed = encode(&Header::new(algorithm), claims, &EncodingKey::from_secret(SECRET)).expect("signable");
    format!("Bearer {signed}")
}

fn code(authenticator: &Authenticator, headers: &[(&str, &str)]) -> Code {
    authenticator.identify(&parts(headers)).expect_err("refused").code
}

#[test]
fn where_nobody_proves_anything_the_header_or_the_default_names_the_tenant() {
    let caller = disabled(Some("default")).identify(&parts(&[])).expect("the default");
    assert_eq!(caller.scope.tenant().as_str(), "default");
    let caller = disabled(Some("default"))
        .identify(&parts(&[("X-Tenant-ID", "acme")]))
        .expect("the header");
    assert_eq!(caller.scope.tenant().as_str(), "acme");
    assert_eq!(code(&disabled(None), &[]), Code::MissingTenant);
    assert_eq!(code(&disabled(None), &[("X-Tenant-ID", "")]), Code::InvalidTenant);
}

#[test]
fn a_good_token_gives_its_tenant_and_its_subject() {
    let bearer = token(Algorithm::HS256, &claims());
    let caller = jwt()
        .identify(&parts(&[("Authorization", &bearer)]))
        .expect("a good token");
    assert_eq!(
        (caller.scope.tenant().as_str(), caller.subject.as_str()),
        ("acme", "ann")
    );
}

#[test]
fn a_good_token_gives_its_roles_and_whom_an_agent_acts_for() {
    let mut agent = claims();
    agent["roles"] = json!(["Agent"]);
    agent["onBehalfOf"] = json!("bob");
    let bearer = token(Algorithm::HS256, &agent);
    // A token's roles are the token's: a header adds none.
    let headers = [("Authorization", bearer.as_str()), ("X-Roles", "PlatformAdmin")];
    let caller = jwt().identify(&parts(&headers)).expect("a good token");
    assert_eq!(
        (caller.roles.as_slice(), caller.on_behalf_of.as_deref()),
        (["Agent".to_owned()].as_slice(), Some("bob"))
    );
}

#[test]
fn where_nobody_proves_anything_headers_name_subject_and_roles() {
    let named = [("X-Subject", "ann"), ("X-Roles", "Viewer, TechLead")];
    let caller = disabled(Some("default")).identify(&parts(&named)).expect("named");
    assert_eq!(
        (caller.subject.as_str(), caller.roles.join("+")),
        ("ann", "Viewer+TechLead".to_owned())
    );
    let caller = disabled(Some("default")).identify(&parts(&[])).expect("the default");
    assert_eq!(caller.roles, ["TenantAdmin"]);
    let long = "x".repeat(257);
    assert_eq!(
        code(&disabled(Some("default")), &[("X-Subject", &long)]),
        Code::InvalidHeader
    );
}

#[test]
fn a_tenant_that_the_token_does_not_cover_is_refused_and_never_replaced() {
    let bearer = token(Algorithm::HS256, &claims());
    assert_eq!(
        code(&jwt(), &[("Authorization", &bearer), ("X-Tenant-ID", "globex")]),
        Code::Forbidden
    );
    let mut many = claims();
    many["tenants"] = json!(["globex"]);
    let bearer = token(Algorithm::HS256, &many);
    assert_eq!(code(&jwt(), &[("Authorization", &bearer)]), Code::MissingTenant);
    let caller = jwt()
        .identify(&parts(&[("Authorization", &bearer), ("X-Tenant-ID", "globex")]))
        .expect("covered");
    assert_eq!(caller.scope.tenant().as_str(), "globex");
}

#[test]
fn a_token_cannot_choose_its_algorithm() {
    // {"alg":"none"} and no signature.
    let none = "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbm4iLCJ0ZW5hbnQiOiJhY21lIiwiZXhwIjo0MDAwMDAwMDAwfQ.";
    assert_eq!(code(&jwt(), &[("Authorization", none)]), Code::Unauthenticated);
    let other = token(Algorithm::HS512, &claims());
    assert_eq!(code(&jwt(), &[("Authorization", &other)]), Code::Unauthenticated);
}

#[test]
fn expired_foreign_and_missing_tokens_are_refused() {
    for (claim, value) in [
        ("exp", json!(1_000_000_000)),
        ("aud", json!("others")),
        ("iss", json!("others")),
    ] {
        let mut changed = claims();
        changed[claim] = value;
        let bearer = token(Algorithm::HS256, &changed);
        assert_eq!(
            code(&jwt(), &[("Authorization", &bearer)]),
            Code::Unauthenticated,
            "{claim}"
        );
    }
    assert_eq!(code(&jwt(), &[]), Code::Unauthenticated);
    assert_eq!(code(&jwt(), &[("Authorization", "Basic eA==")]), Code::Unauthenticated);
}

#[test]
fn a_short_secret_is_not_taken() {
    assert!(matches!(
        Verifier::new(Key::Secret(b"short"), None, None),
        Err(KeyError::Short(5))
    ));
    assert!(matches!(
        Verifier::new(Key::Public(b"no pem"), None, None),
        Err(KeyError::Pem)
    ));
}

#[test]
fn a_tenant_that_asks_too_often_does_not_slow_another() {
    let limit = Limit::per_second(NonZeroU32::new(1));
    let mode = Mode::Disabled { default_tenant: None };
    let authenticator = Authenticator::new(mode, limit);
    let acme = [("X-Tenant-ID", "acme")];
    let refused = (0..10)
        .find_map(|_| authenticator.identify(&parts(&acme)).err())
        .expect("limited");
    assert_eq!(refused.code, Code::RateLimited);
    assert!(refused.retry_after.is_some_and(|seconds| seconds >= 1));
    assert!(authenticator.identify(&parts(&[("X-Tenant-ID", "globex")])).is_ok());
}

#[tokio::test]
async fn whoever_asks_again_about_the_same_request_counts_once() {
    let limit = Limit::per_second(NonZeroU32::new(1));
    let authenticator = Authenticator::new(Mode::Disabled { default_tenant: None }, limit);
    let headers = [("X-Tenant-ID", "acme"), ("X-Subject", "ann")];
    let mut same = parts(&headers);
    for _ in 0..5 {
        let caller = Caller::from_request_parts(&mut same, &authenticator)
            .await
            .expect("once");
        assert_eq!(caller.subject, "ann");
    }
    let mut others = 0;
    while Caller::from_request_parts(&mut parts(&headers), &authenticator)
        .await
        .is_ok()
    {
        others += 1;
        assert!(others < 10, "nothing is limited");
    }
}
