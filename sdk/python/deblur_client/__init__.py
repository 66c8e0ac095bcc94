"""Client of a Deblur service: a blurred photograph goes in, the restored one comes out."""

from __future__ import annotations

import json
import os
import random
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypedDict, Unpack
from urllib.parse import parse_qs, urlsplit

import httpx

__all__ = ["Client", "DeblurError", "Options", "Prediction", "Result", "deblur"]

Picture = bytes | bytearray | memoryview | Path | BinaryIO | str
Prediction = dict[str, Any]
"""A prediction as the service answers it: `id`, `status`, `output`, `error`, `metrics`, `progress`, `urls`, …"""

BACKOFF_SECONDS, MAX_BACKOFF_SECONDS, RECONNECT_SECONDS = 0.5, 60.0, 1.0
# The service writes at least every 15 s: after this a connection is dead.
SILENCE_MAX_SECONDS = 45.0
REFUSED = {429, 503}
REPEATABLE = REFUSED | {408, 500, 502, 504}


class Options(TypedDict, total=False):
    """How a picture is restored and written; what is left out is the service's default."""

    model: str
    working_scale: Literal["auto", 1, 2, 3, 4]
    strength: float
    format: Literal["auto", "jpeg", "png", "webp", "avif"]
    quality: int
    metadata: Literal["keep", "strip"]
    tile: int


@dataclass(eq=False)
class DeblurError(Exception):
    """A failure: `code` of the service's closed list, `connection_failed`, `unexpected_response` or `canceled`."""

    code: str
    detail: str
    status: int | None = None
    request_id: str | None = None
    fields: list[dict[str, str]] = field(default_factory=list)
    retry_after_seconds: float | None = None
    prediction: Prediction | None = None

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


@dataclass(frozen=True)
class Result:
    """A restored picture: the bytes of its file, their media type, and where the service keeps it."""

    data: bytes
    type: str
    url: str
    prediction: Prediction

    @property
    def metrics(self) -> dict[str, Any]:
        return dict(self.prediction["metrics"])


