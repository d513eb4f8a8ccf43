"""/trust: how a device learns to trust the certificate that the server has made for itself."""

from http import HTTPStatus

from aiohttp import web

from streamer.server.keys import SERVICES
from streamer.server.problems import problem

routes = web.RouteTableDef()


@routes.get("/trust/authority")
async def show_authority(request: web.Request) -> web.Response:
    """``{"authority": {"name", "sha256", "until"}}``, or null without ``[server] tls``."""
    authority = request.app[SERVICES].authority
    shown = authority and {
        "name": authority.name,
        "sha256": authority.fingerprint,
        "until": authority.certificate.not_valid_after_utc.date().isoformat(),
    }
    return web.json_response({"authority": shown})


@routes.get("/trust/ca.crt")
async def certificate(request: web.Request) -> web.Response:
    """PEM. Of this type, so that phones offer to install it."""
    authority = request.app[SERVICES].authority
    if authority is None:
        detail = "This server has no certificate authority: start it with --tls."
        return problem(request, HTTPStatus.NOT_FOUND, "not-found", detail)
    return web.Response(body=authority.pem, content_type="application/x-x509-ca-cert")
