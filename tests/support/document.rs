//! The routes, as the OpenAPI document tells them.

use http::Method;
use serde_json::Value;

/// One operation of the API.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// With its placeholders, as `/api/v1/products/{id}`.
    pub(crate) path: String,
    pub(crate) needs_token: bool,
    pub(crate) takes_json: bool,
    /// As it stands in the document.
    pub(crate) text: Value,
}

impl Operation {
    /// Whether only an admin may call it: by the contract, not by the document.
    pub(crate) fn is_for_admins(&self) -> bool {
        let path = self.path.trim_start_matches("/api/v1");
        let is_catalog = path.starts_with("/products") || path.starts_with("/categories");
        path.starts_with("/admin/") || (is_catalog && self.method != Method::GET)
    }

    /// The path with `id` for every placeholder.
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

    /// Whether this is a path of the operation.
    pub(crate) fn fits(&self, path: &str) -> bool {
        let (own, parts) = (self.path.split('/'), path.split('/'));
        own.clone().count() == parts.clone().count()
            && own
                .zip(parts)
                .all(|(own, part)| own.starts_with('{') || own == part)
    }
}

/// All operations of the document.
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
