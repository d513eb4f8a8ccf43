"""The API's description, OpenAPI 3.1: made from what each handler says of itself and from its models."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler
from pydantic import BaseModel, TypeAdapter

from streamer import __version__
from streamer.access import Role
from streamer.config import StreamId
from streamer.server.keys import OUTSIDE
from streamer.server.rules import Narrow, Rule, ruled
from streamer.server.shapes import Problem

H = TypeVar("H", bound=Handler)

JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
_REFERENCE: Final = "#/components/schemas/{model}"
_OF_ALL: Final = (
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_URI_TOO_LONG,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_OF_GUARDED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
_OF_BODIES: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
_WAYS_IN: Final = {
    "token": {"type": "http", "scheme": "bearer"},
    "password": {"type": "http", "scheme": "basic", "description": "The token; any name"},
    "session": {"type": "apiKey", "in": "cookie", "name": "streamer_session"},
    "ticket": {"type": "apiKey", "in": "query", "name": "ticket"},
}
_ID: Final = TypeAdapter(StreamId).json_schema()


@dataclass(frozen=True, slots=True)
class Content:
    """A body: its media type, and its model: a type that pydantic knows, or a JSON Schema."""

    media_type: str
    model: Any


@dataclass(frozen=True, slots=True)
class Answer:
    """``contents``: the forms that it may come in."""

    meaning: str
    contents: tuple[Content, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Query:
    """A parameter in the query, always optional. ``schema``: JSON Schema."""

    name: str
    meaning: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """What a handler says of itself. ``problems``: the statuses of its own errors; those that every
    request may meet are added."""

    group: str
    summary: str
    body: tuple[Content, ...]
    answers: Mapping[int, Answer]
    problems: tuple[int, ...]
    query: tuple[Query, ...]
    detail: str
    rule: Rule


_OPERATION: Final = "__operation__"


def describe(
    group: str,
    summary: str,
    *,
    role: Role,
    narrow: Narrow = Narrow.REFUSED,
    ticket: bool = False,
    answers: Mapping[int, Answer],
    body: tuple[Content, ...] = (),
    problems: tuple[int, ...] = (),
    query: tuple[Query, ...] = (),
) -> Callable[[H], H]:
    """Says what a handler is for, and as ``rules.Rule`` has it, who may use it; its docstring says more."""

    def note(handler: H) -> H:
        detail = " ".join((handler.__doc__ or "").split())
        rule = Rule(role, narrow, ticket)
        operation = Operation(group, summary, body, answers, problems, query, detail, rule)
        setattr(handler, _OPERATION, operation)
        return ruled(rule)(handler)

    return note


def json_body(model: Any) -> tuple[Content, ...]:
    return (Content(JSON, model),)


def json_answer(model: Any, meaning: str = "OK") -> Answer:
    return Answer(meaning, json_body(model))


def queries(model: type[BaseModel]) -> tuple[Query, ...]:
    """The fields of a model, each with its description, as parameters of the query; none of them is ever
    null there."""
    properties = model.model_json_schema()["properties"]
    return tuple(
        Query(name, schema.pop("description"), _not_null(schema))
        for name, schema in properties.items()
    )


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" not in schema:
        return schema
    (inner,) = (each for each in schema["anyOf"] if each != {"type": "null"})
    return dict(inner)


def text_body(media_type: str) -> tuple[Content, ...]:
    return (Content(media_type, {"type": "string"}),)


def operations(app: web.Application) -> Iterator[tuple[str, str, Operation | None]]:
    """Method, path, and what is said of it; None for what nobody has described, such as pages."""
    for route in app.router.routes():
        if route.resource is not None and route.method != "HEAD":
            operation = getattr(route.handler, _OPERATION, None)
            yield route.method.lower(), route.resource.canonical, operation


def make_document(app: web.Application) -> dict[str, Any]:
    """The OpenAPI document, without ``servers``."""
    schemas = _Schemas()
    paths: dict[str, dict[str, Any]] = {}
    groups: dict[str, None] = {}
    for method, path, operation in operations(app):
        if operation is not None:
            paths.setdefault(path, {})[method] = _operation(method, path, operation, schemas)
            groups.setdefault(operation.group)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Streamer",
            "version": __version__,
            "summary": "Live human pose from any camera, on your own machine.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": [{"name": name} for name in groups],
        "paths": paths,
        "components": {
            "schemas": schemas.definitions,
            "securitySchemes": _WAYS_IN,
        },
    }


def _operation(method: str, path: str, operation: Operation, schemas: "_Schemas") -> dict[str, Any]:
    parameters: list[dict[str, Any]] = [
        {"name": each.name, "in": "query", "description": each.meaning, "schema": dict(each.schema)}
        for each in operation.query
    ]
    if "{id}" in path:
        schema = _id_schema(method, path)
        parameters.insert(0, {"name": "id", "in": "path", "required": True, "schema": schema})
    made: dict[str, Any] = {
        "operationId": _name(method, path),
        "tags": [operation.group],
        "summary": operation.summary,
        "responses": _responses(operation, schemas),
        "security": _security(operation.rule),
        "x-role": operation.rule.role.word,
    }
    if operation.detail:
        made["description"] = operation.detail
    if parameters:
        made["parameters"] = parameters
    if operation.body:
        made["requestBody"] = {"required": True, "content": _contents(operation.body, schemas)}
    return made


def _security(rule: Rule) -> list[dict[str, list[str]]]:
    """Nothing, where the server has no token; else any of these, whose lists name the role that is needed
    (OpenAPI 3.1, Security Requirement Object)."""
    if rule.role is Role.NONE:
        return []
    ways = ("token", "password", "session", *(("ticket",) if rule.ticket else ()))
    return [{}, *({way: [rule.role.word]} for way in ways)]


def _responses(operation: Operation, schemas: "_Schemas") -> dict[str, Any]:
    answers = {
        str(int(status)): {
            "description": answer.meaning,
            **({"content": _contents(answer.contents, schemas)} if answer.contents else {}),
            **({"headers": _headers(answer.headers)} if answer.headers else {}),
        }
        for status, answer in operation.answers.items()
    }
    guarded = () if operation.rule.role is Role.NONE else _OF_GUARDED
    bodies = _OF_BODIES if operation.body else ()
    statuses = {*operation.problems, *_OF_ALL, *guarded, *bodies}
    problem = _contents((Content(PROBLEM, Problem),), schemas)
    for status in sorted(map(int, statuses)):
        words = HTTPStatus(status).name.replace("_", " ").capitalize()
        answers.setdefault(str(status), {"description": words, "content": problem})
    return answers


def _headers(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        name: {"description": meaning, "schema": {"type": "string"}}
        for name, meaning in headers.items()
    }


def _contents(contents: tuple[Content, ...], schemas: "_Schemas") -> dict[str, Any]:
    return {each.media_type: {"schema": schemas.of(each.model)} for each in contents}


def _id_schema(method: str, path: str) -> dict[str, Any]:
    """A peer's id is any word, and what an address takes is the same for every id."""
    is_streams = path.startswith("/api/v1/streams/") or method == "post"
    return dict(_ID) if is_streams else {"type": "string"}


