// Draws the OpenAPI document of this server as a page to browse. It knows nothing of single routes, fetches nothing but the document,
// and puts what it says into the page as text only.

const METHODS = ["get", "post", "put", "patch", "delete"];
const DOORS = {
  api_key: "a key in x-api-key",
  bearer: "a key as bearer token",
  signed_link: "a signed link of ours",
};

/** An element with attributes and children; texts may hold `code`. */
function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat().filter((child) => child !== undefined && child !== ""));
  return element;
}

/** A text whose words between backticks are code. */
function prose(text = "") {
  return text.split("`").map((part, at) => (at % 2 ? make("code", {}, part) : part));
}

const api = await fetch("openapi.json").then((answer) => {
  if (!answer.ok) throw new Error(`openapi.json answered ${answer.status}`);
  return answer.json();
});

function resolve(node) {
  if (!node?.$ref) return node ?? {};
  return node.$ref.slice(2).split("/").reduce((place, step) => place?.[step.replaceAll("~1", "/").replaceAll("~0", "~")], api) ?? {};
}

const nameOf = (node) => node?.$ref?.split("/").pop();
const types = (schema) => [schema.type ?? []].flat();

/** The parts of a schema that is put together of several. */
function parts(schema) {
  return schema.allOf ?? schema.oneOf ?? schema.anyOf ?? [];
}

/** In a few words what values look like. */
function typeOf(node) {
  const name = nameOf(node);
  if (name) return name;
  const schema = node ?? {};
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.allOf) return schema.allOf.map(typeOf).join(" & ");
  if (parts(schema).length) return parts(schema).map(typeOf).join(" | ");
  const kinds = types(schema).map((type) => (type === "array" ? `${typeOf(schema.items)}[]` : type));
  const format = schema.format && !["int64", "int32", "double", "float"].includes(schema.format) ? ` (${schema.format})` : "";
  return (kinds.join(" | ") || "any") + format;
}

/** What values must keep to. */
function bounds(schema) {
  const words = [];
  const between = (low, high, what) => {
    if (low !== undefined || high !== undefined) words.push(`${low ?? "…"} to ${high ?? "…"}${what}`);
  };
  between(schema.minimum, schema.maximum, "");
  between(schema.minLength, schema.maxLength, " characters");
  between(schema.minItems, schema.maxItems, " items");
  if (schema.pattern) words.push(schema.pattern);
  if (schema.default !== undefined) words.push(`default ${JSON.stringify(schema.default)}`);
  return words.join(", ");
}

/** Whether there is more to see than the type's name. */
function opens(node) {
  const schema = resolve(node);
  if (schema.properties || parts(schema).some(opens)) return true;
  return types(schema).includes("array") && opens(schema.items);
}

/** The members of an object, those of its parts included. A branch is drawn when it is opened: schemas may hold themselves. */
function members(node) {
  const schema = resolve(node);
  if (types(schema).includes("array")) return members(schema.items);
  const required = new Set(schema.required);
  const rows = Object.entries(schema.properties ?? {}).map(([name, member]) => {
    const shown = resolve(member);
    const row = make(
      "li",
      {},
      make("span", { class: "name" }, name),
      make("span", { class: "type" }, typeOf(member), bounds(shown) && `, ${bounds(shown)}`),
      required.has(name) ? make("span", { class: "required" }, "required") : "",
      shown.description ? make("div", { class: "quiet" }, prose(shown.description)) : "",
    );
    if (opens(member)) row.append(lazily("members", () => members(member)));
    return row;
  });
  const own = rows.length ? [make("ul", { class: "members" }, rows)] : [];
  const word = schema.oneOf || schema.anyOf ? "or" : "";
  const others = parts(schema).filter(opens).flatMap((part, at) => [
    word && (at || rows.length) ? make("p", { class: "quiet" }, word) : "",
    ...members(part),
  ]);
  return [...own, ...others];
}

