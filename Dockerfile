# The gateway, and the sandbox upstream: `gateway` and `gateway sandbox` are commands of the same image.

FROM python:3.13-slim AS build
# For traces:   docker build --build-arg EXTRAS=[otel] .
ARG EXTRAS=
WORKDIR /source
COPY pyproject.toml hatch_build.py requirements.lock README.md LICENSE ./
COPY gateway gateway
COPY schema schema
# The build fetches GraphiQL's files with npm, which it installs from PyPI into its temporary environment.
RUN python -m venv --without-pip /opt/gateway \
 && pip --python /opt/gateway install --no-cache-dir -c requirements.lock ".${EXTRAS}"

FROM python:3.13-slim
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GATEWAY_HOST=0.0.0.0
# A numeric user, so that Kubernetes can verify that it is not root. It owns no files and needs no home directory.
USER 10001:10001
EXPOSE 8000
CMD ["gateway"]
