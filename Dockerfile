# Two stages: the first builds with the Swift toolchain, the second holds the binary and the libraries it runs on.
# Pinned to Debian 12 in both: its libmongoc is of the 1.x series, the one the package is written against.

FROM swift:6.3-bookworm AS build
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libpq-dev libmongoc-dev libbson-dev zlib1g-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies change seldom; their layer outlives a change of our sources. The lock file is taken where there is one.
COPY Package.swift Package.resolved* ./
RUN swift package resolve
COPY Sources Sources
COPY Tests Tests
RUN swift build -c release --product tallyman --static-swift-stdlib \
    && install -D -m 0755 "$(swift build -c release --show-bin-path)/tallyman" /out/tallyman

FROM debian:bookworm-slim
# tzdata: schedules are kept in the zone that TIMEZONE names.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libpq5 libmongoc-1.0-0 libbson-1.0-0 zlib1g ca-certificates tzdata \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin tallyman
COPY --from=build /out/tallyman /usr/local/bin/tallyman
# By number, so that Kubernetes can see it is not root. Nothing is written to the file system.
USER 10001:10001
# A container is reached from outside, so the daemon refuses to start without JWT_KEY; give the settings at run time.
ENV APP_ENV=production HOST=0.0.0.0 PORT=4000
EXPOSE 4000
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/tallyman"]
CMD ["serve"]