class Client:
    """One service, for as many calls as you like; close it, or use it in a `with` statement."""

    def __init__(
        self,
        server: str | None = None,
        api_key: str | None = None,
        *,
        max_retries: int = 4,
        timeout_seconds: float = 300.0,
    ) -> None:
        """`timeout_seconds` bounds each step of a request. Raises ValueError without an http(s) address."""
        server = server or os.environ.get("DEBLUR_URL", "")
        if not re.match(r"https?://[^/]", server):
            raise ValueError("deblur needs the address of a service: server='https://…', or DEBLUR_URL")
        key = api_key or os.environ.get("DEBLUR_API_KEY")
        self._server = server.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._max_retries = max_retries
        self._http = httpx.Client(timeout=timeout_seconds)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    def deblur(
        self,
        picture: Picture,
        *,
        timeout_seconds: float = 600.0,
        on_progress: Callable[[int, int], None] | None = None,
        **options: Unpack[Options],
    ) -> Result:
        """Restores a picture and fetches the result.

        Raises DeblurError; TimeoutError after `timeout_seconds`, when the prediction is cancelled.
        """
        until = time.monotonic() + timeout_seconds
        created = self.create(picture, **options)
        try:
            prediction = self.wait(created["id"], timeout_seconds=until - time.monotonic(), on_progress=on_progress)
        except (TimeoutError, KeyboardInterrupt):
            self.cancel(created["id"])
            raise
        # Without the key: the result may lie on another host.
        response = self._send("GET", prediction["output"], repeat=True, follow_redirects=True)
        media_type = response.headers.get("content-type", "application/octet-stream")
        return Result(response.content, media_type, prediction["output"], prediction)

    def create(
        self,
        picture: Picture,
        *,
        webhook: str | None = None,
        webhook_events_filter: list[str] | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> Prediction:
        """Begins to restore a picture. However often it is sent, one call is one prediction."""
        headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex, "Prefer": "respond-async"}
        source = _source_of(picture)
        hook = {"webhook": webhook, "webhook_events_filter": webhook_events_filter}
        extra = {name: value for name, value in hook.items() if value is not None}
        if isinstance(source, str):
            body = {"input": {"image": source, **options}, **extra}
            return self._json("POST", "/v1/predictions", repeat=True, headers=headers, json=body)
        if webhook_events_filter is not None:
            extra["webhook_events_filter"] = ",".join(webhook_events_filter)
        headers["Content-Type"] = "application/octet-stream"
        params = {**options, **extra}
        return self._json("POST", "/v1/predictions", repeat=True, headers=headers, params=params, content=source)

    def get(self, prediction_id: str) -> Prediction:
        return self._json("GET", f"/v1/predictions/{prediction_id}", repeat=True)

    def cancel(self, prediction_id: str) -> Prediction:
        """What has ended stays as it ended."""
        return self._json("POST", f"/v1/predictions/{prediction_id}/cancel", repeat=True)

    def list(self) -> Iterator[Prediction]:
        """The caller's predictions, newest first; pages are fetched as they are needed."""
        params: dict[str, str] = {}
        while True:
            page = self._json("GET", "/v1/predictions", repeat=True, params=params)
            yield from page["results"]
            cursor = parse_qs(urlsplit(page["next"] or "").query).get("cursor")
            if not cursor:
                return
            params = {"cursor": cursor[0]}

    def upload(self, picture: bytes | Path | BinaryIO, name: str = "picture") -> dict[str, Any]:
        """Uploads a picture; its `id` may be given wherever a picture is wanted, for a day."""
        files = {"content": (name, _source_of(picture))}
        return self._json("POST", "/v1/files", repeat=False, files=files)

    def events(self, prediction_id: str, *, timeout_seconds: float = 600.0) -> Iterator[tuple[str, Prediction]]:
        """`start`, `progress` and `completed` with the prediction as it was then; broken connections are opened again.

        Raises TimeoutError after `timeout_seconds`.
        """
        until = time.monotonic() + timeout_seconds
        last_id: str | None = None
        while True:
            headers = {"Accept": "text/event-stream", **({"Last-Event-ID": last_id} if last_id else {})}
            url = f"{self._server}/v1/predictions/{prediction_id}"
            silence = max(0.1, min(SILENCE_MAX_SECONDS, until - time.monotonic()))
            try:
                with self._http.stream("GET", url, headers=headers | self._headers, timeout=silence) as response:
                    for event, event_id, data in _server_sent_events(response):
                        last_id = event_id or last_id
                        yield event, json.loads(data)
                        if event == "completed":
                            return
            except httpx.TransportError:
                pass
            prediction = self.get(prediction_id)
            if prediction["status"] not in ("starting", "processing"):
                yield "completed", prediction
                return
            if time.monotonic() + RECONNECT_SECONDS > until:
                raise TimeoutError(f"prediction {prediction_id} has not ended within {timeout_seconds} s")
            time.sleep(RECONNECT_SECONDS)

    def wait(
        self,
        prediction_id: str,
        *,
        timeout_seconds: float = 600.0,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Prediction:
        """The prediction with its `output`. Raises DeblurError when it failed, TimeoutError after `timeout_seconds`."""
        for event, prediction in self.events(prediction_id, timeout_seconds=timeout_seconds):
            progress = prediction["progress"]
            if progress is not None and on_progress is not None:
                on_progress(progress["done"], progress["total"])
            if event == "completed":
                return _succeeded(prediction)
        raise AssertionError("events() ends with `completed` or raises")

    def _json(self, method: str, path: str, *, repeat: bool, headers: Mapping[str, str] | None = None, **request: Any):
        merged = {**self._headers, **(headers or {})}
        return self._send(method, self._server + path, repeat=repeat, headers=merged, **request).json()

    def _send(self, method: str, url: str, *, repeat: bool, **request: Any) -> httpx.Response:
        """`repeat`: also after a lost answer. What the service refused for a while is sent again in any case."""
        attempt = 0
        while True:
            try:
                response = self._http.request(method, url, **request)
            except httpx.TransportError as cause:
                error = DeblurError("connection_failed", f"{url} did not answer ({cause}).")
                again = repeat
            else:
                if response.is_success:
                    return response
                error = _error_of(response)
                again = response.status_code in (REPEATABLE if repeat else REFUSED)
                again = again or error.code == "idempotency_conflict"
            wait = max(BACKOFF_SECONDS * 2**attempt * random.uniform(0.5, 1), error.retry_after_seconds or 0)
            if not again or attempt >= self._max_retries or wait > MAX_BACKOFF_SECONDS:
                raise error
            time.sleep(wait)
            attempt += 1


def deblur(picture: Picture, *, server: str | None = None, api_key: str | None = None, **options: Any) -> Result:
    """`Client(server, api_key).deblur(picture, **options)`, for a single call."""
    with Client(server, api_key) as client:
        return client.deblur(picture, **options)


def _source_of(picture: Picture) -> bytes | str:
    if isinstance(picture, str):
        if re.match(r"https?:|data:|file_", picture, re.IGNORECASE):
            return picture
        raise ValueError(f"{picture[:80]!r} is no address, data: URI or file id; a file is named by Path(…)")
    if isinstance(picture, Path):
        return picture.read_bytes()
    return bytes(picture if isinstance(picture, bytes | bytearray | memoryview) else picture.read())


def _succeeded(prediction: Prediction) -> Prediction:
    if prediction["status"] == "succeeded":
        return prediction
    if prediction["status"] == "canceled":
        raise DeblurError("canceled", f"Prediction {prediction['id']} was cancelled.", prediction=prediction)
    code, _, detail = (prediction["error"] or "internal: The prediction failed.").partition(": ")
    raise DeblurError(code, detail, prediction=prediction)


def _error_of(response: httpx.Response) -> DeblurError:
    status, after = response.status_code, _retry_after(response.headers.get("retry-after"))
    try:
        problem = response.json()
        code, detail = problem["code"], problem["detail"]
    except (ValueError, KeyError, TypeError):
        detail = f"{response.url} answered {status} without a problem document: is it a Deblur service?"
        return DeblurError("unexpected_response", detail, status, retry_after_seconds=after)
    return DeblurError(code, detail, status, problem.get("request_id"), problem.get("errors", []), after)


def _retry_after(header: str | None) -> float | None:
    if header is None or header.strip().isdigit():
        return None if header is None else float(header)
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _server_sent_events(response: httpx.Response) -> Iterator[tuple[str, str | None, str]]:
    """(event, id, data) of WHATWG's event stream; nothing for an answer that is none."""
    values: dict[str, list[str]] = {}
    for line in response.iter_lines() if response.status_code == httpx.codes.OK else ():
        if line != "":
            name, _, value = line.partition(":")
            values.setdefault(name, []).append(value.removeprefix(" "))
            continue
        if "data" in values:
            yield values.get("event", ["message"])[-1], values.get("id", [None])[-1], "\n".join(values["data"])
        values = {}