def _name(method: str, path: str) -> str:
    words = path.replace("/api/v1", "").replace("{id}", "one").replace(".", "/").strip("/")
    return "_".join([method, *words.replace("-", "_").split("/")])


class _Schemas:
    """The models' JSON Schemas, each once under its name."""

    def __init__(self) -> None:
        self.definitions: dict[str, Any] = {}

    def of(self, model: Any) -> dict[str, Any]:
        if isinstance(model, Mapping):
            return dict(model)
        schema = TypeAdapter(model).json_schema(ref_template=_REFERENCE)
        self.definitions |= schema.pop("$defs", {})
        if not isinstance(model, type) or schema.get("type") != "object":
            return schema
        self.definitions[model.__name__] = schema
        return {"$ref": _REFERENCE.format(model=model.__name__)}


def add_document(app: web.Application) -> None:
    """Serves the description of all routes that the application has by now."""
    document = make_document(app)

    @describe(
        "API",
        "This description",
        role=Role.VIEW,
        narrow=Narrow.BY_HANDLER,
        answers={200: json_answer(dict[str, Any])},
    )
    async def show(request: web.Request) -> web.Response:
        return web.json_response({**document, "servers": [{"url": request[OUTSIDE].path("/")}]})

    path = "/api/v1/openapi.json"
    app.router.add_get(path, show)
    for method, own, operation in operations(app):
        if own == path and operation is not None:
            document["paths"][path] = {method: _operation(method, path, operation, _Schemas())}