function lazily(title, draw, attributes = {}) {
  const details = make("details", attributes, make("summary", {}, title));
  details.addEventListener("toggle", () => {
    if (details.open && details.children.length === 1) details.append(...draw());
  });
  return details;
}

/** An example of a schema: its own, or one made of its members. */
function example(node, depth = 0) {
  const schema = resolve(node);
  if (schema.example !== undefined) return schema.example;
  if (schema.examples?.length) return schema.examples[0];
  if (schema.default !== undefined) return schema.default;
  if (schema.enum) return schema.enum[0];
  if (depth > 5) return null;
  if (schema.allOf) return Object.assign({}, ...schema.allOf.map((part) => example(part, depth + 1)));
  const one = parts(schema).find((part) => !types(resolve(part)).includes("null"));
  if (one) return example(one, depth + 1);
  if (schema.properties) {
    return Object.fromEntries(Object.entries(schema.properties).map(([name, member]) => [name, example(member, depth + 1)]));
  }
  const words = { uuid: "0199f1c2-8a51-7a30-b0a4-2f8b5a6c7d8e", "date-time": "2026-11-21T10:15:00Z", binary: "@file" };
  switch (types(schema).find((type) => type !== "null")) {
    case "array": return [example(schema.items, depth + 1)];
    case "boolean": return false;
    case "integer": case "number": return schema.minimum ?? 0;
    case "string": return words[schema.format] ?? "";
    default: return {};
  }
}

/** The operation as one types it. */
function curl(path, method, operation) {
  const lines = [`curl${method === "get" ? "" : ` -X ${method.toUpperCase()}`} "$SPOOL${path.replaceAll("{", "$").replaceAll("}", "")}"`];
  if (operation.security?.some((way) => way.api_key)) lines.push('-H "x-api-key: $KEY"');
  const content = resolve(operation.requestBody).content ?? {};
  if (content["application/json"]) {
    const body = JSON.stringify(example(content["application/json"].schema)).replaceAll("'", "'\\''");
    lines.push(`--json '${body}'`);
  } else if (content["multipart/form-data"]) {
    lines.push("-F file=@photo.jpg");
  }
  return lines.join(" \\\n  ");
}

function body(content = {}) {
  return Object.entries(content).flatMap(([type, { schema }]) => [
    make("p", { class: "quiet" }, make("code", {}, type), " ", schema ? typeOf(schema) : ""),
    ...(schema ? members(schema) : []),
  ]);
}

function parameters(list) {
  const rows = list.map(resolve).map((parameter) => make(
    "tr",
    {},
    make("td", {}, make("span", { class: "name" }, parameter.name), parameter.required ? make("span", { class: "required" }, "required") : ""),
    make("td", { class: "quiet" }, parameter.in),
    make("td", {}, typeOf(parameter.schema), bounds(resolve(parameter.schema)) && `, ${bounds(resolve(parameter.schema))}`,
      make("div", { class: "quiet" }, prose(parameter.description))),
  ));
  return make("table", {}, make("tbody", {}, rows));
}

function response([status, node]) {
  const answer = resolve(node);
  const kind = status.startsWith("2") ? "" : status >= "400" ? " error" : " other";
  const title = [make("span", { class: `status${kind}` }, status), make("span", {}, prose(answer.description))];
  const details = lazily("", () => {
    const headers = Object.entries(answer.headers ?? {}).map(([name, header]) => make(
      "p", { class: "quiet" }, make("code", {}, name), " ", prose(resolve(header).description),
    ));
    const drawn = [...headers, ...body(answer.content)];
    return drawn.length ? drawn : [make("p", { class: "quiet" }, "No body.")];
  }, { class: "response" });
  details.firstChild.append(...title);
  return details;
}

