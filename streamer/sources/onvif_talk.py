"""One conversation with a camera over ONVIF, in a thread and a loop of its own. The only user of the ONVIF
libraries: imported when somebody asks a camera, not before."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import onvif
from aiohttp import ClientHandlerType, ClientMiddlewareType
from aiohttp.abc import AbstractResolver, ResolveResult
from lxml.etree import LxmlError
from onvif.client import ONVIFService
from onvif.definition import SERVICES
from onvif.zeep_aiohttp import AIOHTTPTransport
from zeep.exceptions import Error as ZeepError
from zeep.exceptions import Fault, TransportError

from streamer.errors import (
    SourceForbidden,
    SourceRejected,
    SourceUnreachable,
    SourceUnusable,
    StreamerError,
)
from streamer.sources.address import CameraUrl, IpAddress, check_not_ours
from streamer.sources.onvif import CameraStream, Login, parse_address
from streamer.sources.relay import camera_tls

MAX_ANSWER_BYTES = 1024 * 1024
MAX_STREAMS = 32

_WSDL = Path(onvif.__file__).parent / "wsdl"
"""They come with the library: nothing is fetched."""

_SETUP = {"Stream": "RTP-Unicast", "Transport": {"Protocol": "RTSP"}}
_ENCODING = re.compile(rb"""<\?xml[^>]{0,100}?encoding\s*=\s*["']([^"']{1,40})""", re.IGNORECASE)
_READABLE = (b"utf-8", b"us-ascii", b"iso-8859-1")
_UNREADABLE = (AttributeError, LookupError, TypeError, ValueError)
"""What zeep raises, besides its own, on XML that is not what the WSDL says."""

_NOT_AUTHORIZED = re.compile(r"not\s*authorized|failedauthentication|unauthorized", re.IGNORECASE)


class Talk:
    """``run`` it once."""

    def __init__(
        self, door: CameraUrl, addresses: Sequence[IpAddress], login: Login, timeout_s: float
    ) -> None:
        self._door = door
        self._addresses = addresses
        self._login = login
        self._timeout_s = timeout_s
        self._clock_offset: timedelta | None = None

    async def run(self) -> list[CameraStream]:
        """Raises SourceRejected, SourceForbidden or a SourceError; none of them holds a secret."""
        try:
            async with self._session() as session:
                await self._load(session)
                async with asyncio.timeout(self._timeout_s):
                    return await self._ask(session)
        except TimeoutError as error:
            raise SourceUnreachable(
                f"{self._door.place} does not answer within {self._timeout_s:g} s"
            ) from error

    async def _load(self, session: aiohttp.ClientSession) -> None:
        """The first time the library takes seconds to read its WSDLs, which is not the camera's fault."""
        for name in ("devicemgmt", "media"):
            async with self._service(session, name, self._door):
                pass

    async def _ask(self, session: aiohttp.ClientSession) -> list[CameraStream]:
        async with self._service(session, "devicemgmt", self._door) as device:
            self._clock_offset = await self._ask_clock(device)
        async with self._service(session, "devicemgmt", self._door) as device:
            abilities = await self._answer(
                self._ability(device, "GetCapabilities")({"Category": "Media"})
            )
        place = _get(abilities, "Media", "XAddr")
        if not isinstance(place, str):
            raise SourceUnusable(
                f"what answers at {self._door.place} speaks ONVIF, but has no video"
            )
        async with self._service(session, "media", self._same_camera(place)) as media:
            profiles = await self._answer(self._ability(media, "GetProfiles")())
            return [await self._stream(media, each) for each in list(profiles or ())[:MAX_STREAMS]]

    async def _ask_clock(self, device: ONVIFService) -> timedelta | None:
        """How far the camera's clock is ahead of ours: a login is dated, and refused when it seems old.
        Anybody may ask for it (ONVIF Core Specification, section 5.9.4.2), but not every camera knows."""
        try:
            answer = await self._answer(device.authless_GetSystemDateAndTime())
        except SourceRejected:
            return None
        date, time = _get(answer, "UTCDateTime", "Date"), _get(answer, "UTCDateTime", "Time")
        try:
            there = datetime(
                date.Year, date.Month, date.Day, time.Hour, time.Minute, time.Second, tzinfo=UTC
            )
        except (AttributeError, TypeError, ValueError):
            return None  # it has none, or one that is no date
        return there - datetime.now(UTC)

    def _ability(self, service: ONVIFService, name: str) -> Callable[..., Awaitable[Any]]:
        """What a service can do, with our login if there is one."""
        ability: Callable[..., Awaitable[Any]] = getattr(
            service, name if self._login.username else f"authless_{name}"
        )
        return ability

    async def _stream(self, media: ONVIFService, profile: Any) -> CameraStream:
        question = {"StreamSetup": _SETUP, "ProfileToken": _get(profile, "token")}
        return describe_profile(
            profile, await self._answer(self._ability(media, "GetStreamUri")(question))
        )

    def _same_camera(self, place: str) -> CameraUrl:
        """Where the camera says that its media service is. Its credentials go nowhere else."""
        try:
            url = parse_address(place)
        except StreamerError as error:
            raise SourceUnusable("the camera gives no address for its video service") from error
        if url.host != self._door.host and url.host not in map(str, self._addresses):
            raise SourceForbidden(
                f"the camera at {self._door.place} sends you to {url.place}: enter that address itself"
            )
        check_not_ours(self._addresses, url.port)
        return url

    @asynccontextmanager
    async def _service(
        self, session: aiohttp.ClientSession, name: str, place: CameraUrl
    ) -> AsyncIterator[ONVIFService]:
        definition = SERVICES[name]
        service = ONVIFService(
            f"{place.scheme}://{place.place}{place.path}",
            self._login.username,
            self._login.password,
            str(_WSDL / definition["wsdl"]),
            no_cache=True,
            dt_diff=self._clock_offset,
            binding_name=f"{{{definition['ns']}}}{definition['binding']}",
        )
        service.transport = AIOHTTPTransport(session, verify_ssl=False)
        try:
            await service.setup()
            yield service
        finally:
            await service.close()

    async def _answer(self, question: Awaitable[Any]) -> Any:
        """Awaits a camera's answer; its errors become ours."""
        try:
            return await question
        except Fault as error:
            told = f"{error.message} {error.code} {error.subcodes}"
            if _NOT_AUTHORIZED.search(told):
                raise self._rejected() from None
            raise SourceUnusable(
                "the camera refuses to answer; is ONVIF switched on there?"
            ) from error
        except TransportError as error:
            if error.status_code in (401, 403):
                raise self._rejected() from None
            raise self._no_onvif() from error
        except aiohttp.ClientConnectorError as error:
            raise SourceUnreachable(f"{self._door.place} can't be reached") from error
        except (aiohttp.ClientError, ZeepError, LxmlError, *_UNREADABLE) as error:
            raise self._no_onvif() from error

    def _rejected(self) -> SourceRejected:
        return SourceRejected(
            "wrong or missing user name or password; some cameras have users for ONVIF of their own"
        )

    def _no_onvif(self) -> SourceUnusable:
        return SourceUnusable(
            f"what answers at {self._door.place} does not speak ONVIF: is it switched on in the camera?"
        )

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Reaches the camera's addresses and nothing else; takes no proxy from the environment."""
        middlewares: list[ClientMiddlewareType] = [self._stay]
        if self._login.username:  # some want it beside the login in the message
            login = aiohttp.DigestAuthMiddleware(self._login.username, self._login.password)
            middlewares.insert(0, login)
        async with aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=camera_tls(), resolver=_Resolved(self._addresses)),
            response_class=_SmallAnswer,
            middlewares=middlewares,
            timeout=aiohttp.ClientTimeout(),  # `run` has one for all
            headers={"Accept-Encoding": "identity"},
            auto_decompress=False,  # a few bytes could become very many
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
        ) as session:
            yield session

    async def _stay(
        self, request: aiohttp.ClientRequest, handler: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Lets no request go elsewhere, be it by a redirect or by whatever a library thinks of."""
        if request.url.host not in {self._door.host, *map(str, self._addresses)}:
            raise SourceForbidden(f"{self._door.place} sends you to another address")
        response = await handler(request)
        if 300 <= response.status < 400:
            response.close()
            raise SourceForbidden(f"{self._door.place} sends you to another address")
        return response


class _Resolved(AbstractResolver):
    """The addresses that the host was found to have, and that are allowed: its name may mean others a
    moment later."""

    def __init__(self, addresses: Sequence[IpAddress]) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            {
                "hostname": host,
                "host": str(address),
                "port": port,
                "family": socket.AF_INET6 if address.version == 6 else socket.AF_INET,
                "proto": 0,
                "flags": socket.AI_NUMERICHOST,
            }
            for address in self._addresses
        ]

    async def close(self) -> None: ...


class _Hostile(aiohttp.ClientError):
    """An answer that no camera gives."""


class _SmallAnswer(aiohttp.ClientResponse):
    """An answer of bounded size, in an encoding that can be checked, without a DTD (SOAP 1.2, part 1,
    section 5, forbids one): entities in it would grow without end."""

    async def read(self) -> bytes:
        if self._body is None:
            body = bytearray()
            async for chunk in self.content.iter_chunked(64 * 1024):
                body += chunk
                if len(body) > MAX_ANSWER_BYTES:
                    self.close()
                    raise _Hostile("too large")
            check_answer(body)
            self._body = bytes(body)
        return self._body


def check_answer(body: bytes | bytearray) -> None:
    """Raises aiohttp.ClientError for XML that must not be read."""
    encoding = _ENCODING.search(body)
    if b"<!DOCTYPE" in body or b"\0" in body:
        raise _Hostile("a DTD, or two bytes a character")
    if encoding and encoding[1].lower() not in _READABLE:
        raise _Hostile("an unusual encoding")


def describe_profile(profile: Any, answer: Any) -> CameraStream:
    """A profile of a camera, and its answer to where that profile's video is."""
    encoder = _get(profile, "VideoEncoderConfiguration")
    return CameraStream(
        name=str(_get(profile, "Name") or _get(profile, "token") or "")[:100],
        url=str(_get(answer, "Uri") or ""),
        codec=str(codec).lower()[:20] if (codec := _get(encoder, "Encoding")) else None,
        width=_number(_get(encoder, "Resolution", "Width")),
        height=_number(_get(encoder, "Resolution", "Height")),
        fps=_number(_get(encoder, "RateControl", "FrameRateLimit")),
    )


def _get(thing: Any, *names: str) -> Any:
    """An attribute of an attribute; None where one is missing."""
    for name in names:
        thing = getattr(thing, name, None)
    return thing


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and 0 < value < 100_000 else None
