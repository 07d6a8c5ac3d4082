# One image per program, by target: gateway, worker, beat, tools.
#
#   docker build --target gateway -t apium-gateway .
#
# All are Debian 12 with the program, the libraries that it links and nothing to build with.  They run as
# the user `apium` (10001), write below /var/lib/apium only, and take their settings from the environment
# (`docker run apium-tools settings` prints them).

FROM debian:bookworm-slim AS build
WORKDIR /src
# The script knows what a build needs; before the sources, so that a change to them installs nothing anew.
COPY dev ./
RUN apt-get update \
 && ./dev packages | xargs apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/*
COPY meson.build meson_options.txt ./
COPY common common
COPY proto proto
COPY services services
COPY workers workers
COPY tools tools
COPY migrations migrations
RUN meson setup /build --prefix=/usr --buildtype=release -Dtests=false -Dlibrary=false \
 && ninja -C /build \
 && DESTDIR=/out meson install -C /build --no-rebuild --strip
# What each program links, as the names of the packages that bring it.
RUN for program in apium apium-gateway apium-worker apium-beat; do \
        ldd /out/usr/bin/$program | awk '$3 ~ /^\// { print $3 }' | xargs readlink -f | xargs dpkg-query -S \
        | cut -d: -f1 | sort -u > /out/$program.packages || exit 1; \
    done

FROM debian:bookworm-slim AS base
RUN groupadd --system --gid 10001 apium \
 && useradd --system --uid 10001 --gid apium --home-dir /var/lib/apium --shell /usr/sbin/nologin apium \
 && install -d -o apium -g apium /var/lib/apium /var/lib/apium/media
ENV APIUM_MEDIA_ROOT=/var/lib/apium/media

FROM base AS gateway
COPY --from=build /out/apium-gateway.packages /tmp/packages
RUN apt-get update \
 && xargs apt-get install -y --no-install-recommends ca-certificates tzdata < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
COPY --from=build /out/usr/bin/apium-gateway /usr/bin/
ENV APIUM_LISTEN=0.0.0.0:8000
USER apium
VOLUME /var/lib/apium/media
EXPOSE 8000
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["apium-gateway", "health"]
ENTRYPOINT ["apium-gateway"]

FROM base AS worker
COPY --from=build /out/apium-worker.packages /tmp/packages
RUN apt-get update \
 && xargs apt-get install -y --no-install-recommends ca-certificates < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
COPY --from=build /out/usr/bin/apium-worker /usr/bin/
ENV APIUM_HEALTH_FILE=/tmp/apium-worker.health
USER apium
VOLUME /var/lib/apium/media
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["apium-worker", "health"]
ENTRYPOINT ["apium-worker"]

# Wall clocks of other zones need the tz database.
FROM base AS beat
COPY --from=build /out/apium-beat.packages /tmp/packages
RUN apt-get update \
 && xargs apt-get install -y --no-install-recommends ca-certificates tzdata < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
COPY --from=build /out/usr/bin/apium-beat /usr/bin/
ENV APIUM_HEALTH_FILE=/tmp/apium-beat.health
USER apium
HEALTHCHECK --interval=5s --timeout=6s --start-period=30s CMD ["apium-beat", "health"]
ENTRYPOINT ["apium-beat"]

FROM base AS tools
COPY --from=build /out/apium.packages /tmp/packages
RUN apt-get update \
 && xargs apt-get install -y --no-install-recommends ca-certificates tzdata < /tmp/packages \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
COPY --from=build /out/usr/bin/apium /usr/bin/
COPY migrations /usr/share/apium/migrations
USER apium
# `apium migrate` looks for the folder `migrations` here.
WORKDIR /usr/share/apium
ENTRYPOINT ["apium"]
