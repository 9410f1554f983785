//! The OpenAPI document, made from the types of the handlers. What holds for whole groups of routes (keys, the
//! errors that layers and extractors give) is added here once, so that no handler can forget it.

use http::StatusCode;
use utoipa::OpenApi as _;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::schema::{AdditionalProperties, ArrayItems, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Content, OpenApi, Ref, RefOr, Required, Response, ResponseBuilder, SecurityRequirement,
};

use crate::error::{Code, Problem};
use crate::routes::jobs::events::{EventJson, EventsDone};

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Spool",
        description = "Durable AI video production: photos in, finished videos out. Every error is a `Problem`; every \
                       answer carries `x-request-id`. Names in requests are taken in `snake_case` and `camelCase`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "/", description = "This server")),
    // What no answer refers to by itself: the data of events are texts to the document.
    components(schemas(Problem, Code, EventJson, EventsDone)),
    tags(
        (name = "clients", description = "Whom videos are made for"),
        (name = "campaigns", description = "What a set of media and videos is for"),
        (name = "assets", description = "Media that callers bring"),
        (name = "jobs", description = "Videos to be made"),
        (name = "scenes", description = "The shots of a job"),
        (name = "videos", description = "Finished videos"),
        (name = "audio", description = "The music of videos"),
        (name = "media", description = "What providers fetch"),
        (name = "webhooks", description = "What providers send us, and what callers are sent"),
        (name = "admin", description = "For operators"),
        (name = "operation", description = "Health and documentation"),
    )
)]
struct Base;

/// Who may call a group of routes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Anybody.
    Open,
    /// A key with `read` for GET, `write` for the rest.
    Key,
    /// A key, or a signed link for this path.
    KeyOrLink,
    /// A signed link for this path.
    Link,
    /// A key with `admin`.
    Admin,
}

/// What every document starts from.
pub fn base() -> OpenApi {
    let mut document = Base::openapi();
    let components = document.components.get_or_insert_default();
    components.schemas.values_mut().for_each(open_objects);
    components.add_security_scheme(
        "api_key",
        SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
            "x-api-key",
            "A key, `spool_<id>_<secret>`, with the scope `read`, `write` or `admin`; each holds the ones before it",
        ))),
    );
    components.add_security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.add_security_scheme(
        "signed_link",
        SecurityScheme::ApiKey(ApiKey::Query(ApiKeyValue::with_description(
            "sig",
            "A signature that came in a link of ours, together with `exp`; it opens that one path until then",
        ))),
    );
    document
}

/// Adds to each operation what its door and its shape imply.
pub fn complete(document: &mut OpenApi, door: Door) {
    for (path, item) in &mut document.paths.paths {
        if let (Some(post), Door::Key | Door::Admin) = (&mut item.post, door) {
            take_keys(post);
        }
        for operation in operations(item) {
            complete_operation(operation, path, door);
        }
    }
    if let Some(components) = &mut document.components {
        components.schemas.values_mut().for_each(open_objects);
    }
}

/// An object without named members is a free one. Generators take one that does not say so for an empty one.
fn open_objects(schema: &mut RefOr<Schema>) {
    let RefOr::T(schema) = schema else { return };
    match schema {
        Schema::Object(object) => {
            let is_object = match &object.schema_type {
                SchemaType::Type(one) => *one == Type::Object,
                SchemaType::Array(several) => several.contains(&Type::Object),
                SchemaType::AnyValue => false,
            };
            if is_object && object.properties.is_empty() && object.additional_properties.is_none() {
                object.additional_properties = Some(Box::new(AdditionalProperties::FreeForm(true)));
            }
            object.properties.values_mut().for_each(open_objects);
        }
        Schema::Array(array) => {
            if let ArrayItems::RefOrSchema(items) = &mut array.items {
                open_objects(items);
            }
        }
        Schema::OneOf(one) => one.items.iter_mut().for_each(open_objects),
        Schema::AllOf(all) => all.items.iter_mut().for_each(open_objects),
        Schema::AnyOf(any) => any.items.iter_mut().for_each(open_objects),
        _ => {}
    }
}

