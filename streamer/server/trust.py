"""/trust: how a device learns to trust the certificate that the server has made for itself."""

from http import HTTPStatus
from typing import Final

from aiohttp import web

from streamer.access import Role
from streamer.server.keys import SERVICES
from streamer.server.openapi import Answer, describe, json_answer, text_body
from streamer.server.problems import problem
from streamer.server.shapes import TrustInfo

_CERTIFICATE: Final = "application/x-x509-ca-cert"

routes = web.RouteTableDef()


@routes.get("/trust/authority")
@describe(
    "Service",
    "The authority of the certificate",
    role=Role.NONE,
    answers={200: json_answer(TrustInfo)},
)
async def show_authority(request: web.Request) -> web.Response:
    authority = request.app[SERVICES].authority
    shown = authority and {
        "name": authority.name,
        "sha256": authority.fingerprint,
        "until": authority.certificate.not_valid_after_utc.date().isoformat(),
    }
    return web.json_response({"authority": shown})


@routes.get("/trust/ca.crt")
@describe(
    "Service",
    "The authority's certificate, for a device to trust",
    role=Role.NONE,
    answers={200: Answer("In PEM", text_body(_CERTIFICATE))},
    problems=(404,),
)
async def certificate(request: web.Request) -> web.Response:
    """PEM. Of this type, so that phones offer to install it."""
    authority = request.app[SERVICES].authority
    if authority is None:
        detail = "This server has no certificate authority: start it with --tls."
        return problem(request, HTTPStatus.NOT_FOUND, "not-found", detail)
    return web.Response(body=authority.pem, content_type=_CERTIFICATE)
