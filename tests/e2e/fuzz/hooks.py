"""What the fuzzer cannot know of this service: what a picture is, and whom a test may not call."""

import base64
import struct
import zlib

import schemathesis
from hypothesis import strategies as st


def png(width: int, height: int, pixel: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = (b"\x00" + pixel * width) * height
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


WHOLE = png(4, 3, b"\x80\x40\x20")
CUT_OFF = WHOLE[:-30]
BOMB = png(1, 1, b"\x00\x00\x00").replace(struct.pack(">II", 1, 1), struct.pack(">II", 60000, 60000))

# One whole picture in most cases: each further one would be an inference of its own.
pictures = st.one_of(st.just(WHOLE), st.just(WHOLE), st.sampled_from([CUT_OFF, BOMB, b"", b"GIF89a"]), st.binary(max_size=64))

schemathesis.openapi.media_type("image/*", pictures)
schemathesis.openapi.format("binary", pictures)


def without_calls(value, instead):
    """The same with `instead` for every address."""
    if isinstance(value, dict):
        return {key: without_calls(item, instead) for key, item in value.items()}
    if isinstance(value, list):
        return [without_calls(item, instead) for item in value]
    if isinstance(value, str) and value.strip().lower().startswith(("http:", "https:")):
        return instead
    return value


# A host that is reserved for examples (RFC 2606) and does not exist. `/v1/deblur` would call it at once and say 502.
ELSEWHERE = "https://images.example.com/blurred.jpg"
HERE = "data:image/png;base64," + base64.b64encode(WHOLE).decode()


@schemathesis.hook
def map_body(context, body):
    return without_calls(body, HERE if context.operation.path == "/v1/deblur" else ELSEWHERE)


@schemathesis.hook
def map_headers(context, headers):
    # Nobody sits out the waits that may be asked for.
    if headers and "wait" in str(headers.get("Prefer", "")).lower():
        headers["Prefer"] = "respond-async"
    return headers
