"""What locust runs for `bench.load`: callers that ask for masks, one after the other."""

from __future__ import annotations

import os

import gevent
from locust import FastHttpUser, task

from bench.server import form, png

SIZE = int(os.environ["UNET_STUDIO_LOAD_SIZE"])
# Once for all callers: drawing it takes a tenth of a second of the server's computing time.
BODY, KIND = form(png(SIZE, SIZE), os.environ["UNET_STUDIO_LOAD_MODEL"])


class Caller(FastHttpUser):
    """Asks again at once after a mask; after a 503 it waits as long as the server says."""

    @task
    def mask(self) -> None:
        with self.client.post(
            "/api/predict",
            data=BODY,
            headers={"Content-Type": KIND},
            name="masks",
            catch_response=True,
        ) as answer:
            wait = answer.headers.get("Retry-After") if answer.headers else None
            if answer.status_code == 503 and wait:
                answer.request_meta["name"] = "refused"
                answer.success()
            elif answer.status_code != 200 or not answer.content.startswith(b"\x89PNG"):
                answer.failure(f"{answer.status_code}: {answer.text[:200]}")
        if wait:
            gevent.sleep(float(wait))
