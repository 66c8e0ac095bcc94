"""One picture, for sure, with requests (pip install requests):

    python python_requests.py blurred.jpg restored.jpg

DEBLUR_URL says where the service is (default: http://127.0.0.1:8787, where `npm start` has it), DEBLUR_API_KEY opens it
(on your own machine nothing has to).
"""

import os
import sys
import time
import uuid
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

URL = os.environ.get("DEBLUR_URL", "http://127.0.0.1:8787")
TIMEOUT = (5, 90)  # seconds: to connect, and between two bytes


def connect() -> requests.Session:
    """A session that tries again when the service is busy or an answer is lost, no sooner than Retry-After says."""
    busy = [409, 429, 502, 503, 504]  # 409: the first try with this Idempotency-Key is still being answered
    # POST too: with its Idempotency-Key a create that comes twice is one create.
    retry = Retry(total=8, status_forcelist=busy, allowed_methods=None, backoff_factor=0.5)
    session = requests.Session()
    session.mount(URL, HTTPAdapter(max_retries=retry))
    if key := os.environ.get("DEBLUR_API_KEY"):
        session.headers["Authorization"] = f"Bearer {key}"
    return session


def checked(response: requests.Response) -> requests.Response:
    """Errors are problems (RFC 9457): a code for programs, a detail for people, an id to ask the operator about."""
    if not response.ok:
        problem = response.json()
        sys.exit(f"{problem['code']}: {problem['detail']} (request {problem['request_id']})")
    return response


def restore(session: requests.Session, picture: bytes, **options: str) -> dict:
    """The prediction of this picture, at its end."""
    headers = {"Idempotency-Key": str(uuid.uuid4()), "Prefer": "wait=10", "Cancel-After": "10m"}
    predictions = f"{URL}/v1/predictions"
    prediction = checked(
        session.post(predictions, params=options, data=picture, headers=headers, timeout=TIMEOUT)
    ).json()
    while prediction["status"] in ("starting", "processing"):
        print(prediction["status"], prediction["logs"])
        time.sleep(1)
        prediction = checked(session.get(prediction["urls"]["get"], timeout=TIMEOUT)).json()
    return prediction


def main(source: str, target: str) -> None:
    session = connect()
    prediction = restore(session, Path(source).read_bytes(), metadata="strip")
    if prediction["status"] != "succeeded":
        sys.exit(f"{prediction['status']}: {prediction['error']}")
    restored = checked(session.get(prediction["output"], timeout=TIMEOUT))
    Path(target).write_bytes(restored.content)
    print(target, restored.headers["Content-Type"], prediction["metrics"])


if __name__ == "__main__":
    main(*sys.argv[1:])