function operation({ path, method, what }) {
  const doors = (what.security ?? []).flatMap(Object.keys).map((name) => DOORS[name] ?? name);
  const title = make("summary", {}, make("span", { class: `method ${method}` }, method.toUpperCase()),
    make("span", { class: "path" }, path), make("span", { class: "what" }, prose(what.summary)));
  const details = make("details", { class: "operation", id: what.operationId }, title);
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const request = resolve(what.requestBody);
    details.append(make(
      "div",
      { class: "inside" },
      what.description ? make("p", {}, prose(what.description)) : "",
      make("p", { class: "door" }, doors.length ? `Needs ${doors.join(", or ")}.` : "Open to everybody."),
      what.parameters?.length ? [make("h4", {}, "Parameters"), parameters(what.parameters)] : "",
      request.content ? [make("h4", {}, request.required ? "Body" : "Body, which may be left out"), ...body(request.content)] : "",
      make("h4", {}, "Answers"),
      Object.entries(what.responses).map(response),
      make("h4", {}, "By hand"),
      make("pre", {}, curl(path, method, what)),
    ));
  });
  return details;
}

const operations = Object.entries(api.paths).flatMap(([path, item]) =>
  METHODS.filter((method) => item[method]).map((method) => ({ path, method, what: item[method] })));
const tags = api.tags ?? [];
const listed = tags.map((tag) => ({ ...tag, operations: operations.filter(({ what }) => what.tags?.[0] === tag.name) }))
  .filter((tag) => tag.operations.length);

const schemas = Object.keys(api.components?.schemas ?? {}).sort();
document.getElementById("reference").replaceChildren(
  make("h1", {}, `${api.info.title} API`),
  make("p", { class: "quiet" }, `Version ${api.info.version}, OpenAPI ${api.openapi}: `, make("a", { href: "openapi.json" }, "openapi.json")),
  make("p", {}, prose(api.info.description)),
  ...listed.map((tag) => make("section", { id: `tag-${tag.name}` }, make("h2", {}, tag.name),
    make("p", { class: "quiet" }, prose(tag.description)), tag.operations.map(operation))),
  make("section", { id: "tag-schemas" }, make("h2", {}, "schemas"), schemas.map((name) => {
    const schema = api.components.schemas[name];
    const details = lazily(name, () => [make("div", { class: "inside" },
      schema.description ? make("p", {}, prose(schema.description)) : "",
      opens(schema) ? members(schema) : make("p", {}, typeOf(schema)),
      schema.example ? make("pre", {}, JSON.stringify(schema.example, null, 2)) : "")], { class: "schema", id: `schema-${name}` });
    return details;
  })),
);

const links = listed.flatMap((tag) => [
  make("h2", { "data-tag": tag.name }, tag.name),
  ...tag.operations.map(({ path, method, what }) => make("a", { href: `#${what.operationId}`, "data-tag": tag.name, title: what.summary },
    make("span", { class: `method ${method}` }, method.toUpperCase()), make("span", {}, path.replace("/api/v3", "")))),
]);
document.getElementById("contents").replaceChildren(...links, make("h2", {}, make("a", { href: "#tag-schemas" }, "schemas")));

/** Leaves what has the word in its method, path, name or summary. */
function filter(word) {
  const wanted = word.trim().toLowerCase();
  const left = new Set();
  for (const { path, method, what } of operations) {
    const text = `${method} ${path} ${what.operationId} ${what.summary} ${what.tags}`.toLowerCase();
    const hidden = !text.includes(wanted);
    document.getElementById(what.operationId).hidden = hidden;
    document.querySelector(`nav a[href="#${what.operationId}"]`).hidden = hidden;
    if (!hidden) left.add(what.tags[0]);
  }
  for (const tag of listed) {
    document.querySelector(`nav h2[data-tag="${tag.name}"]`).hidden = !left.has(tag.name);
    document.getElementById(`tag-${tag.name}`).hidden = !left.has(tag.name);
  }
}
document.getElementById("filter").addEventListener("input", (event) => filter(event.target.value));

/** Opens what the address names. */
function open() {
  const named = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (!named) return;
  if (named.tagName === "DETAILS") named.open = true;
  named.scrollIntoView();
}
addEventListener("hashchange", open);
open();
