"""What a camera answers over ONVIF, through the checks and zeep's reading of the XML. The first byte says
which question it answers."""

from typing import Any
from unittest.mock import Mock

from onvif.client import ONVIFService
from onvif.definition import SERVICES

from streamer.errors import StreamerError
from streamer.sources.address import CameraUrl
from streamer.sources.onvif import Login
from streamer.sources.onvif_talk import _WSDL, Talk, check_answer, describe_profile
from tests.fuzz.pieces import run

_QUESTIONS = (
    ("devicemgmt", "GetSystemDateAndTime"),
    ("devicemgmt", "GetCapabilities"),
    ("media", "GetProfiles"),
    ("media", "GetStreamUri"),
)


async def _clients() -> dict[str, Any]:
    clients = {}
    for name in dict(_QUESTIONS):
        definition = SERVICES[name]
        service: Any = ONVIFService(
            "http://10.0.0.5/onvif",
            "",
            "",
            str(_WSDL / definition["wsdl"]),
            no_cache=True,
            binding_name=f"{{{definition['ns']}}}{definition['binding']}",
        )
        await service.setup()
        clients[name] = service.zeep_client_authless
        await service.close()
    return clients


_CLIENTS = run(_clients())
_TALK = Talk(CameraUrl("http", "10.0.0.5", 80, "/"), [], Login(), 1.0)


def _binding(name: str) -> Any:
    definition = SERVICES[name]
    return _CLIENTS[name].wsdl.bindings[f"{{{definition['ns']}}}{definition['binding']}"]


async def _read(service: str, name: str, body: bytes) -> None:
    binding = _binding(service)

    async def answer() -> Any:
        check_answer(body)
        response = Mock(status_code=200, content=body, headers={}, encoding="utf-8")
        return binding.process_reply(_CLIENTS[service], binding.get(name), response)

    try:
        answered = await _TALK._answer(answer())
    except StreamerError:
        return
    if name == "GetProfiles":
        for profile in list(answered or ()):
            describe_profile(profile, answered)
    if name == "GetSystemDateAndTime":
        await _TALK._ask_clock(Mock(authless_GetSystemDateAndTime=lambda: _said(answered)))


async def _said(answer: Any) -> Any:
    return answer


def fuzz(data: bytes) -> None:
    service, name = _QUESTIONS[(data[0] if data else 0) % len(_QUESTIONS)]
    run(_read(service, name, data[1:]))
