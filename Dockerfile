# The command on a CPU, from the wheel: `make dist`, then `docker build --tag selfreward .`
#   docker run --rm --volume "$PWD:/work" selfreward run smoke
# TORCH_INDEX: an index to take torch from, PyTorch's own for small CPU builds say; empty is pip's own.
FROM python:3.11.14-slim-bookworm

ARG TORCH=torch==2.13.0
ARG TORCH_INDEX=
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 HF_HUB_DISABLE_TELEMETRY=1

COPY .ci/constraints.txt dist/selfreward_loop-*.whl /tmp/install/
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "$TORCH" \
    && pip install --constraint /tmp/install/constraints.txt "$(ls /tmp/install/selfreward_loop-*.whl)[verifiers]" \
    && rm -r /tmp/install

# What runs are written to, /work, is mounted: whose it is there is the user's to say (`--user "$(id -u):$(id -g)"`).
RUN useradd --create-home --uid 1000 selfreward && install --directory --owner selfreward /work
USER selfreward
WORKDIR /work
ENTRYPOINT ["selfreward"]
