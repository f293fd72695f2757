# syntax=docker/dockerfile:1
# The coordinator and its agents in one image; see docs/operations.md.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin everlog && cp target/release/everlog /usr/local/bin/everlog

FROM debian:bookworm-slim
# A number, so that a cluster can tell that it is not root. The directory is made here, so that a new volume belongs to it.
RUN install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/everlog
COPY --from=build /usr/local/bin/everlog /usr/local/bin/everlog
USER 10001:10001
WORKDIR /var/lib/everlog
VOLUME /var/lib/everlog
EXPOSE 8700
STOPSIGNAL SIGTERM
# A long log may take its time to be read, but the process answers meanwhile.
HEALTHCHECK --interval=10s --timeout=6s --start-period=5s --retries=3 CMD ["everlog", "health"]
ENTRYPOINT ["everlog"]
CMD ["serve", "--data", "/var/lib/everlog", "--log-format", "json"]
