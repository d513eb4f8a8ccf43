"""``make audit``: are there known holes in what we depend on, and is the workflow file safe?

It needs a network. A check that can't be made, because nobody answers, is no check that has passed: it
fails, and says so.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent
TIMEOUT_S = 600.0

UNREACHABLE = re.compile(
    r"Max retries exceeded|ConnectionError|ProxyError|ServiceError|audit endpoint returned an error|"
    r"ECONNREFUSED|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|Name or service not known|\b(403|404|5\d\d) .*(Error|url)",
)
"""How pip-audit and npm say that the service with the advisories did not answer."""


@dataclass(frozen=True)
class Step:
    name: str
    command: list[str]
    folder: Path = REPOSITORY
    environment: dict[str, str] = field(default_factory=dict)

    def run(self) -> str:
        """ "pass", or what is wrong; what the tool said stands above the table."""
        print(f"== {self.name}: {' '.join(self.command)}", flush=True)
        try:
            done = subprocess.run(
                self.command,
                cwd=self.folder,
                env=os.environ | self.environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=TIMEOUT_S,
            )
        except FileNotFoundError:
            return f"FAIL: {self.command[0]} is not here"
        except subprocess.TimeoutExpired:
            return f"FAIL: no end within {TIMEOUT_S:g} s"
        return self.judge(done.returncode, done.stdout)

    def judge(self, status: int, said: str) -> str:
        if status == 0:
            return "pass"
        if UNREACHABLE.search(said):
            print("\n".join(said.splitlines()[-1:]))
            return "FAIL: NOT CHECKED, the service with the advisories can't be reached"
        print(said)
        return "FAIL: see above"


def steps() -> list[Step]:
    audit = [str(BIN / "pip-audit"), "--disable-pip", "--progress-spinner=off", "--strict"]
    return [
        Step("Python, the service", [*audit, "-r", "requirements.lock"]),
        Step("Python, its tests", [*audit, "-r", "requirements-audit.lock"]),
        Step(
            "npm, the tests",
            ["npm", "audit", "--audit-level=high"],
            REPOSITORY / "tests" / "node",
        ),
        Step(
            "workflows",
            [str(BIN / "zizmor"), "--offline", "--no-progress", "--persona=pedantic", ".github"],
        ),
        Step("bill of materials", [sys.executable, "tools/sbom.py", "build/sbom.cdx.json"]),
    ]


def main() -> int:
    results = {step.name: step.run() for step in steps()}
    width = max(map(len, results))
    print()
    for name, result in results.items():
        print(f"{name:<{width}}  {result}")
    return int(any(result != "pass" for result in results.values()))


if __name__ == "__main__":
    raise SystemExit(main())
