# The server, the commands and the reference runner in one image. docs/deploy/docker.md says how to run it.
# Debian 13's own python3 and git: security updates come with `docker build --pull`.
FROM debian:13-slim AS build
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
# What is installed is in the lock file, each file with its hash; a change of our code does not install it again.
COPY deploy/requirements.lock deploy/requirements-build.lock deploy/
RUN python3 -m venv /opt/jobserver \
    && /opt/jobserver/bin/pip install --no-cache-dir --require-hashes --requirement deploy/requirements.lock \
    && python3 -m venv /opt/build \
    && /opt/build/bin/pip install --no-cache-dir --require-hashes --requirement deploy/requirements-build.lock
COPY pyproject.toml README.md bottle_app.py ./
COPY jobserver jobserver
COPY state_repo_template state_repo_template
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /dist . \
    && /opt/jobserver/bin/pip install --no-cache-dir --no-deps --no-index /dist/*.whl

FROM debian:13-slim
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates git openssh-client python3 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --home-dir /state --shell /usr/sbin/nologin jobserver \
    && install --directory --owner jobserver --group jobserver --mode 0750 /state /shared
COPY --from=build /opt/jobserver /opt/jobserver
# dokku reads these from the working folder of the image.
WORKDIR /app
COPY Procfile app.json nginx.conf.sigil ./
ENV PATH=/opt/jobserver/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    HOST=0.0.0.0 \
    PORT=8000 \
    STATE_REPO=/state/state.git
USER 10001
VOLUME /state
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
    CMD ["jobserver", "health"]
CMD ["jobserver", "serve"]
