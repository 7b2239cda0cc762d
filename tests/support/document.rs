//! The operations in the OpenAPI document.

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
    /// The operation object in the document.
    pub(crate) text: Value,
}

impl Operation {
    /// Returns whether only admins may call it, according to the API contract rather than the document.
    pub(crate) fn is_for_admins(&self) -> bool {
        let path = self.path.trim_start_matches("/api/v1");
        let is_catalog = path.starts_with("/products") || path.starts_with("/categories");
        path.starts_with("/admin/") || (is_catalog && self.method != Method::GET)
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

/// Returns all operations of the document.
pub(crate) fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(shop::server::document()).unwrap();
    let paths = document["paths"].as_object().unwrap();
    let mut found = Vec::new();
    for (path, item) in paths {
        for (method, operation) in item.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let json = operation.pointer("/requestBody/content/application~1json/schema/$ref");
            found.push(Operation {
                method,
                path: path.clone(),
                needs_token: operation.get("security").is_some(),
                takes_json: json.is_some(),
                text: operation.clone(),
            });
        }
    }
    found
}
