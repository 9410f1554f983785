//! Every operation of the OpenAPI document, so that tests about all routes need no list of their own.

use http::Method;
use serde_json::Value;
use spool_db::keys::Scope;

/// A method on a path.
#[derive(Debug, Clone)]
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// The pattern, such as `/api/v3/jobs/{id}`.
    pub(crate) path: String,
    pub(crate) id: String,
    /// Whether it reads a body.
    pub(crate) takes_body: bool,
    /// The scope that a key needs; none where no key is asked for.
    pub(crate) needs: Option<Scope>,
}

/// All of them, by path.
pub(crate) fn all() -> Vec<Operation> {
    let document = serde_json::to_value(spool_api::router::document()).expect("is JSON");
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let method: Method = method.to_uppercase().parse().expect("a method");
            found.push(Operation {
                needs: needs(path, &method, operation),
                path: path.clone(),
                id: operation["operationId"].as_str().expect("an id").to_owned(),
                takes_body: !operation["requestBody"].is_null(),
                method,
            });
        }
    }
    assert!(found.len() > 60, "only {} operations", found.len());
    found
}

/// What the rule is; the document only says whether a key is asked for.
fn needs(path: &str, method: &Method, operation: &Value) -> Option<Scope> {
    let by_key = operation["security"].to_string().contains("api_key");
    by_key.then(|| {
        if path.starts_with("/api/v3/admin/") {
            Scope::Admin
        } else if method == Method::GET {
            Scope::Read
        } else {
            Scope::Write
        }
    })
}

impl Operation {
    /// The path with something in the place of each name.
    pub(crate) fn filled(&self, with: impl Fn(&str) -> String) -> String {
        let mut filled = String::new();
        let mut rest = self.path.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').expect("a closed brace");
            filled.push_str(before);
            filled.push_str(&with(name));
            rest = after;
        }
        filled + rest
    }

    /// Whether the path names something.
    pub(crate) fn names_something(&self) -> bool {
        self.path.contains('{')
    }

    /// `clients` of `/api/v3/clients/{id}`.
    pub(crate) fn noun(&self) -> &str {
        self.path.split('/').nth(3).unwrap_or_default()
    }
}
