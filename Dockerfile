# The first stage builds with the Swift toolchain, the second holds the binary and the libraries it runs on, the third dbt too.
# Pinned to Debian 12 in both: its libmongoc is of the 1.x series, the one the package is written against.

FROM swift:6.3-bookworm AS build
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libpq-dev libmongoc-dev libbson-dev libcurl4-openssl-dev zlib1g-dev libzstd-dev pkg-config \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# Dependencies change seldom; their layer outlives a change of our sources. The lock file is taken where there is one.
COPY Package.swift Package.resolved* ./
RUN swift package resolve
COPY Sources Sources
COPY Tests Tests
RUN swift build -c release --product tallyman --static-swift-stdlib \
    && install -D -m 0755 "$(swift build -c release --show-bin-path)/tallyman" /out/tallyman

FROM debian:bookworm-slim AS plain
# tzdata: schedules are kept in the zone that TIMEZONE names.
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        libpq5 libmongoc-1.0-0 libbson-1.0-0 libcurl4 libstdc++6 zlib1g libzstd1 ca-certificates tzdata \
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

# docker build --target dbt: the same with dbt, for the gold stage of the retail job.
FROM plain AS dbt
USER root
COPY bin/lib/dbt.requirements.txt /opt/dbt.requirements.txt
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/dbt \
    && /opt/dbt/bin/pip install --no-cache-dir --disable-pip-version-check -r /opt/dbt.requirements.txt
ENV DBT_EXECUTABLE=/opt/dbt/bin/dbt
USER 10001:10001

# What is built when no target is named.
FROM plain
