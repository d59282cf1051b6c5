# From Spacefile, by `python -m app.space render`. Change that, not this.

# The image runs as user 1000, as Spaces demand, and writes nowhere but below ~/.cache:
#
#   docker build --tag unet-studio .
#   docker run --read-only --tmpfs /home/user/.cache:uid=1000 \
#     --publish 7860:7860 unet-studio

FROM python:3.12-slim

RUN useradd --uid 1000 --no-create-home --home-dir /home/user user \
  && install --directory --owner=1000 --group=1000 /home/user/.cache

ENV HOME=/home/user \
    HF_HOME=/home/user/.cache/huggingface \
    UNET_STUDIO_CACHE=/home/user/.cache/unet-studio \
    TMPDIR=/home/user/.cache \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

WORKDIR /srv/unet-studio
COPY requirements-space.txt .
# Without its optional telemetry package OpenVINO reports to nobody.
RUN pip install --no-cache-dir --requirement requirements-space.txt \
  && pip uninstall --yes openvino-telemetry
COPY . .

USER 1000
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/api/health', timeout=4)"]
CMD ["python", "app.py", "--host", "0.0.0.0", "--port", "7860"]
