"""What the configuration may hold, who overrides whom, and how mistakes are told."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from streamer.config import Config, RtspSource, ServerConfig, StreamConfig, VideoConfig, explain
from streamer.errors import ConfigError
from streamer.settings import load_config

SHIPPED = Path(__file__).parents[2] / "config" / "streamer.toml"
KEY = re.compile(r"^(?P<key>\w+) = (?P<value>.*?)(?P<comment>\s#\s.+)?$")


def load(
    tmp_path: Path,
    text: str = "",
    environ: dict[str, str] | None = None,
    overrides: dict[str, Any] | None = None,
) -> Config:
    file = tmp_path / "my.toml"
    file.write_text(text, "utf-8")
    return load_config(file, environ or {}, overrides or {})


def refusal(tmp_path: Path, text: str = "", environ: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, environ)
    return str(caught.value)


# -- the file that comes with the program -----------------------------------------------------------


def sections() -> list[str]:
    return [name for name in Config.model_fields if name != "streams"]


@pytest.mark.parametrize("section", sections())
def test_shipped_file_shows_every_key_with_its_default(section: str) -> None:
    shipped = tomllib.loads(SHIPPED.read_text("utf-8"))
    assert shipped[section] == getattr(Config(), section).model_dump()


def test_shipped_file_has_no_other_sections() -> None:
    assert set(tomllib.loads(SHIPPED.read_text("utf-8"))) == set(sections())


def test_shipped_file_is_the_default_configuration() -> None:
    assert load_config(SHIPPED, {}) == Config() == load_config(None, {})


def test_shipped_file_explains_every_key() -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    explained = set()
    for before, line in zip(["", *lines], lines, strict=False):
        found = KEY.match(line)
        if found and (found["comment"] or before.startswith("# ")):
            explained.add(found["key"])
    keys = {key for name in sections() for key in type(getattr(Config(), name)).model_fields}
    assert explained == keys


def test_shipped_example_of_a_stream_is_one_that_works(tmp_path: Path) -> None:
    lines = SHIPPED.read_text("utf-8").splitlines()
    start = lines.index("# [[streams]]")
    example = "\n".join(line.removeprefix("# ") for line in lines[start:])
    (stream,) = load(tmp_path, example).streams
    assert stream.id == "door"
    assert stream.listed
    assert stream.pose is not None and stream.pose.model_complexity == 2


def test_shipped_examples_of_other_sources_work_too(tmp_path: Path) -> None:
    examples = re.findall(r"^# # or:\s+(\{.*?\})", SHIPPED.read_text("utf-8"), re.MULTILINE)
    text = "\n".join(
        f'[[streams]]\nid = "camera-{n}"\nsource = {example}' for n, example in enumerate(examples)
    )
    assert [stream.source.type for stream in load(tmp_path, text).streams] == ["file", "usb"]


def test_source_that_does_not_say_what_it_is_is_an_rtsp_camera(tmp_path: Path) -> None:
    """As before there were others."""
    (stream,) = load(tmp_path, '[[streams]]\nid = "door"\nsource = {url = "rtsp://h/"}').streams
    assert stream.source == RtspSource(url="rtsp://h/")


# -- who overrides whom -----------------------------------------------------------------------------


def test_environment_overrides_the_file_and_the_command_line_overrides_both(
    tmp_path: Path,
) -> None:
    file = "[server]\nport = 1\nmax_streams = 1\nlog_level = 'error'\n"
    environ = {"STREAMER_SERVER__PORT": "2", "STREAMER_SERVER__MAX_STREAMS": "2"}
    server = load(tmp_path, file, environ, {"server": {"port": 3}}).server
    assert (server.port, server.max_streams, server.log_level) == (3, 2, "error")


def test_overriding_one_key_leaves_its_neighbours(tmp_path: Path) -> None:
    config = load(tmp_path, "[pose]\nnum_poses = 2\n", {"STREAMER_POSE__MODEL_COMPLEXITY": "0"})
    assert (config.pose.num_poses, config.pose.model_complexity) == (2, 0)


@pytest.mark.parametrize(
    ("name", "text", "section", "value"),
    [
        ("STREAMER_SERVER__TOKEN", "1234567890123456", "server", "1234567890123456"),
        ("STREAMER_SERVER__TOKEN", 'with "quotes" and \\', "server", 'with "quotes" and \\'),
        ("STREAMER_SERVER__HOST", "0.0.0.0", "server", "0.0.0.0"),
        ("STREAMER_SERVER__INSECURE_LAN", "true", "server", True),
        ("STREAMER_SERVER__ALLOWED_HOSTS", '["pose.lan"]', "server", ["pose.lan"]),
        ("STREAMER_POSE__MIN_TRACKING_CONFIDENCE", "0.25", "pose", 0.25),
        ("STREAMER_RTSP__TRANSPORT", "udp", "rtsp", "udp"),
        ("STREAMER_RTSP__OPEN_TIMEOUT_S", "2", "rtsp", 2.0),
    ],
)
def test_environment_variable_is_read_as_its_key_wants_it(
    tmp_path: Path, name: str, text: str, section: str, value: object
) -> None:
    config = load(tmp_path, environ={name: text})
    key = name.partition("__")[2].lower()
    assert getattr(getattr(config, section), key) == value


def test_environment_of_others_is_left_alone(tmp_path: Path) -> None:
    environ = {"STREAMER_MODELS_DIR": "/models", "PATH": "/bin", "MY_STREAMER_POSE__X": "1"}
    assert load(tmp_path, environ=environ) == Config()


@pytest.mark.parametrize(
    "url",
    ["stun:h", "stuns:h.example:5349", "turn:10.0.0.1:3478", "turns:[fd00::1]:5349?transport=tcp"],
)
def test_stun_or_turn_server_is_taken_as_it_is(tmp_path: Path, url: str) -> None:
    text = f'[[webrtc.ice_servers]]\nurls = ["{url}"]\nusername = "u"\ncredential = "c"'
    (server,) = load(tmp_path, text).webrtc.ice_servers
    assert server.urls == [url]


@pytest.mark.parametrize("place", ["203.0.113.7", "2001:db8::7", "pose.lan", "streamer"])
def test_address_or_name_is_advertised_as_it_is(tmp_path: Path, place: str) -> None:
    assert load(tmp_path, f'[webrtc]\nadvertise = ["{place}"]').webrtc.advertise == [place]


def test_range_of_udp_ports_holds_its_last_too(tmp_path: Path) -> None:
    webrtc = load(tmp_path, environ={"STREAMER_WEBRTC__UDP_PORTS": "20000-20100"}).webrtc
    assert webrtc.port_range == range(20000, 20101)
    assert load(tmp_path).webrtc.port_range is None


# -- mistakes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[pose]\nnum_pose = 2", ["my.toml", "pose.num_pose", "no such key", "num_poses"]),
        ("[poses]\nnum_poses = 2", ["my.toml", "poses", "no such key", "pose", "webrtc"]),
        ('[server]\nport = "80"', ["my.toml", "server.port", "integer"]),
        ("[server]\nport = true", ["my.toml", "server.port", "integer"]),
        ("[server]\nport = 70000", ["my.toml", "server.port", "65535"]),
        ('[rtsp]\ntransport = "http"', ["my.toml", "rtsp.transport", "'tcp'", "'udp'"]),
        (
            "[pose]\nmodel_complexity = 3",
            ["my.toml", "pose.model_complexity", "less than or equal to 2"],
        ),
        ("[pose]\nmin_detection_confidence = 1.5", ["pose.min_detection_confidence", "1"]),
        ("[pose]\nmin_detection_confidence = nan", ["pose.min_detection_confidence"]),
        ("[pose]\nsmooth_landmarks = 1", ["my.toml", "pose.smooth_landmarks", "boolean"]),
        ("[rtsp]\nopen_timeout_s = 0", ["my.toml", "rtsp.open_timeout_s", "greater than 0"]),
        ("[rtsp]\nopen_timeout_s = inf", ["my.toml", "rtsp.open_timeout_s", "finite"]),
        ('[rtsp]\nallowed_networks = ["10.0.0.1/8"]', ["rtsp.allowed_networks", "10.0.0.1/8"]),
        ('[server]\ntoken = "short"', ["server.token", "16"]),
        ('[server]\ntls_cert = "a.pem"', ["server", "tls_key"]),
        ("server = 5", ["my.toml", "server"]),
        (
            '[[streams]]\nid = "Door"\nsource = {url = "rtsp://h/"}',
            ["streams.0.id", "[a-z0-9-]"],
        ),
        (
            '[[streams]]\nid = "door"\nsource = {url = "rtsp://h/", uri = ""}',
            ["streams.0.source.uri", "no such key", "url"],
        ),
        (
            '[[streams]]\nid = "door"\nsource = {type = "file", url = "rtsp://h/"}',
            ["streams.0.source.url", "no such key", "loop, path, type", "streams.0.source.path"],
        ),
        (
            '[[streams]]\nid = "door"\nsource = {type = "usb", device = "/dev/sda"}',
            ["streams.0.source.device", "/dev/"],
        ),
        (
            '[[streams]]\nid = "door"\nsource = {type = "http", url = "http://h/"}',
            ["streams.0.source", "'rtsp'", "'file'", "'usb'"],
        ),
        ('[files]\nfolders = ["clips"]', ["my.toml", "files.folders", "whole path"]),
        (
            '[[streams]]\nid = "door"\nsource = {url = "rtsp://h/"}\npose = {poses = 1}',
            ["streams.0.pose.poses", "no such key", "num_poses"],
        ),
        (
            '[[webrtc.ice_servers]]\nurls = ["turn:h"]\nusername = "u"',
            ["webrtc.ice_servers.0", "secret", "credential"],
        ),
        (
            '[[webrtc.ice_servers]]\nurls = ["turn:h"]\nsecret = "s"\ncredential = "c"',
            ["webrtc.ice_servers.0", "secret and credential exclude each other"],
        ),
        (
            '[[webrtc.ice_servers]]\nurls = ["turn:h"]\nsecret = "s"\nlifetime_s = 1',
            ["webrtc.ice_servers.0.lifetime_s", "60"],
        ),
        (
            '[[webrtc.ice_servers]]\nurls = ["stun:h"]\nusername = "a\\r\\nb"',
            ["webrtc.ice_servers.0.username"],
        ),
        ('[webrtc]\nice_transport_policy = "relay"', ["webrtc", "needs a turn: address"]),
        ('[webrtc]\nice_transport_policy = "none"', ["webrtc.ice_transport_policy", "'relay'"]),
        *(
            (f'[webrtc]\nudp_ports = "{text}"', ["webrtc.udp_ports", "20000-20100"])
            for text in ("20000", "20100-20000", "80-90", "20000-70000", "a-b", "20000 - 20100")
        ),
        *(
            (f'[webrtc]\nadvertise = ["{text}"]', ["webrtc.advertise", "203.0.113.7"])
            for text in ("0.0.0.0", "224.0.0.1", "192.168.1", "http://h", "h:1", "", "fe80::1")
        ),
        ('[webrtc]\naddresses = ["192.168.1.5/24"]', ["webrtc.addresses", "192.168.1.5/24"]),
        (
            '[[webrtc.ice_servers]]\nurls = ["turn:h"]\npassword = "x"',
            ["webrtc.ice_servers.0.password", "no such key", "credential"],
        ),
        *(
            (
                f'[[webrtc.ice_servers]]\nurls = ["{url}"]',
                ["webrtc.ice_servers.0.urls", "turn:host"],
            )
            for url in (
                "turn.example:3478",
                "turn://h:3478",
                "turn:",
                "turn:h:",
                "turn:h:port",
                "turn:h?transport=sctp",
                "turn:u@h",
                "stun:h?transport=udp",
                "http://h/",
            )
        ),
        (
            '[[streams]]\nid = "a"\nsource = {url = "rtsp://h/"}\n' * 2,
            ["streams", "same id"],
        ),
    ],
)
def test_mistake_is_told_with_its_file_its_key_and_what_is_allowed(
    tmp_path: Path, text: str, words: list[str]
) -> None:
    told = refusal(tmp_path, text)
    for word in words:
        assert word in told


def test_every_mistake_is_told_at_once_each_with_where_it_comes_from(tmp_path: Path) -> None:
    told = refusal(tmp_path, "[pose]\nnum_poses = 0\n", {"STREAMER_SERVER__PORT": "many"})
    lines = told.splitlines()
    assert len(lines) == 2
    assert any("environment variable: server.port" in line for line in lines)
    assert any("my.toml: pose.num_poses" in line for line in lines)


@pytest.mark.parametrize("name", ["STREAMER_POSE__NO_KEY", "STREAMER_NO__KEY"])
def test_environment_variable_for_a_key_that_is_not_there_is_refused(
    tmp_path: Path, name: str
) -> None:
    told = refusal(tmp_path, environ={name: "1"})
    assert "environment variable" in told and "no such key" in told


def test_secret_is_not_repeated_in_the_words_about_it(tmp_path: Path) -> None:
    assert "hunter2" not in refusal(tmp_path, '[server]\ntoken = "hunter2"')
    assert "hunter2" not in refusal(tmp_path, "[[webrtc.ice_servers]]\ncredential = 'hunter2'")


def test_secret_is_in_no_error_that_nobody_has_put_into_words() -> None:
    """It would be in a traceback."""
    with pytest.raises(ValidationError) as error:
        ServerConfig(token="hunter2")
    assert "hunter2" not in str(error.value)


def test_file_that_is_not_toml_is_told_with_the_line(tmp_path: Path) -> None:
    told = refusal(tmp_path, "[server]\nport = \n")
    assert "my.toml" in told and "line 2" in told


def test_file_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match=r"/nowhere/x\.toml: can't be read"):
        load_config(Path("/nowhere/x.toml"), {})


def test_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    file = tmp_path / "my.toml"
    file.write_bytes(b"[server]\nhost = '\xff'\n")
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_config(file, {})


@pytest.mark.parametrize("rotation", [False, True, 45, -90, 360, "90", None])
def test_rotation_is_a_quarter_turn_and_nothing_else(rotation: object) -> None:
    with pytest.raises(ValidationError):
        VideoConfig.model_validate({"rotation": rotation})
    assert VideoConfig.model_validate({"rotation": 270}).rotation == 270


def test_unknown_type_of_a_source_is_not_repeated() -> None:
    source = {"type": "rtsp://u:s3cret@10.0.0.5/s"}
    with pytest.raises(ValidationError) as refused:
        StreamConfig.model_validate({"id": "door", "source": source})
    assert explain(refused.value) == "source: its type should be one of 'rtsp', 'file', 'usb'"
