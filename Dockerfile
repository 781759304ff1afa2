# The image holds the program, the libraries that it loads, the roots it trusts and nothing else: no shell, no package manager.
# Both bases are arguments, so that it can be built from a mirror, or without one: tests/image makes them itself.
ARG BUILD_IMAGE=rust:1.95-bookworm
ARG RUN_IMAGE=debian:bookworm-slim

FROM ${BUILD_IMAGE} AS build
WORKDIR /src
# .dockerignore lets in what is built and no more.
COPY . .
ARG PROFILE=release
RUN cargo install --locked --path . --profile "$PROFILE" --root /out --target-dir /target --no-track

# What the program loads is taken from the base on which it is to run, so that a rebuild brings that base's security updates.
FROM ${RUN_IMAGE} AS parts
COPY --from=build /out/bin/footbridge /image/footbridge
COPY --from=build /etc/ssl/certs/ca-certificates.crt /image/etc/ssl/certs/ca-certificates.crt
RUN set -eu; \
    ldd /image/footbridge | grep -o '/[^ ]*' | while read -r library; do cp -L --parents "$library" /image; done; \
    # Names are looked up in /etc/hosts, then by DNS: both are parts of the C library, which wants to be told so.
    echo 'hosts: files dns' >/image/etc/nsswitch.conf; \
    echo 'footbridge:x:65532:65532::/var/lib/footbridge:/nonexistent' >/image/etc/passwd; \
    echo 'footbridge:x:65532:' >/image/etc/group; \
    mkdir -p /image/etc/footbridge /state

FROM scratch
COPY --from=parts /image/ /
# What keeps a second bridge away lies here. A named volume takes over this owner; a folder of the host must be writable for it.
COPY --from=parts --chown=65532:65532 /state /var/lib/footbridge
ENV STATE_DIRECTORY=/var/lib/footbridge
VOLUME ["/var/lib/footbridge"]
# By number, so that a cluster can see that it is not root.
USER 65532:65532
STOPSIGNAL SIGTERM
# There is no shell here: the program asks the running one whether it is ready.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s CMD ["/footbridge", "healthcheck"]
ENTRYPOINT ["/footbridge"]
CMD ["serve"]
