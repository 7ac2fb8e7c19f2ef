# manyfaces serve. Build and run: docs/serve.md.
FROM python:3.12-slim-bookworm AS build
RUN apt-get update && apt-get install --yes --no-install-recommends g++ && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY pyproject.toml setup.py README.md LICENSE ./
COPY cfgs cfgs
COPY lib lib
RUN python -m venv /opt/manyfaces && /opt/manyfaces/bin/pip install --no-cache-dir '.[serve]'

FROM python:3.12-slim-bookworm
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin manyfaces
COPY --from=build /opt/manyfaces /opt/manyfaces
ENV PATH=/opt/manyfaces/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Within a container all addresses have to be listened on. Which of them the host shows is said where it is run.
ENTRYPOINT ["manyfaces", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["--model", "ssh_mobilenet_v1_025"]
