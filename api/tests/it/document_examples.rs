//! The OpenAPI document is complete: every JSON answer and body has an example that its schema allows, every operation says who may
//! call it, and every list has a limit.

use serde_json::Value;

/// Lists without `limit`, and why they cannot grow long.
const BOUNDED: [(&str, &str); 10] = [
    ("list_breakers", "one row for each provider and model, and only while it is open"),
    ("list_limits", "one row for each provider, class and model that has limits"),
    ("list_log_levels", "one row for each program"),
    ("list_scenes", "a job has at most 50 scenes"),
    ("list_weights", "clients with a weight that an operator gave, and those that wait at this moment"),
    ("list_workers", "processes that live"),
    ("explain_job", "the tasks of one job"),
    ("report_spend", "one row for each day or thing of the span that the caller names"),
    ("report_waste", "five classes"),
    ("show_audio_status", "one stretch for each scene of a job"),
];

/// Nobody needs a key for these. The provider's webhook is signed.
const OPEN: [&str; 9] = [
    "docs",
    "docs_script",
    "docs_style",
    "health",
    "metrics",
    "openapi",
    "openapi_json",
    "ready",
    "receive_replicate_webhook",
];

struct Document(Value);

impl Document {
    fn of_this_api() -> Self {
        Self(serde_json::to_value(spool_api::router::document()).expect("is JSON"))
    }

    fn operations(&self) -> impl Iterator<Item = (&String, &Value)> {
        let paths = self.0["paths"].as_object().expect("paths");
        paths.values().flat_map(|item| item.as_object().expect("operations"))
    }

    /// The schema that a reference leads to.
    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|path| path.strip_prefix('#')) {
            Some(pointer) => self.resolved(self.0.pointer(pointer).expect("leads somewhere")),
            None => schema,
        }
    }

    /// The examples of a body, of its media type and of its schema.
    fn examples<'a>(&'a self, content: &'a Value) -> Vec<&'a Value> {
        let mut found: Vec<&Value> = content.get("example").into_iter().collect();
        found.extend(content["examples"].as_object().into_iter().flatten().map(|(_, one)| &one["value"]));
        found.extend(self.schema_examples(&content["schema"]));
        found
    }

    fn schema_examples<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        let schema = self.resolved(schema);
        let several = schema["oneOf"].as_array().into_iter().flatten();
        let inner = several.flat_map(|one| self.schema_examples(one));
        schema.get("example").into_iter().chain(inner).collect()
    }

    /// What is wrong with a value of this schema: the path to it and why.
    fn fault(&self, value: &Value, schema: &Value) -> Option<String> {
        let schema = self.resolved(schema);
        if let Some(all) = schema["allOf"].as_array() {
            return all.iter().find_map(|part| self.fault(value, part));
        }
        if let Some(several) = schema["oneOf"].as_array() {
            let faults: Vec<_> = several.iter().map(|one| self.fault(value, one)).collect();
            return if faults.iter().any(Option::is_none) {
                None
            } else {
                faults.into_iter().flatten().next()
            };
        }
        let types = match &schema["type"] {
            Value::Array(types) => types.clone(),
            Value::Null => return None,
            one => vec![one.clone()],
        };
        if !types.iter().filter_map(Value::as_str).any(|kind| is_of(value, kind)) {
            return Some(format!(" is {value}, not {types:?}"));
        }
        if value.is_null() {
            return None;
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return Some(format!(" is {value}, none of {words:?}"));
        }
        let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let missing =
            required.filter(|name| value.get(name).is_none()).map(|name| format!(".{name} is missing"));
        let members = schema["properties"].as_object().into_iter().flatten();
        let wrong = members.filter_map(|(name, schema)| {
            let fault = self.fault(value.get(name)?, schema)?;
            Some(format!(".{name}{fault}"))
        });
        let items = value.as_array().into_iter().flatten().filter_map(|item| {
            let fault = self.fault(item, &schema["items"])?;
            Some(format!("[]{fault}"))
        });
        missing.chain(wrong).chain(items).next()
    }
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => false,
    }
}

#[test]
fn every_json_body_and_answer_has_an_example_that_fits() {
    let document = Document::of_this_api();
    let (mut seen, mut faults) = (0, Vec::new());
    for (_, operation) in document.operations() {
        let id = &operation["operationId"];
        let answers = operation["responses"].as_object().expect("responses").iter();
        let answers = answers.filter(|(status, _)| status.starts_with('2')).map(|(_, answer)| answer);
        for body in answers.chain([&operation["requestBody"]]) {
            let content = &body["content"]["application/json"];
            if content.is_null() {
                continue;
            }
            let examples = document.examples(content);
            assert!(!examples.is_empty(), "{id} has a body without an example");
            for example in examples {
                faults
                    .extend(document.fault(example, &content["schema"]).map(|fault| format!("{id}{fault}")));
                seen += 1;
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 100, "only {seen} examples");
}

#[test]
fn every_operation_says_who_may_call_it() {
    let document = Document::of_this_api();
    let known = document.0["components"]["securitySchemes"].as_object().expect("schemes");
    for (_, operation) in document.operations() {
        let id = operation["operationId"].as_str().expect("an id");
        let ways = operation["security"].as_array().unwrap_or_else(|| panic!("{id} does not say"));
        assert_eq!(ways.is_empty(), OPEN.contains(&id), "{id}");
        for way in ways {
            let names = way.as_object().expect("schemes");
            assert!(!names.is_empty() && names.keys().all(|name| known.contains_key(name)), "{id}");
        }
    }
}

#[test]
fn every_list_has_a_limit_or_cannot_grow() {
    let document = Document::of_this_api();
    let mut bounded = Vec::new();
    for (method, operation) in document.operations().filter(|(method, _)| *method == "get") {
        let id = operation["operationId"].as_str().expect("an id");
        let answer = &operation["responses"]["200"]["content"]["application/json"]["schema"];
        let answer = document.resolved(answer);
        let mut members = answer["properties"].as_object().into_iter().flatten();
        if answer["type"] != "array" && !members.any(|(_, member)| member["type"] == "array") {
            continue;
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let has_limit = parameters.into_iter().any(|parameter| parameter["name"] == "limit");
        if !has_limit {
            bounded.push(id);
        }
        assert!(has_limit || BOUNDED.iter().any(|(known, _)| *known == id), "{method} {id} has no limit");
    }
    for (id, why) in BOUNDED {
        assert!(bounded.contains(&id), "{id} ({why}) has a limit by now, or is no list");
    }
}
