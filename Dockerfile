# The gateway, and the sandbox upstream: `gateway` and `gateway sandbox` are commands of the same image.

FROM python:3.13-slim AS build
# For traces:   docker build --build-arg EXTRAS=[otel] .
ARG EXTRAS=
WORKDIR /source
COPY pyproject.toml hatch_build.py requirements.lock README.md LICENSE ./
COPY gateway gateway
COPY schema schema
# GraphiQL's files come by npm; the build takes npm from PyPI, into its own environment that is thrown away.
RUN python -m venv --without-pip /opt/gateway \
 && pip --python /opt/gateway install --no-cache-dir -c requirements.lock ".${EXTRAS}"

FROM python:3.13-slim
COPY --from=build /opt/gateway /opt/gateway
ENV PATH=/opt/gateway/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 GATEWAY_HOST=0.0.0.0
# A number, so that Kubernetes can see that it is not root; it owns no file and needs no home.
USER 10001:10001
EXPOSE 8000
CMD ["gateway"]
