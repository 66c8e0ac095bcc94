"""Many pictures at once, with httpx (pip install httpx):

    python python_httpx.py holiday/*.jpg

writes holiday/*.restored.jpg. DEBLUR_URL says where the service is (default: http://127.0.0.1:8787, where `npm start`
has it), DEBLUR_API_KEY opens it (on your own machine nothing has to).
"""

import asyncio
import json
import os
import sys
import uuid
from pathlib import Path

import httpx

URL = os.environ.get("DEBLUR_URL", "http://127.0.0.1:8787")
KEY = os.environ.get("DEBLUR_API_KEY")
AT_ONCE = 4
TRIES = 8
BUSY = {409, 429, 502, 503, 504}  # 409: the first try with this Idempotency-Key is still being answered


async def send(client: httpx.AsyncClient, method: str, url: str, **request) -> httpx.Response:
    """Tries again when the service is busy or an answer is lost, no sooner than Retry-After says."""
    for attempt in range(1, TRIES + 1):
        wait = 2**attempt / 4
        try:
            response = await client.request(method, url, **request)
            if response.is_success:
                return response
            if response.status_code not in BUSY or attempt == TRIES:
                problem = response.json()  # RFC 9457
                raise RuntimeError(f"{problem['code']}: {problem['detail']} (request {problem['request_id']})")
            wait = float(response.headers.get("Retry-After", wait))
        except httpx.TransportError:
            if attempt == TRIES:
                raise
        await asyncio.sleep(wait)
    raise AssertionError("unreachable")


async def follow(client: httpx.AsyncClient, prediction: dict, name: str) -> dict:
    """The prediction at its end. Each event carries all of it, so that a broken stream is just opened again."""
    while prediction["status"] in ("starting", "processing"):
        try:
            headers = {"Accept": "text/event-stream"}
            async with client.stream("GET", prediction["urls"]["stream"], headers=headers) as events:
                async for line in events.aiter_lines():
                    if line.startswith("data: "):
                        prediction = json.loads(line.removeprefix("data: "))
                        print(name, prediction["status"], prediction["progress"] or "")
        except httpx.TransportError:
            await asyncio.sleep(1)
    return prediction


async def restore(client: httpx.AsyncClient, places: asyncio.Semaphore, source: Path) -> None:
    async with places:
        # With its Idempotency-Key a create that comes twice is one create.
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        files = {"image": (source.name, source.read_bytes())}
        created = await send(client, "POST", "/v1/predictions", files=files, headers=headers)
        prediction = await follow(client, created.json(), source.name)
        if prediction["status"] != "succeeded":
            raise RuntimeError(prediction["error"] or prediction["status"])
        result = await send(client, "GET", prediction["output"])
        source.with_suffix(f".restored{source.suffix}").write_bytes(result.content)


async def main(sources: list[Path]) -> int:
    headers = {"Authorization": f"Bearer {KEY}"} if KEY else {}
    places = asyncio.Semaphore(AT_ONCE)
    async with httpx.AsyncClient(base_url=URL, headers=headers, timeout=httpx.Timeout(5, read=90)) as client:
        work = (restore(client, places, source) for source in sources)
        outcomes = await asyncio.gather(*work, return_exceptions=True)
    failures = [(source, outcome) for source, outcome in zip(sources, outcomes, strict=True) if outcome]
    for source, failure in failures:
        print(f"{source}: {failure}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main([Path(name) for name in sys.argv[1:]])))
