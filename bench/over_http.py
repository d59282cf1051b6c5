"""What HTTP adds to a network: a picture in, its mask as PNG out, against the network alone.

    python -m bench.over_http
    python -m bench.over_http --network mobilenet_v2 --size 512

The network is untrained and sees the picture at its own size. Both are asked in turns: the app
on this machine, by one caller, and the same engine in this process.
"""

from __future__ import annotations

import http.client
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import tyro

from app.models import PRECISION_VARIABLE
from bench import server
from bench.inference import NETWORKS, picture, untrained
from bench.timing import in_turns, machine
from model.checkpoints import zoo
from model.inference.engines import make_engine
from model.inference.engines.precision import FASTEST_FIRST, native
from model.user_cache import CACHE_VARIABLE


@dataclass(frozen=True)
class Arguments:
    """Milliseconds over HTTP and of the network alone, by precision."""

    network: str = "resnet34"
    """One of scratch, resnet34, vgg16_bn, mobilenet_v2."""
    size: int = 512
    """Side of the picture in pixels, a multiple of 32."""
    rounds: int = 15


def main() -> None:
    arguments = tyro.cli(Arguments, prog="python -m bench.over_http", description=__doc__)
    size = f"{arguments.size}x{arguments.size}"
    print(f"{arguments.network} (untrained), {size}, {machine()}")
    print(f"{'':8}{'HTTP, ms':>10}{'network, ms':>13}   times as long")
    with tempfile.TemporaryDirectory() as temporary:
        os.environ[CACHE_VARIABLE] = str(Path(temporary) / "cache")
        os.environ[zoo.WEIGHTS_VARIABLE] = str(Path(temporary) / "weights")
        path = Path(temporary) / "weights" / "untrained"
        checkpoint = untrained(path, NETWORKS[arguments.network], arguments.size)
        for precision in FASTEST_FIRST:
            if precision not in native():
                continue
            engine = make_engine(checkpoint, "openvino", precision)
            batch = picture(checkpoint, size)
            body, kind = server.form(server.png(arguments.size, arguments.size), checkpoint.name)
            with server.running({PRECISION_VARIABLE: precision}) as (url, _):
                connection = http.client.HTTPConnection(urlsplit(url).netloc)

                def ask(connection=connection, body=body, kind=kind) -> None:
                    connection.request("POST", "/api/predict", body, {"Content-Type": kind})
                    answer = connection.getresponse()
                    assert answer.read().startswith(b"\x89PNG"), answer.status

                times = in_turns(
                    {"http": ask, "network": lambda: engine.logits(batch)},  # noqa: B023
                    arguments.rounds,
                )
            ratio = times["network"].times_faster_than(times["http"])
            asked, alone = 1e3 * times["http"].median, 1e3 * times["network"].median
            print(f"{precision:8}{asked:>10.1f}{alone:>13.1f}   {ratio}")


if __name__ == "__main__":
    main()
