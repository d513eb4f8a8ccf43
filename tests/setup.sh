#!/bin/sh
# Prepares what the tests need beside Python: a browser, a real RTSP server, Node and its packages.
# With apt it installs what is missing (as root, or through sudo); elsewhere it says what is.
# --firefox adds a second browser; --node prepares Node and its packages alone.
set -eu
cd "$(dirname "$0")"

parts="certutil chrome coturn libatomic nginx node rtsp_server strace webrtcbin"
case "${1-}" in
  "") ;;
  --firefox) parts="$parts firefox" ;;
  --node) parts=node ;;
  *) echo "usage: $0 [--firefox | --node]" >&2; exit 2 ;;
esac

has() { command -v "$1" >/dev/null 2>&1; }

has_chrome() {
  has "${STREAMER_TEST_CHROME:-chromium}" || has chromium-browser || has google-chrome ||
    has google-chrome-stable || has chrome || [ -d "/Applications/Google Chrome.app" ] ||
    [ -d /Applications/Chromium.app ]
}

# Playwright's own Node needs it, and a small Debian has it not.
has_libatomic() { [ "$(uname -s)" != Linux ] || PATH="$PATH:/sbin" ldconfig -p | grep -q libatomic.so.1; }

has_strace() { has strace; }

has_nginx() { PATH="$PATH:/usr/sbin" command -v nginx >/dev/null 2>&1; }

# With it a test's user trusts an authority, as Chromium on Linux has it.
has_certutil() { [ "$(uname -s)" != Linux ] || has certutil; }

has_coturn() { has turnserver; }

has_firefox() { has "${STREAMER_TEST_FIREFOX:-firefox-esr}"; }

has_node() {
  has npm && has node && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)'
}

# The bindings, and each element that tests/rigs/gst_rtsp_server.py and gst_rtsp_player.py name.
has_rtsp_server() {
  "${STREAMER_TEST_GST_PYTHON:-/usr/bin/python3}" - >/dev/null 2>&1 <<'END'
import gi
gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
elements = "parsebin qtdemux avidemux appsrc appsink clocksync h264parse h265parse jpegparse " \
    "rtph264pay rtph265pay rtpjpegpay rtph264depay rtpbin rtspsrc udpsrc"
assert all(Gst.ElementFactory.find(element) for element in elements.split())
END
}

# The same for tests/rigs/gst_whip.py.
has_webrtcbin() {
  "${STREAMER_TEST_GST_PYTHON:-/usr/bin/python3}" - >/dev/null 2>&1 <<'END'
import gi
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import Gst, GstSdp, GstWebRTC
Gst.init(None)
elements = "webrtcbin nicesrc nicesink dtlsenc dtlsdec srtpenc srtpdec sctpenc sctpdec matroskademux " \
    "rtpvp8pay rtpvp8depay vp8dec rtph264depay openh264dec videoconvert pngenc"
assert all(Gst.ElementFactory.find(element) for element in elements.split())
END
}

# Whether part $1 is asked for and not here.
lacks() {
  case " $parts " in
    *" $1 "*) ! "has_$1" ;;
    *) false ;;
  esac
}

install() {
  as_root=
  [ "$(id -u)" = 0 ] || as_root=sudo
  # shellcheck disable=SC2086  # $as_root is one word or none
  $as_root apt-get update -q
  # shellcheck disable=SC2086
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

if has apt-get; then
  set --
  ! lacks chrome || set -- "$@" chromium
  ! lacks coturn || set -- "$@" coturn
  ! lacks libatomic || set -- "$@" libatomic1
  ! lacks node || set -- "$@" nodejs npm
  ! lacks rtsp_server || set -- "$@" python3-gi gir1.2-gst-rtsp-server-1.0 \
    gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-base gstreamer1.0-plugins-good \
    gstreamer1.0-plugins-bad gstreamer1.0-rtsp
  ! lacks strace || set -- "$@" strace
  ! lacks nginx || set -- "$@" nginx-light
  ! lacks certutil || set -- "$@" libnss3-tools
  ! lacks webrtcbin || set -- "$@" gstreamer1.0-nice gir1.2-gst-plugins-bad-1.0 \
    gir1.2-gst-plugins-base-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
  ! lacks firefox || set -- "$@" firefox-esr
  [ $# = 0 ] || install "$@"
fi

missing=
complain() {
  echo "tests/setup.sh: $1" >&2
  missing=yes
}
! lacks chrome ||
  complain "no Chromium or Chrome; install one, or set STREAMER_TEST_CHROME to its path"
! lacks coturn || complain "no coturn, the TURN server that the tests relay through"
! lacks libatomic || complain "no libatomic.so.1, which the browser's driver needs"
! lacks node || complain "no Node 18 or newer with npm"
! lacks rtsp_server || complain "no Python with GStreamer's RTSP server and its good and bad plugins; \
set STREAMER_TEST_GST_PYTHON to one that has them"
! lacks strace || complain "no strace, with which the tests see that nothing leaves the machine (Linux)"
! lacks nginx || complain "no nginx, behind which the tests put the server"
! lacks certutil || complain "no certutil (NSS), with which the tests trust an authority"
! lacks webrtcbin || complain "no Python with GStreamer's webrtcbin (gstreamer1.0-nice, \
gir1.2-gst-plugins-bad-1.0); set STREAMER_TEST_GST_PYTHON to one that has it"
! lacks firefox || complain "no Firefox; install it, or set STREAMER_TEST_FIREFOX to its path"
[ -z "$missing" ] || exit 1

# npm ci starts from nothing each time, so it runs only after a change of the lock file.
cd node
if ! cmp -s package-lock.json node_modules/.installed-lock; then
  npm ci --no-progress
  cp package-lock.json node_modules/.installed-lock
fi
