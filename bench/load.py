"""Many callers at the same time: errors, throughput against the bare engine, waiting, memory.

    python -m bench.load
    python -m bench.load --users 64 --seconds 60 --precision bf16
    python -m bench.load --browser --rounds 1 --seconds 90

The network is untrained and sees the picture at its own size. In each round, locust's callers ask
the app for masks, each again as soon as it has one, or, after a 503, when Retry-After says. Before
and after, the same engine works alone in this process, without HTTP: network only, and from the PNG
to the mask's PNG by the library. What was served is compared with what was done alone just before
and just after, so that a machine whose speed changes between rounds does no harm. During a round
this process asks for /api/health ten times a second and for both pages once a second. Callers share
the machine with the server: what they take, it lacks.

With --browser, both pages are also opened and used in Chromium, in the first round: then its
seconds are what counts.
"""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import tyro

from app.models import PRECISION_VARIABLE
from bench import server
from bench.inference import NETWORKS, picture, untrained
from bench.timing import machine
from bench.visit import both_pages
from model.checkpoints import zoo
from model.data.masks import index_png
from model.inference.engines import make_engine
from model.inference.segmenter import Segmenter
from model.user_cache import CACHE_VARIABLE

ALONE_SECONDS = 8
BEFORE_THE_VISIT = 10
"""Seconds in which callers fill the queue first."""
BUNDLED = Path(__file__).resolve().parents[1] / "weights"
CALLERS = Path(__file__).with_name("callers.py")
"""Never imported here: locust changes how threads work."""

SIZE_VARIABLE, MODEL_VARIABLE = "UNET_STUDIO_LOAD_SIZE", "UNET_STUDIO_LOAD_MODEL"
MASKS, REFUSED = "masks", "refused"
"""What the callers count, under these names."""


@dataclass(frozen=True)
class Arguments:
    """Errors, throughput, waiting, memory and latency of /api/health under load."""

    users: int = 64
    rounds: int = 5
    seconds: int = 30
    """Of each round."""
    network: str = "resnet34"
    """One of scratch, resnet34, vgg16_bn, mobilenet_v2."""
    size: int = 512
    """Side of the picture in pixels, a multiple of 32."""
    precision: str = "f32"
    """f32, bf16 or int8."""
    browser: bool = False
    """Also open and use both pages in Chromium, with the bundled checkpoints."""


def main() -> None:
    arguments = tyro.cli(Arguments, prog="python -m bench.load", description=__doc__)
    size = f"{arguments.size}x{arguments.size}"
    print(f"{arguments.network} (untrained), {size}, {arguments.precision}, {machine()}")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ[CACHE_VARIABLE] = str(Path(temporary) / "cache")
        os.environ[zoo.WEIGHTS_VARIABLE] = str(Path(temporary) / "weights")
        path = Path(temporary) / "weights" / "untrained"
        checkpoint = untrained(path, NETWORKS[arguments.network], arguments.size)
        engine = make_engine(checkpoint, "openvino", arguments.precision)
        batch = picture(checkpoint, size)
        segmenter = Segmenter(checkpoint, engine="openvino", precision=arguments.precision)
        content = server.png(arguments.size, arguments.size)
        alone = {
            "network": lambda: engine.logits(batch),
            "library": lambda: index_png(segmenter.segment(content).labels, segmenter.classes),
        }
        start = Processors.now()
        if arguments.browser:
            for bundled in BUNDLED.iterdir():
                (path.parent / bundled.name).symlink_to(bundled)
        with server.running({PRECISION_VARIABLE: arguments.precision}) as (url, process):
            call(url, arguments)
            watch, rounds = Watch(url, process.pid), []
            rates = [rates_of(alone)]
            for number in range(arguments.rounds):
                counted = callers(url, arguments, watch, visit=arguments.browser and not number)
                rates.append(rates_of(alone))
                rounds.append(Round.of(counted, *rates[-2:]))
                watch.end_of_round()
    show(rounds, watch, arguments)
    print("processors       " + start.share_of_others())


@dataclass(frozen=True)
class Round:
    """What the callers got in one round.

    Attributes: masks: answers with a mask; a_second: masks per second; refused: answers with 503;
        failed: other answers; of_alone: share of the rate alone before and after, by name;
        waited: milliseconds for each mask.
    """

    masks: int
    a_second: float
    refused: int
    failed: int
    of_alone: dict[str, float]
    waited: np.ndarray

    @classmethod
    def of(
        cls, counted: dict[str, dict], before: dict[str, float], after: dict[str, float]
    ) -> Round:
        """From locust's counts and the rates per second of each alone before and after."""
        masks = counted[MASKS]
        served = masks["num_requests"] - masks["num_failures"]
        a_second = served / (masks["last_request_timestamp"] - masks["start_time"])
        return cls(
            masks=served,
            a_second=a_second,
            refused=counted.get(REFUSED, {}).get("num_requests", 0),
            failed=masks["num_failures"],
            of_alone={name: 2 * a_second / (before[name] + after[name]) for name in before},
            waited=times(masks),
        )


