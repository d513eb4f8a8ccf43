"""Check that every relative link of the project's Markdown files leads to a file, and to a heading
where it names one. Prints what does not; the exit status is 1 then."""

import re
import sys
from pathlib import Path
from urllib.parse import unquote

LINK = re.compile(r"!?\[[^\]]*\]\(\s*<?([^)\s>]+)[^)]*\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*#*$", re.MULTILINE)


def broken_links(file: Path) -> list[str]:
    """The targets in ``file`` that lead nowhere; those with a scheme (https:) are not followed."""
    broken = []
    for target in LINK.findall(CODE.sub("", file.read_text("utf-8"))):
        if re.match(r"[a-z][a-z0-9+.-]*:", target):
            continue
        path, _, anchor = unquote(target).partition("#")
        goal = file.parent / path if path else file
        lost = not goal.exists()
        if anchor and not lost and goal.suffix == ".md":
            lost = anchor not in anchors(goal)
        if lost:
            broken.append(target)
    return broken


def anchors(file: Path) -> set[str]:
    """The anchors that code hosts give a file's headings."""
    headings = HEADING.findall(re.sub(r"```.*?```", "", file.read_text("utf-8"), flags=re.DOTALL))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def project_files() -> list[Path]:
    """The Markdown files, but those of installed packages and caches."""
    return sorted(
        file
        for file in Path().rglob("*.md")
        if not any(part.startswith(".") or part == "node_modules" for part in file.parts)
    )


def main() -> int:
    lost = [(file, target) for file in project_files() for target in broken_links(file)]
    for file, target in lost:
        print(f"{file}: {target} leads nowhere")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
