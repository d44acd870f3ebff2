//! Requests made of an OpenAPI document: what must be said is said, with the owner's ids and paths wherever they fit.

use serde_json::{Map, Value, json};

/// The tenant that has something.
pub const OWNER: &str = "acme";

/// What stands in a request for what the document leaves open.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub id: &'a str,
    pub path: &'a str,
    /// A word that the owner's texts have.
    pub word: &'a str,
}

/// A request of a document.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: reqwest::Method,
    /// Its path in the document.
    pub template: String,
    /// The path to ask for.
    pub url: String,
    pub body: Option<Value>,
}

impl Request {
    /// What is sent, as one text.
    pub fn text(&self) -> String {
        format!("{} {}", self.url, self.body.clone().unwrap_or_default())
    }
}

/// Makes a request of every operation of a document.
pub fn requests(document: &Value, known: Known<'_>) -> Vec<Request> {
    let mut made = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            made.push(Request {
                method: method.to_uppercase().parse().expect("a method"),
                template: path.clone(),
                url: path
                    .replace("{id}", known.id)
                    .replace("{connectionId}", known.id)
                    .replace("{tenant}", OWNER)
                    .replace("{path}", known.path),
                body: (!schema.is_null()).then(|| value(document, schema, "", known)),
            });
        }
    }
    made
}

/// Makes a value of a schema.
fn value(document: &Value, schema: &Value, name: &str, known: Known<'_>) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.trim_start_matches('#');
        return document
            .pointer(pointer)
            .map_or(Value::Null, |schema| value(document, schema, name, known));
    }
    if let Some(first) = schema["enum"].get(0) {
        return first.clone();
    }
    for choice in ["oneOf", "anyOf"] {
        let mut choices = schema[choice].as_array().into_iter().flatten();
        if let Some(first) = choices.find(|one| one["type"] != "null") {
            return value(document, first, name, known);
        }
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut all = Map::new();
        for part in parts {
            if let Value::Object(fields) = value(document, part, name, known) {
                all.extend(fields);
            }
        }
        return all.into();
    }
    let kind = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().find(|kind| **kind != "null").cloned().unwrap_or_default(),
        kind @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_)) => kind.clone(),
    };
    match kind.as_str().unwrap_or("object") {
        "string" => text(schema, name, known).into(),
        "integer" => schema["minimum"].as_i64().unwrap_or(1).into(),
        "number" => json!(1),
        "boolean" => json!(false),
        "array" => json!([value(document, &schema["items"], name, known)]),
        _ => object(document, schema, known),
    }
}

/// What is required, and every id and path that may be said.
fn object(document: &Value, schema: &Value, known: Known<'_>) -> Value {
    let required: Vec<&str> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let mut made = Map::new();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        if required.contains(&name.as_str()) || field["format"] == "uuid" || name == "path" || name == "query" {
            made.insert(name.clone(), value(document, field, name, known));
        }
    }
    made.into()
}

fn text(schema: &Value, name: &str, known: Known<'_>) -> String {
    match (schema["format"].as_str(), name) {
        (Some("uuid"), _) => known.id.to_owned(),
        (Some("date-time"), _) => "2030-01-01T00:00:00Z".to_owned(),
        (_, "path" | "pinned") => known.path.to_owned(),
        (_, "layer") => "team".to_owned(),
        (_, "number" | "requestNumber") => "REQ-2026-0001".to_owned(),
        _ => known.word.to_owned(),
    }
}