@dataclass(frozen=True)
class Processors:
    """CPU seconds since the machine started; `ours` are of this process and its ended children."""

    all: float
    busy: float
    ours: float
    stolen: float

    @classmethod
    def now(cls) -> Processors:
        ticks = Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
        user, nice, system, idle, waiting, hard, soft, stolen = (
            int(value) / os.sysconf("SC_CLK_TCK") for value in ticks
        )
        busy = user + nice + system + hard + soft
        return cls(busy + idle + waiting + stolen, busy, sum(os.times()[:4]), stolen)

    def share_of_others(self) -> str:
        """Since then. Where it is large, the figures say little."""
        now = Processors.now()
        whole = now.all - self.all
        others = (now.busy - self.busy - (now.ours - self.ours)) / whole
        stolen = (now.stolen - self.stolen) / whole
        return f"{others:.1%} taken by other programs, {stolen:.1%} by the machine's host"


def rates_of(runs: dict[str, Callable[[], object]]) -> dict[str, float]:
    """How often per second each can run, measured in turns."""
    for run in runs.values():
        run()
    seconds, count = dict.fromkeys(runs, 0.0), 0
    while sum(seconds.values()) < ALONE_SECONDS:
        count += 1
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            seconds[name] += time.perf_counter() - start
    return {name: count / taken for name, taken in seconds.items()}


def call(url: str, arguments: Arguments) -> None:
    """One mask, so that the model is open."""
    body, kind = server.form(server.png(arguments.size, arguments.size), "untrained")
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    connection.request("POST", "/api/predict", body, {"Content-Type": kind})
    assert connection.getresponse().read().startswith(b"\x89PNG")


class Watch:
    """What a bystander notices of a server under load.

    Attributes: seconds: of each answer, by address; memory: bytes at the end of each round; failed:
        addresses that were answered with a status other than 200.
    """

    def __init__(self, url: str, pid: int) -> None:
        self.host = urlsplit(url).netloc
        self.status = Path(f"/proc/{pid}/statm")
        self.seconds: dict[str, list[float]] = {"/api/health": [], "/": [], "/compare/": []}
        self.memory: list[int] = []
        self.failed: list[str] = []

    def __enter__(self) -> Watch:
        self._over = threading.Event()
        every = {"/api/health": 0.1, "/": 1.0, "/compare/": 1.0}
        self._threads = [
            threading.Thread(target=self._ask, args=item, daemon=True) for item in every.items()
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, path: str, pause: float) -> None:
        connection = http.client.HTTPConnection(self.host, timeout=60)
        while not self._over.wait(pause):
            start = time.perf_counter()
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            self.seconds[path].append(time.perf_counter() - start)
            if answer.status != 200:
                self.failed.append(path)

    def end_of_round(self) -> None:
        pages = int(self.status.read_text().split()[1])
        self.memory.append(pages * os.sysconf("SC_PAGE_SIZE"))


def callers(url: str, arguments: Arguments, watch: Watch, *, visit: bool) -> dict[str, dict]:
    """Lets locust call for a round. Returns what it counted, by name."""
    command = [
        *(sys.executable, "-m", "locust", "--headless", "--json", "--only-summary"),
        *("--locustfile", str(CALLERS), "--host", url, "--loglevel", "WARNING"),
        *("--users", str(arguments.users), "--spawn-rate", str(arguments.users)),
        *("--run-time", f"{arguments.seconds}s", "--stop-timeout", "60"),
    ]
    environment = os.environ | {
        SIZE_VARIABLE: str(arguments.size),
        MODEL_VARIABLE: "untrained",
        "PYTHONPATH": str(CALLERS.parents[1]),
    }
    with watch:
        running = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        if visit:
            time.sleep(BEFORE_THE_VISIT)
            both_pages(url)
            if running.poll() is not None:
                sys.exit("error: the visit outlasted the load; give more --seconds.")
        counted, _ = running.communicate()
    return {row["name"]: row for row in json.loads(counted)}


def show(rounds: list[Round], watch: Watch, arguments: Arguments) -> None:
    print(f"{arguments.users} callers, {len(rounds)} rounds of {arguments.seconds} s")
    served, rates = sum(r.masks for r in rounds), [r.a_second for r in rounds]
    print(f"masks            {served}, {middle(rates)} a second")
    for name in rounds[0].of_alone:
        print(f"  of {name} alone{'':{9 - len(name)}}{middle([r.of_alone[name] for r in rounds])}")
    refused, failed = sum(r.refused for r in rounds), sum(r.failed for r in rounds)
    print(f"refused with 503 {refused}; errors {failed}")
    print("waiting, ms      " + quantiles(np.concatenate([r.waited for r in rounds])))
    for path, seconds in watch.seconds.items():
        print(f"{path + ', ms':17}" + quantiles(np.array(seconds) * 1e3))
    print(f"not answered     {watch.failed or 'none'}")
    print("memory, MB       " + ", ".join(f"{size / 1e6:.0f}" for size in watch.memory))


def middle(values: list[float]) -> str:
    return f"{np.median(values):.2f} ({min(values):.2f}-{max(values):.2f})"


def times(row: dict) -> np.ndarray:
    """Locust's histogram, in milliseconds."""
    counts = row["response_times"]
    return np.repeat([float(value) for value in counts], list(counts.values()))


def quantiles(values: np.ndarray) -> str:
    names = (("median", 0.5), ("p99", 0.99), ("max", 1.0))
    return ", ".join(f"{name} {np.quantile(values, q):.0f}" for name, q in names)


if __name__ == "__main__":
    main()
