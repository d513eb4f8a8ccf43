"""The bill of materials: ``python tools/sbom.py build/sbom.cdx.json`` (``make sbom``) writes it as CycloneDX.

It names every package that requirements.lock pins, with its digests, and the files of the pose models, which
come from packages too but are nobody's dependency.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from streamer.pose.models import PACKAGES, SHA256
from streamer.pose.registries import NpmPackage

REPOSITORY = Path(__file__).resolve().parents[1]
TIMEOUT_S = 120.0
SPEC_VERSION = "1.6"


def model_components() -> list[dict[str, Any]]:
    """Of CycloneDX's type for models: each file that is fetched, and each bundle that is made of them."""
    components = []
    for name, digest in SHA256.items():
        source = next((each for each in PACKAGES if name in each.members), None)
        component: dict[str, Any] = {
            "type": "machine-learning-model",
            "bom-ref": f"model:{name}",
            "name": name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        if source is not None:
            kind = "npm" if isinstance(source, NpmPackage) else "pypi"
            package, _, version = source.spec.replace("==", "@").rpartition("@")
            component["version"] = version
            purl = f"pkg:{kind}/{package.replace('@', '%40')}@{version}"
            component["properties"] = [{"name": "streamer:package", "value": purl}]
        components.append(component)
    return components


def make_sbom() -> dict[str, Any]:
    """Raises CalledProcessError when the lock file can't be read."""
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements"),
            *("requirements.lock", "--pyproject", "pyproject.toml", "--output-reproducible"),
            *("--spec-version", SPEC_VERSION, "--output-format", "JSON"),
        ],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        check=True,
        timeout=TIMEOUT_S,
    )
    bom: dict[str, Any] = json.loads(done.stdout)
    bom["components"] += model_components()
    return bom


def check(text: str) -> None:
    """Raises SystemExit when it is not what CycloneDX's schema asks for."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    if (error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
        raise SystemExit(f"The bill of materials is not valid CycloneDX: {error}")


def main() -> None:
    target = Path(sys.argv[1])
    bom = make_sbom()
    text = json.dumps(bom, indent=1, sort_keys=True) + "\n"
    check(text)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, "utf-8")
    kinds = [each["type"] for each in bom["components"]]
    models = kinds.count("machine-learning-model")
    print(f"{target}: {len(kinds) - models} packages and {models} files of models")


if __name__ == "__main__":
    main()
