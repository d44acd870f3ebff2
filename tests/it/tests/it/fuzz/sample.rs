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
    /// The archive of a route that takes one instead.
    pub archive: Option<Vec<u8>>,
}

impl Request {
    /// What is sent, as one text.
    pub fn text(&self) -> String {
        format!("{} {}", self.url, self.body.clone().unwrap_or_default())
    }
}

/// Makes the requests of every operation of a document: one that says only what must be said, and one for each value of each
/// parameter of its query.
pub fn requests(document: &Value, known: Known<'_>) -> Vec<Request> {
    let mut made = Vec::new();
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let content = &operation["requestBody"]["content"];
            let schema = &content["application/json"]["schema"];
            let url = path
                .replace("{id}", known.id)
                .replace("{connectionId}", known.id)
                .replace("{tenant}", OWNER)
                .replace("{path}", known.path);
            let queries = queries(document, operation, known);
            for query in std::iter::once(String::new()).chain(queries) {
                made.push(Request {
                    method: method.to_uppercase().parse().expect("a method"),
                    template: path.clone(),
                    url: format!("{url}{query}"),
                    body: (!schema.is_null()).then(|| value(document, schema, "", known)),
                    archive: content.get("application/x-tar").map(|_| archive(known)),
                });
            }
        }
    }
    made
}

/// Makes the queries of an operation, of one parameter each. A cursor is what a service has handed out, so there is none.
fn queries(document: &Value, operation: &Value, known: Known<'_>) -> Vec<String> {
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let mut made = Vec::new();
    for parameter in parameters.filter(|parameter| parameter["in"] == "query" && parameter["name"] != "cursor") {
        let name = parameter["name"].as_str().unwrap_or_default();
        let values = match choices(document, &parameter["schema"]) {
            Some(choices) => choices.clone(),
            None => vec![value(document, &parameter["schema"], name, known)],
        };
        for value in values {
            let said = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            made.push(format!("?{name}={said}"));
        }
    }
    made
}

/// Returns what a schema lets one choose from.
fn choices<'a>(document: &'a Value, schema: &'a Value) -> Option<&'a Vec<Value>> {
    if let Some(reference) = schema["$ref"].as_str() {
        return choices(document, document.pointer(reference.trim_start_matches('#'))?);
    }
    if let Some(any) = schema["oneOf"].as_array() {
        return any.iter().find_map(|one| choices(document, one));
    }
    schema["enum"].as_array()
}

/// Makes an archive of one file.
fn archive(known: Known<'_>) -> Vec<u8> {
    let text = format!("# What of the {}?", known.word);
    let mut header = tar::Header::new_gnu();
    header.set_size(u64::try_from(text.len()).expect("a short text"));
    let mut builder = tar::Builder::new(Vec::new());
    let appended = builder.append_data(&mut header, known.path, text.as_bytes());
    appended.and_then(|()| builder.into_inner()).expect("memory takes it")
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
        (_, "wait") => "1s".to_owned(),
        (_, "path" | "pinned" | "folder") => known.path.to_owned(),
        (_, "number" | "requestNumber") => "REQ-2026-0001".to_owned(),
        _ => known.word.to_owned(),
    }
}
