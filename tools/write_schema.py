"""Write docs/messages.schema.json from the types in streamer/schema.py: ``python tools/write_schema.py``."""

import json
from pathlib import Path

from streamer.schema import message_schema

SCHEMA = Path(__file__).resolve().parents[1] / "docs" / "messages.schema.json"

if __name__ == "__main__":
    SCHEMA.write_text(json.dumps(message_schema(), indent=1) + "\n", "utf-8")
