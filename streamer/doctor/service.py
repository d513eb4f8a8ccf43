"""What the configuration asks for: models, ports, a place for what is remembered, who may come in."""

import errno
import hashlib
import json
import shutil
import socket
import stat
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from streamer.access.book import TokenBook
from streamer.access.store import TokenFile, tokens_path
from streamer.config import Config, ServerConfig
from streamer.doctor.finding import Finding, ok, problem, warning
from streamer.errors import reason_of
from streamer.pose.models import SHA256, Complexity, model_path
from streamer.server.guard import is_exposed
from streamer.state import trouble_with_folder

_MAX_PORTS_TRIED: Final = 1000
_ANSWER_TIMEOUT_S: Final = 2.0
_LOW_DISK_BYTES: Final = 200 * 2**20


def models(config: Config) -> Iterator[Finding]:
    poses = [config.pose, *(each.pose for each in config.streams if each.pose)]
    for complexity in sorted({Complexity(each) for pose in poses for each in pose.complexities}):
        name = complexity.name.lower()
        for path in (model_path(complexity, segmentation=each) for each in (False, True)):
            fix = f"run `streamer models {name}`, or copy {path.name} from a machine that has it"
            try:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                yield problem("models", f"{path}: {error.strerror}", fix)
                continue
            if digest != SHA256[path.name]:
                yield problem("models", f"{path} is damaged (its SHA-256 is another)", fix)
            else:
                yield ok("models", f"{name}: {path.name} is what it should be")


def ports(config: Config) -> Iterator[Finding]:
    server = config.server
    for port in (port for port in (server.port, server.http_port) if port):
        yield _tcp_port(server, port)
    if (wanted := config.webrtc.port_range) is not None:
        yield _udp_ports(server.host, wanted, config.webrtc.max_peers)


def _tcp_port(server: ServerConfig, port: int) -> Finding:
    where = f"{server.host} port {port}"
    try:
        family = socket.AF_INET6 if ":" in server.host else socket.AF_INET
        socket.create_server((server.host, port), family=family).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_streamer(server, port):
            return ok("ports", f"{where}: a Streamer is running there")
        return problem(
            "ports",
            f"can't listen on {where}: {reason_of(error)}",
            "end the program that has it (`ss -ltnp`), or choose another [server] host and port",
        )
    return ok("ports", f"{where} is free")


def _is_streamer(server: ServerConfig, port: int) -> bool:
    host = "127.0.0.1" if server.host in ("0.0.0.0", "localhost") else server.host
    shown = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(f"http://{shown}:{port}/healthz")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=_ANSWER_TIMEOUT_S) as answer:
            return bool(json.load(answer)["status"] == "ok")
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _udp_ports(host: str, wanted: range, max_peers: int) -> Finding:
    where = f"UDP {wanted.start}-{wanted.stop - 1}"
    taken = 0
    for port in wanted[:_MAX_PORTS_TRIED]:
        try:
            with socket.socket(
                socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM
            ) as one:
                one.bind(("", port))
        except OSError:
            taken += 1
    free = len(wanted) - taken
    if free == 0:
        return problem("ports", f"{where}: all are taken", "choose another [webrtc] udp_ports")
    if free < max_peers:
        return warning(
            "ports",
            f"{where}: {free} free for {max_peers} peers, each of which needs one an address",
            "widen [webrtc] udp_ports, or lower [webrtc] max_peers",
        )
    return ok("ports", f"{where}: {free} free")


def state(file: Path) -> Iterator[Finding]:
    """The cameras that were added through the API, with their passwords."""
    folder = file.parent
    if (trouble := trouble_with_folder(folder)) is not None:
        yield problem(
            "state", f"{folder}: {trouble}", "make it writable, or set [server] state_file"
        )
        return
    try:
        mode, remembered = file.stat().st_mode, json.loads(file.read_bytes())
    except FileNotFoundError:
        yield ok("state", f"{file} will be made with the first camera")
    except (OSError, ValueError) as error:
        yield problem("state", f"{file} can't be read: {error}", "put back a copy, or remove it")
    else:
        if stat.S_IMODE(mode) & 0o077:
            yield warning("state", f"others may read {file}", f"chmod 600 {file}")
        else:
            yield ok("state", f"{file} remembers {len(remembered)} cameras")


def disk(folder: Path) -> Iterator[Finding]:
    there = folder
    while not there.exists() and there != there.parent:
        there = there.parent
    free = shutil.disk_usage(there).free
    text = f"{free / 2**30:.1f} GiB free at {there}"
    if free < _LOW_DISK_BYTES:
        yield warning("disk", text, "make room; logs and old models are the first to look at")
    else:
        yield ok("disk", text)


def exposure(server: ServerConfig, file: Path | None) -> Iterator[Finding]:
    tokens = TokenBook(TokenFile(tokens_path(server)), server.token)
    tokens.look()
    if not is_exposed(server):
        yield ok("access", f"only this machine reaches {server.host}")
    elif not (tokens.is_guarded or server.insecure_lan):
        yield problem(
            "access",
            f"others reach {server.host}, and nobody needs a token: the server will not start",
            "`streamer token create`, or say insecure_lan if everybody in your network may watch",
        )
    elif not tokens.is_guarded:
        yield warning(
            "access",
            "everybody in the network may watch and change everything",
            "`streamer token create`, and take insecure_lan out",
        )
    else:
        yield ok("access", "a token is needed")
    if is_exposed(server) and not server.speaks_https and not server.trusted_proxies:
        yield warning(
            "access",
            "plain http: others on the way read tokens, and browsers elsewhere give no camera",
            'set [server] tls = "auto", or put a proxy with https before it',
        )
    if file is not None and stat.S_IMODE(file.stat().st_mode) & 0o004 and server.token:
        yield warning(
            "access",
            f"everybody on this machine may read {file}, with its token",
            f"chmod 640 {file}",
        )
