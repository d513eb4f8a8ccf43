// /docs: the API's description (openapi.json) as a page to read.

import { requestJson, sentence } from "./api.js";
import { url } from "./base.js";
import { byId, element } from "./dom.js";
import { t } from "./i18n.js";
import { showRole } from "./me.js";

/** @typedef {Record<string, any>} Schema JSON Schema */
/**
 * @typedef {object} Operation
 * @property {string} operationId
 * @property {string[]} tags
 * @property {string} summary
 * @property {string} [description]
 * @property {{name: string, in: string, required?: boolean, description?: string, schema: Schema}[]} [parameters]
 * @property {{content: Record<string, {schema: Schema}>}} [requestBody]
 * @property {string} x-role
 * @property {Record<string, {description: string, content?: Record<string, {schema: Schema}>, headers?: Record<string, {description: string}>}>} responses
 */

const MAX_DEPTH = 4; // of fields within fields: deeper ones are in openapi.json
const contents = byId("contents", HTMLElement);
const list = byId("operations", HTMLElement);

/** @type {Record<string, Schema>} */
let schemas = {};

async function show() {
  try {
    const document_ = await requestJson("GET", "/api/v1/openapi.json");
    schemas = document_.components.schemas;
    list.replaceChildren();
    for (const { name } of document_.tags) showGroup(name, document_.paths);
    openTarget();
  } catch (error) {
    list.replaceChildren(element("p", { class: "message", "data-kind": "error" }, sentence(error)));
  } finally {
    list.setAttribute("aria-busy", "false");
  }
}

/**
 * @param {string} name
 * @param {Record<string, Record<string, Operation>>} paths
 */
function showGroup(name, paths) {
  contents.append(element("h2", {}, t(name)));
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      if (operation.tags[0] !== name || method === "options") continue;
      const link = element("a", { href: `${location.pathname}#${operation.operationId}` });
      link.append(operation.summary, element("small", { class: "muted" }, path));
      contents.append(link);
      list.append(operationOf(method, path, operation));
    }
  }
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 */
function operationOf(method, path, operation) {
  const shown = element("article", { class: "operation", id: operation.operationId });
  const badge = element("span", { class: "method", "data-method": method }, method);
  shown.append(
    element("h3", {}, operation.summary),
    element("p", { class: "address" }, badge, element("code", {}, path)),
  );
  const role = operation["x-role"];
  if (role !== "none") shown.append(element("p", { class: "muted" }, t("Takes the role {role}.", { role })));
  if (operation.description) shown.append(element("p", { class: "muted" }, operation.description));
  if (operation.parameters) {
    const rows = operation.parameters.map(({ name, required, description, schema }) =>
      row(name, required ?? false, { ...schema, description }, 0));
    shown.append(element("h4", {}, t("Parameters")), fieldsTable(rows));
  }
  for (const [type, { schema }] of Object.entries(operation.requestBody?.content ?? {})) {
    shown.append(element("h4", {}, `${t("Body")}: ${type}`), ...schemaOf(schema, 0));
  }
  const answers = Object.entries(operation.responses);
  for (const [status, answer] of answers.filter(([code]) => code < "300")) {
    shown.append(element("h4", {}, `${status} · ${answer.description}`));
    for (const [name, { description }] of Object.entries(answer.headers ?? {})) {
      shown.append(element("p", {}, element("code", {}, name), ` ${description}`));
    }
    for (const [type, { schema }] of Object.entries(answer.content ?? {})) {
      const details = element("details", {}, element("summary", {}, type));
      details.append(...schemaOf(schema, 0));
      shown.append(details);
    }
  }
  const problems = answers.filter(([code]) => code >= "300");
  const words = problems.map(([code, { description }]) => `${code} ${description.toLowerCase()}`);
  shown.append(element("p", { class: "muted" }, `${t("Problems")}: ${words.join(" · ")}`));
  shown.append(element("pre", { tabindex: "0" }, curlOf(method, path, operation)));
  return shown;
}