/// Every POST behind a key may be sent again under the same key.
fn take_keys(operation: &mut Operation) {
    let header = ParameterBuilder::new()
        .name("idempotency-key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "A word of yours, 1 to 255 visible characters: the same request with the same word is carried out once within 24 hours and \
             gets the same answer, marked with `idempotency-replayed`",
        ))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).max_length(Some(255))))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(header));
    let busy = "The same request is under way, or was cut off half way";
    operation.responses.responses.entry("409".to_owned()).or_insert_with(|| RefOr::T(problem(busy)));
    let other = "The `idempotency-key` was used for another request, or the body says something that cannot be; see `details`";
    operation.responses.responses.entry("422".to_owned()).or_insert_with(|| RefOr::T(problem(other)));
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = &mut Operation> {
    [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch].into_iter().flatten()
}

fn complete_operation(operation: &mut Operation, path: &str, door: Door) {
    let schemes: &[&str] = match door {
        Door::Open => &[],
        Door::Key | Door::Admin => &["api_key", "bearer"],
        Door::KeyOrLink => &["api_key", "bearer", "signed_link"],
        Door::Link => &["signed_link"],
    };
    let mut errors: Vec<(&str, &str)> = Vec::new();
    // An empty list says that nobody is asked.
    let security = schemes.iter().map(|name| SecurityRequirement::new(*name, Vec::<String>::new()));
    operation.security = Some(security.collect());
    if door != Door::Open {
        errors.push(("401", "The key or the link is missing or not valid"));
    }
    if matches!(door, Door::Key | Door::KeyOrLink | Door::Admin) {
        errors.push(("403", "The key lacks the scope"));
        errors.push(("429", "The key has made too many requests; go on after `retry-after` seconds"));
    }
    let has_parameters = operation.parameters.as_ref().is_some_and(|parameters| !parameters.is_empty());
    // Bodies name clients, campaigns and jobs.
    let names = matches!(door, Door::Key) && operation.request_body.is_some();
    if path.contains('{') || names {
        errors.push(("404", "There is no such thing, or it is not yours"));
    }
    if has_parameters || operation.request_body.is_some() {
        errors.push((
            "400",
            "An id, the query string or the body cannot be read, or something it needs is missing",
        ));
    }
    if operation.request_body.is_some() {
        errors.push(("413", "The body is too large"));
        errors.push(("415", "The body is of a kind not taken here"));
        errors.push(("422", "The body says something that cannot be; see `details`"));
    }
    errors.push(("500", "Something went wrong here"));
    errors.push(("503", "Something it stands on is away; try again after `retry-after` seconds"));
    for (status, description) in errors {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(description)));
    }
    for (status, response) in &mut operation.responses.responses {
        let RefOr::T(response) = response else { continue };
        // Every answer must have one.
        if response.description.is_empty() {
            let word = status.parse::<StatusCode>().ok().and_then(|status| status.canonical_reason());
            word.unwrap_or("An answer").clone_into(&mut response.description);
        }
        // A body of ours said to be JSON is a problem where the status is an error.
        if status.starts_with('4')
            && let Some(content) = response.content.shift_remove("application/json")
        {
            response.content.insert("application/problem+json".to_owned(), content);
        }
    }
}

fn problem(description: &str) -> Response {
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", Content::new(Some(Ref::from_schema_name("Problem"))))
        .build()
}

/// The document as text, the same each time, as it is checked in.
pub fn to_text(document: &OpenApi) -> Result<String, serde_json::Error> {
    // Through a value, whose maps are sorted.
    let value = serde_json::to_value(document)?;
    Ok(serde_json::to_string_pretty(&value)? + "\n")
}
