#!/bin/sh
# Builds the container's image and looks for known holes in it: with Trivy or Grype if one of them is here, else
# with Trivy's own image. Fails on those that are high or critical and have been mended somewhere.
set -eu
cd "$(dirname "$0")/.."

image=streamer:scan
# By its digest (aquasec/trivy@sha256:…) it can't change; `docker buildx imagetools inspect` tells that.
trivy_image=${TRIVY_IMAGE:-aquasec/trivy:0.58.1}

if ! docker info >/dev/null 2>&1; then
  echo "tools/scan_image.sh: nothing was scanned: there is no Docker here that answers" >&2
  exit 1
fi
docker build --pull --tag "$image" .
if command -v trivy >/dev/null; then
  exec trivy image --scanners vuln --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1 "$image"
elif command -v grype >/dev/null; then
  exec grype --only-fixed --fail-on high "$image"
fi
# The scanner gets the image as a file, and no way to Docker itself.
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
docker save --output "$folder/image.tar" "$image"
docker run --rm --cap-drop ALL --security-opt no-new-privileges --volume "$folder:/scan:ro" "$trivy_image" \
  image --input /scan/image.tar --scanners vuln --severity HIGH,CRITICAL --ignore-unfixed --exit-code 1