/**
 * What a schema says, for a person: a table of fields, or a word.
 * @param {Schema} schema
 * @param {number} depth
 * @returns {Node[]}
 */
function schemaOf(schema, depth) {
  const known = resolve(schema);
  const inner = resolve(known.items ?? known);
  if (depth > MAX_DEPTH || !inner.properties) return [element("code", {}, wordOf(schema))];
  const required = new Set(inner.required);
  const rows = Object.entries(inner.properties).map(([name, each]) =>
    row(name, required.has(name), each, depth + 1));
  const intro = known.items ? [element("p", { class: "muted" }, t("A list of:"))] : [];
  return [...intro, fieldsTable(rows)];
}

/** @param {HTMLTableRowElement[]} rows */
function fieldsTable(rows) {
  return element("table", { class: "fields" }, element("tbody", {}, ...rows));
}

/**
 * @param {string} name
 * @param {boolean} required
 * @param {Schema} schema
 * @param {number} depth
 */
function row(name, required, schema, depth) {
  const told = element("td", {}, element("code", {}, wordOf(schema)));
  const description = schema.description ?? resolve(schema).description;
  if (description) told.append(` ${description}`);
  const inner = innerOf(schema);
  if (inner) {
    told.append(element("details", {}, element("summary", {}, t("fields")), ...schemaOf(inner, depth)));
  }
  const key = element("code", required ? { class: "required", title: t("required") } : {}, name);
  return element("tr", {}, element("td", {}, key), told);
}

/**
 * The schema with fields of its own behind a field's, if there is one.
 * @param {Schema} schema
 */
function innerOf(schema) {
  const options = [schema, ...(schema.anyOf ?? schema.oneOf ?? [])];
  return options.find((each) => resolve(resolve(each).items ?? each).properties) ?? null;
}

/**
 * @param {Schema} schema
 * @returns {string} such as `string | null`, `StreamInfo[]`, `0..1`
 */
function wordOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(wordOf).join(" | ");
  if (schema.enum) return schema.enum.map((/** @type {unknown} */ each) => JSON.stringify(each)).join(" | ");
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.type === "array") return schema.items ? `${wordOf(schema.items)}[]` : "array";
  const limits = [schema.minimum ?? schema.exclusiveMinimum, schema.maximum];
  const range = limits.some((each) => each !== undefined) ? ` ${limits[0] ?? "…"}..${limits[1] ?? "…"}` : "";
  const preset = schema.default === undefined ? "" : ` = ${JSON.stringify(schema.default)}`;
  return `${schema.type ?? "any"}${range}${preset}`;
}

/**
 * @param {Schema} schema
 * @returns {Schema}
 */
function resolve(schema) {
  return schema.$ref ? schemas[schema.$ref.split("/").at(-1)] ?? {} : schema;
}

/**
 * @param {string} method
 * @param {string} path
 * @param {Operation} operation
 */
function curlOf(method, path, operation) {
  const address = location.origin + url(path.replace("{id}", "door"));
  const verb = method === "get" ? "" : `-X ${method.toUpperCase()} `;
  const [type] = Object.keys(operation.requestBody?.content ?? {});
  const stays = operation.responses["200"]?.content?.["text/event-stream"] ? "-N " : "";
  if (!type) return `curl ${stays}${verb}${address}`;
  if (type === "multipart/form-data") return `curl ${verb}${address} -F image=@picture.jpg`;
  const data = type === "application/json" ? "'{…}'" : "@file";
  return `curl ${verb}${address} \\\n     -H 'Content-Type: ${type}' --data-binary ${data}`;
}

/** The operations come after the page's address was looked up. */
function openTarget() {
  const wanted = document.getElementById(location.hash.slice(1));
  if (wanted) location.replace(location.href);
}

void show();
void showRole();
