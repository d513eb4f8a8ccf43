"""What the doctor finds: one line each, with what to do, and no secret."""

import json
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamer.certificates import Authority
from streamer.cli import main
from streamer.config import Config, FilesConfig, FileSource, RtspSource, StreamConfig
from streamer.doctor import _all_streams, examine, machine, network, service
from streamer.doctor.finding import Finding, lines, problem
from tests.rigs.net import free_port, free_udp_ports

SECRET = "hunter2"


def levels(findings: Iterator[Finding] | list[Finding]) -> list[str]:
    return [each.level for each in findings]


def config(**sections: object) -> Config:
    return Config.model_validate(sections)


def test_line_says_what_is_wrong_and_what_to_do_without_secrets() -> None:
    (line,) = lines([problem("cameras", f"rtsp://u:{SECRET}@h/ is off", "switch it on")])
    assert line == "problem  cameras       rtsp://h/ is off → switch it on"


def test_configuration_that_can_not_be_used_is_the_only_finding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "my.toml"
    file.write_text("[server]\nprot = 1\n")
    assert main(["doctor", "--config", str(file)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("problem  configuration") and "server.prot" in line


def test_everything_is_looked_at_and_told_as_json(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("STREAMER_SERVER__PORT", str(free_port()))
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    subjects = {each["subject"] for each in found}
    assert {
        *(
            "configuration",
            "python",
            "cpu",
            "memory",
            "descriptors",
            "children",
            "clock",
            "disk",
            "state",
        ),
        *("models", "access", "ports", "certificate", "ice"),
    } <= subjects
    assert {each["level"] for each in found} <= {"ok", "warning"}


def test_models_that_are_missing_or_damaged_are_problems(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMER_MODELS_DIR", str(tmp_path))
    (tmp_path / "pose_landmarker_full.task").write_bytes(b"not it")
    missing = list(service.models(Config()))
    assert levels(missing) == ["problem", "problem"]
    assert "damaged" in missing[0].text and "streamer models full" in missing[0].fix


def test_port_that_another_program_has_is_a_problem() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)) as other:
        other.settimeout(0)
        (taken,) = service.ports(config(server={"port": port}))
    assert taken.level == "problem" and str(port) in taken.text
    assert levels(service.ports(config(server={"port": port}))) == ["ok"]


def test_video_ports_that_are_taken_or_too_few_are_told() -> None:
    (port,) = free_udp_ports(1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("", port))
        one = config(server={"port": 0}, webrtc={"udp_ports": f"{port}-{port}"})
        assert levels(service.ports(one)) == ["problem"]
    assert levels(service.ports(one)) == ["warning"]
    few = one.model_copy(update={"webrtc": one.webrtc.model_copy(update={"max_peers": 1})})
    assert levels(service.ports(few)) == ["ok"]


def test_state_that_others_may_read_or_that_is_broken_is_told(tmp_path: Path) -> None:
    file = tmp_path / "streams.json"
    assert levels(service.state(file)) == ["ok"]
    file.write_text("[]")
    file.chmod(0o644)
    assert levels(service.state(file)) == ["warning"]
    file.chmod(0o600)
    assert levels(service.state(file)) == ["ok"]
    file.write_text("{")
    assert levels(service.state(file)) == ["problem"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == "{"


def test_state_that_can_not_be_kept_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    assert levels(service.state(tmp_path / "file" / "streams.json")) == ["problem"]


@pytest.mark.parametrize(
    ("server", "expected"),
    [
        ({}, ["ok"]),
        ({"host": "0.0.0.0"}, ["problem", "warning"]),
        ({"host": "0.0.0.0", "insecure_lan": True}, ["warning", "warning"]),
        ({"host": "0.0.0.0", "token": "0123456789abcdef"}, ["ok", "warning"]),
        ({"host": "0.0.0.0", "token": "0123456789abcdef", "tls": "auto"}, ["ok"]),
    ],
)
def test_who_may_come_in_is_told(
    tmp_path: Path, server: dict[str, object], expected: list[str]
) -> None:
    made = config(server={**server, "state_file": str(tmp_path / "streams.json")}).server
    assert levels(service.exposure(made, None)) == expected


def test_certificate_is_looked_into(tmp_path: Path) -> None:
    authority = Authority(tmp_path, lambda: {"localhost", "127.0.0.1"}).open()
    good, key = str(authority.server_file), str(authority.server_file)
    fits = config(server={"tls_cert": good, "tls_key": key})
    assert levels(network.certificates(fits, tmp_path)) == ["ok"]
    other = config(server={"tls_cert": good, "tls_key": key, "allowed_hosts": ["pose.example"]})
    assert levels(network.certificates(other, tmp_path)) == ["ok", "warning"]
    foreign = str(Authority(tmp_path / "b", lambda: {"localhost"}).open().server_file)
    mixed = config(server={"tls_cert": good, "tls_key": foreign})
    assert levels(network.certificates(mixed, tmp_path)) == ["problem"]
    assert levels(network.certificates(config(server={"tls": "auto"}), tmp_path / "none")) == ["ok"]


async def test_cameras_that_do_not_answer_are_problems_each_by_its_name(tmp_path: Path) -> None:
    port = free_port()
    streams = [
        StreamConfig(id="door", source=RtspSource(url=f"rtsp://u:{SECRET}@127.0.0.1:{port}/a")),
        StreamConfig(id="clip", source=FileSource(path="not-there.mp4")),
    ]
    made = Config(files=FilesConfig(folders=[str(tmp_path)]))
    door, clip = await network.cameras(made, streams)
    assert (door.level, clip.level) == ("problem", "problem")
    assert door.text.startswith("door: ") and clip.text.startswith("clip: ")
    assert SECRET not in door.text


async def test_turn_server_that_answers_is_told_from_one_that_does_not() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        stun = f"stun:127.0.0.1:{silent.getsockname()[1]}"
        with socket.create_server(("127.0.0.1", 0)) as listening:
            turn = f"turn:127.0.0.1:{listening.getsockname()[1]}?transport=tcp"
            server = {"urls": [stun, turn], "username": "u", "credential": "c"}
            found = await network.ice(config(webrtc={"ice_servers": [server]}))
    assert levels(found) == ["problem", "ok"]


def test_remembered_cameras_are_looked_at_and_their_file_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "streams.json"
    text = json.dumps([{"id": "yard", "source": {"url": "rtsp://h/"}}, {"id": "Bad!"}])
    file.write_text(text)
    door = StreamConfig(id="door", source=RtspSource(url="rtsp://h/"))
    found = _all_streams(Config(streams=[door]), file)
    assert [each.id for each in found] == ["door", "yard"]
    assert file.read_text() == text and os.listdir(tmp_path) == ["streams.json"]


def test_clock_that_stands_before_the_files_is_told(tmp_path: Path) -> None:
    file = tmp_path / "streams.json"
    assert levels(machine.clock(file)) == ["ok"]
    file.write_text("[]")
    os.utime(file, (4e9, 4e9))
    assert levels(machine.clock(file)) == ["warning"]


def test_file_of_the_configuration_is_named(tmp_path: Path) -> None:
    first = next(examine(None))
    assert (first.level, first.subject) == ("ok", "configuration")
