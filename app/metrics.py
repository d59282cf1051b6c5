"""What the server counts, for Prometheus: GET /api/metrics."""

from __future__ import annotations

import time
from collections.abc import Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import models
from model import __version__
from model.inference.segmenter import Segmentation

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)
PlatformCollector(registry=REGISTRY)

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)

REQUESTS = Counter(
    "unet_studio_requests",
    "Requests to the API, by route and status.",
    ["route", "method", "status"],
    registry=REGISTRY,
)
REQUEST_SECONDS = Histogram(
    "unet_studio_request_seconds",
    "From the request to the end of the answer, waiting included, by route.",
    ["route"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
PICTURE_SECONDS = Histogram(
    "unet_studio_picture_seconds",
    "Of pictures that came through the API, by step: decode, network, labels.",
    ["model", "precision", "step"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
Info("unet_studio", "What runs.", registry=REGISTRY).info({"version": __version__})


class _State(Collector):
    """What can be read off when somebody asks."""

    def collect(self) -> Iterator[Metric]:
        queue = models.QUEUE
        yield GaugeMetricFamily("unet_studio_turns", "Pictures in hand at most.", queue.turns)
        yield GaugeMetricFamily("unet_studio_running", "Pictures in hand.", queue.running)
        for name, text, values in (
            ("waiting", "Pictures that wait for their turn, by lane.", queue.waiting()),
            ("jobs", "Requests that have a place in the queue, by lane.", queue.jobs()),
        ):
            family = GaugeMetricFamily(f"unet_studio_{name}", text, labels=["lane"])
            for lane, value in values.items():
                family.add_metric([lane], value)
            yield family
        yield CounterMetricFamily(
            "unet_studio_refused", "Requests for which there was no place.", queue.refused
        )
        open_models = GaugeMetricFamily("unet_studio_model_open", "In memory.", labels=["model"])
        for name in sorted(set(models.open_models())):
            open_models.add_metric([name], 1)
        yield open_models


REGISTRY.register(_State())


def observe(result: Segmentation) -> None:
    """Counts a segmented picture."""
    for step, milliseconds in result.milliseconds.items():
        PICTURE_SECONDS.labels(result.model, result.precision, step).observe(milliseconds / 1e3)


class Counted:
    """ASGI middleware that counts requests. Names routes, not addresses: those are endless."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        start = time.perf_counter()
        status = 500

        async def noted_send(message: Message) -> None:
            nonlocal status
            status = message.get("status", status)
            await send(message)

        try:
            await self.app(scope, receive, noted_send)
        finally:
            route = getattr(scope.get("route"), "path", "other")
            known = ("GET", "POST", "HEAD", "OPTIONS")
            method = scope["method"] if scope["method"] in known else "other"
            REQUESTS.labels(route, method, status).inc()
            REQUEST_SECONDS.labels(route).observe(time.perf_counter() - start)
