# The gateway, and the sandbox upstream: `gateway` and `gateway sandbox` are commands of the same image.
#   docker build -t partner-center-graphql .
# With a wheel that is already built, as releases do it:   docker buildx build --build-context wheel=dist .
#
# Tags are exact versions. For digests, which only a registry can tell, see docs/operations.md.

# The wheel does not depend on the platform, so it is built once, on the machine's own.
FROM --platform=$BUILDPLATFORM python:3.13.15-slim-trixie AS wheel-build
WORKDIR /source
COPY deploy/image/build.lock ./
RUN pip install --no-cache-dir --only-binary :all: --require-hashes -r build.lock
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY gateway gateway
COPY schema schema
# Fetches GraphiQL's files with npm, and compares them with the digests in gateway/graphiql/assets.toml.
RUN pip wheel --no-cache-dir --no-build-isolation --no-deps --wheel-dir /dist .

# Only the wheel. `--build-context wheel=dist` replaces this stage, and then the one above is not built.
FROM scratch AS wheel
COPY --from=wheel-build /dist/ /

FROM python:3.13.15-slim-trixie AS build
WORKDIR /build
COPY deploy/image/runtime.lock ./
RUN python -m venv --without-pip /opt/gateway \
 && pip --python /opt/gateway install --no-cache-dir --only-binary :all: --require-hashes -r runtime.lock
COPY --from=wheel /*.whl /wheel/
RUN pip --python /opt/gateway install --no-cache-dir --no-index --no-deps /wheel/*.whl \
 && pip --python /opt/gateway check

FROM python:3.13.15-slim-trixie
LABEL org.opencontainers.image.title="partner-center-graphql" \
      org.opencontainers.image.description="A GraphQL gateway over Partner Center's licenses-deployment report" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GATEWAY_HOST=0.0.0.0
# A numeric user, so that Kubernetes can verify that it is not root. It owns no files and needs no home directory.
USER 10001:10001
EXPOSE 8000
# For `gateway`, at GATEWAY_PORT. Kubernetes has its own probes and ignores this one.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --start-interval=2s CMD ["gateway", "health"]
CMD ["gateway"]
