# DockNap's image: one static binary, nothing else.
#
#   docker build -t docknap .
#
# scripts/image builds the last stage, word for word, around a binary that exists already.
FROM docker.io/library/rust:1.95-slim-bookworm AS docknap-binary
WORKDIR /src
COPY . .
# Static, as .cargo/config.toml says.
RUN cargo build --release --locked && mkdir -p /out/data && cp target/*/release/docknap /out/docknap

FROM scratch AS image
LABEL org.opencontainers.image.title="DockNap" \
      org.opencontainers.image.description="Puts Docker stacks to sleep and wakes them again" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="0.1.0"
COPY --from=docknap-binary /out/docknap /docknap
# Empty and owned by the user below: a new volume takes the owner over.
COPY --from=docknap-binary --chown=65532:65532 /out/data /data
ENV DOCKNAP_DATA_DIR=/data
USER 65532:65532
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["/docknap", "healthcheck"]
ENTRYPOINT ["/docknap"]
