"""The container's health check: exit status 0 when the server beside it answers and no stream that is
live stands still."""

import json
import os
import ssl
import urllib.request

KEYS = ("STREAMER_SERVER__TLS", "STREAMER_SERVER__TLS_CERT")
SCHEME = "https" if any(map(os.environ.get, KEYS)) else "http"
PORT = os.environ["STREAMER_SERVER__PORT"]

# The certificate names the host's name, not this address, and this is no place to doubt it.
trusting = ssl.create_default_context()
trusting.check_hostname = False
trusting.verify_mode = ssl.CERT_NONE
url = f"{SCHEME}://127.0.0.1:{PORT}/healthz"
with urllib.request.urlopen(url, timeout=4, context=trusting) as answer:
    raise SystemExit(json.load(answer)["stale_streams"] > 0)
