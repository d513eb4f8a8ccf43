# The service with all models inside: it needs no network but the cameras'. For linux/amd64, since
# MediaPipe has no wheel for Linux on ARM (docs/decisions/0001-mediapipe-version.md).
# tools/docker_steps.py runs these steps without Docker.

# The base images as they are today, with the fixes of today. For a build that is the same tomorrow give their
# digests, which `docker buildx imagetools inspect python:3.11-slim-bookworm` tells:
#   docker build --build-arg PYTHON_IMAGE=python:3.11-slim-bookworm@sha256:... --build-arg NODE_IMAGE=... .
ARG NODE_IMAGE=node:20-bookworm-slim
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${NODE_IMAGE} AS node

FROM ${PYTHON_IMAGE} AS build
# npm, for the lite and heavy models
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /app
COPY requirements.lock ./
RUN python -m venv .venv \
    && .venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY pyproject.toml LICENSE NOTICE ./
COPY streamer streamer
RUN .venv/bin/pip install --no-deps --no-build-isolation --editable .
ENV STREAMER_MODELS_DIR=/models
RUN .venv/bin/streamer models lite full heavy && rm /models/*.tflite
COPY config config
COPY web web
COPY tools/healthcheck.py tools/

FROM ${PYTHON_IMAGE}
RUN useradd --system --uid 10001 streamer \
    && install --directory --owner=streamer /state
COPY --from=build /app /app
COPY --from=build /models /models
WORKDIR /app
# In a container it has to listen on every address. It then refuses to start without a token
# (STREAMER_SERVER__TOKEN) or the word that none is needed; compose.yaml shows both. WebRTC's video
# comes over UDP ports that compose.yaml names and publishes beside the one below.
ENV STREAMER_MODELS_DIR=/models \
    STREAMER_SERVER__HOST=0.0.0.0 \
    STREAMER_SERVER__PORT=8080 \
    XDG_STATE_HOME=/state \
    PYTHONUNBUFFERED=1
# By number, so that a cluster can see that it is not root.
USER 10001
VOLUME /state
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "/app/tools/healthcheck.py"]
CMD ["/app/.venv/bin/streamer", "serve"]
