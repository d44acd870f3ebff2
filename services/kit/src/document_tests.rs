use serde_json::{Value, json};
use utoipa::OpenApi as _;
use utoipa_axum::routes;

use super::*;

#[derive(utoipa::OpenApi)]
struct Api;

/// Asks.
#[utoipa::path(post, path = "/things/{*path}", request_body = String, responses((status = 200, description = "Fine"), (status = 404, description = "None")))]
async fn ask() {}

#[utoipa::path(get, path = "/things", tag = "things", responses((status = 200, description = "Fine")))]
async fn list() {}

#[test]
fn what_every_handler_may_answer_is_added_and_every_error_has_the_form_of_a_problem() {
    let routes = OpenApiRouter::<()>::with_openapi(Api::openapi())
        .routes(routes!(ask))
        .routes(routes!(list));
    let document = serde_json::to_value(document(routes).1).expect("JSON");
    let responses = |path: &str, method: &str| document["paths"][path][method]["responses"].clone();
    let asked = responses("/things/{path}", "post");
    let statuses: Vec<&String> = asked.as_object().expect("an object").keys().collect();
    assert_eq!(
        statuses,
        [
            "200", "400", "401", "403", "404", "413", "415", "422", "429", "503", "504"
        ]
    );
    let problem = json!({"schema": {"$ref": "#/components/schemas/Problem"}});
    for (status, response) in asked.as_object().expect("an object") {
        let told = &response["content"]["application/problem+json"];
        assert_eq!(
            *told,
            if status == "200" { Value::Null } else { problem.clone() },
            "{status}"
        );
    }
    assert!(responses("/things", "get")["413"].is_null());
    assert_eq!(document["paths"]["/things"]["get"]["operationId"], "things_list");
    for name in ["Problem", "FieldError"] {
        assert!(document["components"]["schemas"][name].is_object(), "{name}");
    }
}
