"""What it is built of, and by whom: lock files, bill of materials, audit, workflow, container."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from streamer.pose.models import PACKAGES, SHA256
from tools import audit, sbom

ROOT = Path(__file__).parents[2]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*"))


def read_yaml(path: Path) -> dict[str, Any]:
    text = yaml.safe_load(path.read_text("utf-8"))
    assert isinstance(text, dict)
    return text


# -- what is fetched --------------------------------------------------------------------------------


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_locked_package_is_one_version_with_its_digests(lock: Path) -> None:
    text = re.sub(r"^ *#.*\n", "", lock.read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    assert len(lines) > 50
    pinned = re.compile(r"[a-z0-9-]+==[^ ;]+( ;[^\n]*?)?( +--hash=sha256:[0-9a-f]{64})+ *")
    assert [line for line in lines if not pinned.fullmatch(line)] == []


def test_packages_are_installed_with_their_digests_only() -> None:
    """Of the project itself there are none: it is what lies here."""
    for file in (ROOT / "Makefile", ROOT / "Dockerfile"):
        lines = file.read_text("utf-8").replace("\\\n", " ").splitlines()
        installs = [line for line in lines if re.search(r"pip install|\(PIP_INSTALL\)", line)]
        # A definition; and yardsticks, which are compared with in an environment of their own.
        installs = [line for line in installs if ":=" not in line and "yardsticks" not in line]
        assert len(installs) >= 2
        for line in installs:
            is_ours = "--editable ." in line and "--no-deps" in line
            assert "--require-hashes -r" in line or is_ours, line


def test_npm_packages_have_digests() -> None:
    packages = yaml.safe_load((ROOT / "tests/node/package-lock.json").read_text("utf-8"))[
        "packages"
    ]
    assert [name for name, each in packages.items() if name and "integrity" not in each] == []


def test_models_are_pinned_by_version_and_digest() -> None:
    assert all(re.search(r"(==|.@)\d+(\.\d+)+$", package.spec) for package in PACKAGES)
    assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in SHA256.values())


# -- the bill of materials and the audit ------------------------------------------------------------


def test_bill_of_materials_names_each_model_with_its_digest_and_where_it_comes_from() -> None:
    components = {each["name"]: each for each in sbom.model_components()}
    assert {name: each["hashes"][0]["content"] for name, each in components.items()} == SHA256
    lite = components["pose_landmark_lite.tflite"]
    assert lite["version"] == "0.5.1675469404"
    assert lite["properties"][0]["value"] == "pkg:npm/%40mediapipe/pose@0.5.1675469404"
    assert components["pose_detection.tflite"]["properties"][0]["value"].startswith(
        "pkg:pypi/mediapipe@"
    )


@pytest.mark.parametrize(
    ("status", "said", "result"),
    [
        (0, "No known vulnerabilities found", "pass"),
        (1, "urllib3 1.0 PYSEC-2099-1 2.0", "FAIL: see above"),
        (1, "ProxyError: HTTPSConnectionPool: Max retries exceeded with url: /x", "NOT CHECKED"),
        (1, "npm error audit endpoint returned an error", "NOT CHECKED"),
    ],
)
def test_audit_that_reaches_nobody_is_told_from_one_that_finds_something(
    status: int, said: str, result: str
) -> None:
    assert result in audit.Step("python", []).judge(status, said)


def test_audit_fails_without_its_tools() -> None:
    assert audit.Step("python", ["no-such-tool-of-ours"]).run().startswith("FAIL")


# -- the workflow -----------------------------------------------------------------------------------


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.name)
def test_workflow_has_no_rights_and_runs_nobody_elses_actions(file: Path) -> None:
    workflow = read_yaml(file)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in file.read_text("utf-8")
    for job in workflow["jobs"].values():
        assert "permissions" not in job
        assert 0 < job["timeout-minutes"] <= 60
        for step in job["steps"]:
            assert "uses" not in step
            # Expressions are put into the script as text; what an attacker may choose would be run.
            assert "${{" not in step["run"]


def test_workflow_takes_the_same_steps_as_a_person() -> None:
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    for step in (".ci/run", "make audit", "make scan"):
        assert f"{step}\n" in text
    assert "trivy" in (ROOT / "tools" / "scan_image.sh").read_text("utf-8")


# -- the container ----------------------------------------------------------------------------------


def test_image_runs_as_nobody_special_and_tells_how_it_is() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    last_stage = lines[max(n for n, line in enumerate(lines) if line.startswith("FROM")) :]
    (user,) = [line.split()[1] for line in last_stage if line.startswith("USER")]
    assert int(user) >= 1000
    assert [line for line in last_stage if line.startswith("HEALTHCHECK")]
    assert not [
        line for line in lines if line.startswith("ADD") or "curl" in line or "sudo" in line
    ]


def test_container_can_do_no_more_than_the_service_needs() -> None:
    service = read_yaml(ROOT / "compose.yaml")["services"]["streamer"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"] and "cap_add" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "network_mode", "user"} & set(service)
    assert service["volumes"] == ["state:/state"]
    (tmp,) = service["tmpfs"]
    assert {"noexec", "nosuid", "nodev"} <= set(tmp.partition(":")[2].split(","))
    assert {"mem_limit", "pids_limit"} <= set(service)
    assert service["ulimits"]["core"] == 0
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])


def test_unit_can_do_no_more_than_the_service_needs() -> None:
    lines = (ROOT / "config" / "streamer.service").read_text("utf-8").splitlines()
    said = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert said["User"] not in ("", "root")
    assert said["CapabilityBoundingSet"] == "" and "AmbientCapabilities" not in said
    assert said["ProtectSystem"] == "strict" and "ReadWritePaths" not in said
    assert said.get("SystemCallFilter", "").startswith("@system-service ")
    assert said["UMask"] == "0077" and said["StateDirectoryMode"] == "0700"
    for name in ("NoNewPrivileges", "ProtectHome", "PrivateTmp", "PrivateDevices"):
        assert said.get(name) == "true", name
    for name in ("MemoryMax", "TasksMax", "LimitNOFILE"):
        assert name in said, name
