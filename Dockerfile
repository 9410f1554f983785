# The three programs of a deployment (spool, spool-api, spool-worker) and FFmpeg, run by an unprivileged user.
#
#   docker build --tag spool .                          the API; any of the programs can be given as command
#   docker build --tag spool-worker --target worker .   the same files with the worker's command and health check
#
# Queries are checked against .sqlx, so that no database is needed to build.

ARG RUST_VERSION=1.95
ARG DEBIAN=bookworm

FROM rust:${RUST_VERSION}-slim-${DEBIAN} AS build
WORKDIR /src
COPY . .
# Shown by the programs as the revision that they were built from.
ARG SPOOL_REVISION=unknown
ENV SQLX_OFFLINE=true
# The caches outlive the step and are no part of the image: what is to stay is copied out of them.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package spool --package spool-api --package spool-worker \
    && install -D --target-directory=/out target/release/spool target/release/spool-api target/release/spool-worker

FROM debian:${DEBIAN}-slim AS runtime
# Debian keeps only the newest build of a package: a pinned version would soon stop this step.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates curl ffmpeg \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 spool \
    && useradd --uid 10001 --gid spool --no-log-init --no-create-home \
        --home-dir /var/lib/spool --shell /usr/sbin/nologin spool \
    && install --directory --owner=spool --group=spool --mode=0750 /var/lib/spool /var/lib/spool/media
COPY --from=build /out/ /usr/local/bin/
# Outside of the container nobody could reach the loopback addresses that are the default.
ENV SPOOL_API_LISTEN=0.0.0.0:8080 \
    SPOOL_WORKER_LISTEN=0.0.0.0:8081 \
    SPOOL_LOG_FORMAT=json
# By number, so that a platform can see without reading /etc/passwd that it is not root.
USER 10001:10001
WORKDIR /var/lib/spool

FROM runtime AS worker
EXPOSE 8081
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--show-error", "--max-time", "4", "http://127.0.0.1:8081/healthz"]
CMD ["spool-worker"]

FROM runtime AS api
EXPOSE 8080
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["curl", "--fail", "--silent", "--show-error", "--max-time", "4", "http://127.0.0.1:8080/healthz"]
CMD ["spool-api"]
