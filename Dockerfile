# syntax=docker/dockerfile:1
# Two images from one file: `server` (api, scheduler, migrations) and `worker` (the same plus torch, several GB).

FROM python:3.11-slim AS server-packages
ENV PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/venv
# The packages hang on these two files alone, so that a change of the code does not install them anew.
COPY pyproject.toml requirements.lock ./
RUN mkdir gpulab && touch gpulab/__init__.py README.md
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install --constraint requirements.lock '.[server]' && /opt/venv/bin/pip uninstall --yes gpulab

FROM server-packages AS worker-packages
RUN --mount=type=cache,target=/root/.cache/pip \
    /opt/venv/bin/pip install --constraint requirements.lock '.[worker]' && /opt/venv/bin/pip uninstall --yes gpulab

FROM python:3.11-slim AS program
ENV PATH=/opt/venv/bin:$PATH PYTHONPATH=/app PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# New volumes take over the owner of the folders they cover.
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin gpulab \
    && install --directory --owner=gpulab --mode=0750 /var/lib/gpulab /var/lib/gpulab/artifacts \
        /var/lib/gpulab/cache /var/lib/gpulab/datasets /var/lib/gpulab/runs-cpu /var/lib/gpulab/runs-gpu \
        /var/lib/gpulab/secrets
WORKDIR /app
COPY . .
USER gpulab

FROM program AS server
COPY --from=server-packages /opt/venv /opt/venv
EXPOSE 8000
CMD ["python", "-m", "api", "--host", "0.0.0.0", "--port", "8000"]

FROM program AS worker
# `utility` brings NVML into the container.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=worker-packages /opt/venv /opt/venv
CMD ["python", "-m", "worker"]
