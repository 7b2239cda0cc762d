//! The operations under `/api/v1` in the OpenAPI document.

use http::Method;
use serde_json::Value;

/// One operation of the API.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// The path template, e.g. `/api/v1/products/{id}`.
    pub(crate) path: String,
    pub(crate) needs_token: bool,
    pub(crate) takes_json: bool,
    /// The operation object in the document, with its shared responses in place of the references to them.
    pub(crate) text: Value,
}

impl Operation {
    /// Returns whether only admins may call it, according to the API contract rather than the document.
    pub(crate) fn is_for_admins(&self) -> bool {
        let path = self.path.trim_start_matches("/api/v1");
        let catalog = ["/products", "/variants", "/categories", "/collections"];
        let is_catalog = catalog.iter().any(|prefix| path.starts_with(prefix));
        path.starts_with("/admin/") || (is_catalog && self.method != Method::GET)
    }

    /// Returns whether the response does not end.
    pub(crate) fn is_stream(&self) -> bool {
        let stream = "/responses/200/content/text~1event-stream";
        self.text.pointer(stream).is_some()
    }

    /// Returns the path with `id` for every parameter.
    pub(crate) fn path_of(&self, id: &str) -> String {
        let fill = |part: &str| {
            if part.starts_with('{') {
                id.to_owned()
            } else {
                part.to_owned()
            }
        };
        self.path.split('/').map(fill).collect::<Vec<_>>().join("/")
    }

    /// Returns whether the path matches the template.
    pub(crate) fn fits(&self, path: &str) -> bool {
        let (own, parts) = (self.path.split('/'), path.split('/'));
        own.clone().count() == parts.clone().count()
            && own
                .zip(parts)
                .all(|(own, part)| own.starts_with('{') || own == part)
    }
}

/// Returns all operations of the API.
pub(crate) fn operations() -> Vec<Operation> {
    let document = shop::server::document();
    let paths = document["paths"].as_object().unwrap();
    let mut found = Vec::new();
    for (path, item) in paths
        .iter()
        .filter(|(path, _)| path.starts_with("/api/v1/"))
    {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let mut operation = operation.clone();
            let responses = operation["responses"].as_object_mut().unwrap();
            for response in responses.values_mut() {
                *response = resolved(&document, response).clone();
            }
            let json = operation.pointer("/requestBody/content/application~1json/schema/$ref");
            found.push(Operation {
                method,
                path: path.clone(),
                needs_token: operation["security"][0]["bearer"].is_array(),
                takes_json: json.is_some(),
                text: operation,
            });
        }
    }
    found
}

/// Returns what a reference refers to; any other value as it is.
pub(crate) fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    match value["$ref"].as_str() {
        Some(reference) => document.pointer(&reference[1..]).unwrap(),
        None => value,
    }
}
