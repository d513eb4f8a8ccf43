"""A camera that speaks ONVIF, in front of a real RTSP server: answers searches, checks logins, and lies when
it is told to. What it is asked stands in ``requests``."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Literal, Self

if TYPE_CHECKING:
    from types import TracebackType

GROUP, PORT = "239.255.255.250", 3702
LOOPBACK = "127.0.0.1"
MAX_LOGIN_AGE_S = 5.0

Mood = Literal[
    "honest", "redirect", "bomb", "huge", "slow", "not xml", "html", "utf-16", "no media"
]

_ENVELOPE = (
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope'
    ' xmlns:s="http://www.w3.org/2003/05/soap-envelope"'
    ' xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"'
    ' xmlns:d="http://schemas.xmlsoap.org/ws/2005/04/discovery"'
    ' xmlns:dn="http://www.onvif.org/ver10/network/wsdl"'
    ' xmlns:tds="http://www.onvif.org/ver10/device/wsdl"'
    ' xmlns:trt="http://www.onvif.org/ver10/media/wsdl"'
    ' xmlns:tt="http://www.onvif.org/ver10/schema"'
    ' xmlns:ter="http://www.onvif.org/ver10/error">%s</s:Envelope>'
)
_BOMB = (
    '<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a0 "ha">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    + ']><s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" x="&a9;">&a9;</s:Envelope>'
)


def _body(content: str) -> str:
    return _ENVELOPE % f"<s:Body>{content}</s:Body>"


def _fault(subcode: str) -> str:
    return _body(
        "<s:Fault><s:Code><s:Value>s:Sender</s:Value>"
        f"<s:Subcode><s:Value>{subcode}</s:Value></s:Subcode></s:Code>"
        '<s:Reason><s:Text xml:lang="en">Sender not Authorized</s:Text></s:Reason></s:Fault>'
    )


@dataclass
class OnvifCamera:
    """A context manager. ``clock_s``: how far its clock is ahead; ``media_url``: where it says that its media
    service is (its own); ``search_on``: the address of this machine on which it hears searches; ``host``:
    where it answers."""

    rtsp_url: str
    user: str = ""
    password: str = ""
    name: str = "Test_Camera"
    clock_s: float = 0.0
    mood: Mood = "honest"
    media_url: str = ""
    search_on: str = LOOPBACK
    host: str = LOOPBACK
    extra_answers: list[bytes] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                camera._serve(self)

            def do_GET(self) -> None:
                camera.requests.append(f"GET {self.path}")
                self.send_error(404)

            def log_message(self, format: str, *args: object) -> None: ...

        self._quit = threading.Event()
        self._http = ThreadingHTTPServer((self.host, 0), Handler)
        self._http.daemon_threads = True
        self._udp = self._listen()
        self._threads = [
            threading.Thread(target=self._http.serve_forever, args=(0.05,), name="onvif-http"),
            threading.Thread(target=self._hear, name="onvif-search"),
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._quit.set()
        self._http.shutdown()
        self._http.server_close()
        for thread in self._threads:
            thread.join(5)
        self._udp.close()

    @property
    def port(self) -> int:
        port: int = self._http.server_address[1]
        return port

    @property
    def xaddr(self) -> str:
        return f"http://{self.host}:{self.port}/onvif/device_service"

    # -- WS-Discovery --------------------------------------------------------------------------------

    def _listen(self) -> socket.socket:
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        udp.bind((GROUP, PORT))
        membership = struct.pack("4s4s", socket.inet_aton(GROUP), socket.inet_aton(self.search_on))
        udp.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        udp.settimeout(0.1)
        return udp

    def _hear(self) -> None:
        while not self._quit.is_set():
            try:
                data, asker = self._udp.recvfrom(65536)
            except TimeoutError:
                continue
            probe = data.decode("utf-8", "replace")
            question = re.search(r"MessageID>\s*([^<\s]+)", probe)
            if question is None or "Probe" not in probe:
                continue
            self.requests.append("Probe")
            for answer in [*self.extra_answers, self._match(question[1]).encode()]:
                self._udp.sendto(answer.replace(b"{question}", question[1].encode()), asker)

    def _match(self, question: str) -> str:
        scopes = (
            f"onvif://www.onvif.org/name/{self.name} onvif://www.onvif.org/hardware/T-1000"
            " onvif://www.onvif.org/Profile/Streaming"
        )
        return match_message(question, self.xaddr, scopes)

    # -- SOAP ----------------------------------------------------------------------------------------

    def _serve(self, handler: BaseHTTPRequestHandler) -> None:
        text = handler.rfile.read(int(handler.headers["Content-Length"])).decode()
        operation = re.search(r"Body[^>]*>\s*<(?:\w+:)?(\w+)", text)
        name = operation[1] if operation else "?"
        self.requests.append(name)
        status, content = self._answer(name, text)
        if status == 302:
            handler.send_response(302)
            handler.send_header("Location", content)
            handler.end_headers()
            return
        data = content.encode("utf-16" if self.mood == "utf-16" else "utf-8")
        handler.send_response(status)
        handler.send_header("Content-Type", "application/soap+xml; charset=utf-8")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        try:
            handler.wfile.write(data)
        except OSError:  # who asked has had enough
            return

    def _answer(self, name: str, text: str) -> tuple[int, str]:
        match self.mood:
            case "redirect":
                return 302, self.media_url
            case "bomb":
                return 200, _BOMB
            case "huge":
                return 200, _body("<x>" + "y" * 50_000_000 + "</x>")
            case "slow":
                self._quit.wait(30)
                return 200, ""
            case "not xml":
                return 200, "\x01\x02 what?"
            case "html":
                return 404, "<html><body>Not found</body></html>"
        if name == "GetSystemDateAndTime":
            return 200, _body(self._clock())
        if self.user and not self._knows(text):
            return 400, _fault("ter:NotAuthorized")
        answers = {
            "GetCapabilities": self._abilities,
            "GetProfiles": self._profiles,
            "GetStreamUri": self._uri,
        }
        return (
            (200, _body(answers[name]())) if name in answers else (400, _fault("ter:NotSupported"))
        )

    def _knows(self, text: str) -> bool:
        """WS-Security UsernameToken Profile 1.1, section 3.1: SHA-1 of nonce, date and password; a date that
        is not now by the camera's own clock is refused, as many cameras do."""
        user, digest, nonce, created = (
            found[1] if (found := re.search(rf"<(?:\w+:)?{tag}(?:\s[^>]*)?>([^<]*)<", text)) else ""
            for tag in ("Username", "Password", "Nonce", "Created")
        )
        right = hashlib.sha1(
            base64.b64decode(nonce) + created.encode() + self.password.encode(),
            usedforsecurity=False,
        ).digest()
        if user != self.user or base64.b64decode(digest) != right:
            return False
        age = self._now() - datetime.fromisoformat(created)
        return abs(age.total_seconds()) < MAX_LOGIN_AGE_S

    def _now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.clock_s)

    def _clock(self) -> str:
        now = self._now()
        return (
            "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime>"
            "<tt:DateTimeType>Manual</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
            f"<tt:UTCDateTime><tt:Time><tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute>"
            f"<tt:Second>{now.second}</tt:Second></tt:Time><tt:Date><tt:Year>{now.year}</tt:Year>"
            f"<tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day></tt:Date></tt:UTCDateTime>"
            "</tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>"
        )

    def _abilities(self) -> str:
        place = self.media_url or f"http://{self.host}:{self.port}/onvif/media_service"
        media = (
            ""
            if self.mood == "no media"
            else (f"<tt:Media><tt:XAddr>{place}</tt:XAddr><tt:StreamingCapabilities/></tt:Media>")
        )
        return (
            f"<tds:GetCapabilitiesResponse><tds:Capabilities>{media}</tds:Capabilities>"
            "</tds:GetCapabilitiesResponse>"
        )

    def _profiles(self) -> str:
        return (
            '<trt:GetProfilesResponse><trt:Profiles token="main" fixed="true"><tt:Name>Main stream</tt:Name>'
            '<tt:VideoEncoderConfiguration token="v"><tt:Name>v</tt:Name><tt:UseCount>1</tt:UseCount>'
            "<tt:Encoding>H264</tt:Encoding><tt:Resolution><tt:Width>640</tt:Width>"
            "<tt:Height>480</tt:Height></tt:Resolution><tt:Quality>5</tt:Quality><tt:RateControl>"
            "<tt:FrameRateLimit>30</tt:FrameRateLimit><tt:EncodingInterval>1</tt:EncodingInterval>"
            "<tt:BitrateLimit>2000</tt:BitrateLimit></tt:RateControl></tt:VideoEncoderConfiguration>"
            '</trt:Profiles><trt:Profiles token="bare"><tt:Name>Bare</tt:Name></trt:Profiles>'
            "</trt:GetProfilesResponse>"
        )

    def _uri(self) -> str:
        return (
            "<trt:GetStreamUriResponse><trt:MediaUri>"
            f"<tt:Uri>{self.rtsp_url}</tt:Uri><tt:InvalidAfterConnect>false</tt:InvalidAfterConnect>"
            "<tt:InvalidAfterReboot>false</tt:InvalidAfterReboot><tt:Timeout>PT0S</tt:Timeout>"
            "</trt:MediaUri></trt:GetStreamUriResponse>"
        )


def match_message(question: str, xaddrs: str, scopes: str) -> str:
    """What a camera answers to a search."""
    return _ENVELOPE % (
        "<s:Header><a:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</a:Action>"
        f"<a:MessageID>urn:uuid:{time.monotonic_ns()}</a:MessageID><a:RelatesTo>{question}</a:RelatesTo>"
        '<d:AppSequence InstanceId="1" MessageNumber="1"/></s:Header><s:Body><d:ProbeMatches>'
        "<d:ProbeMatch><a:EndpointReference><a:Address>urn:uuid:camera</a:Address>"
        f"</a:EndpointReference><d:Types>dn:NetworkVideoTransmitter</d:Types><d:Scopes>{scopes}"
        f"</d:Scopes><d:XAddrs>{xaddrs}</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>"
        "</d:ProbeMatch></d:ProbeMatches></s:Body>"
    )
