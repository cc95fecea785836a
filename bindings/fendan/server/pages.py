"""Lists a page at a time: the tokens that say where the next page begins.

A token holds the number after which to go on, and a checksum of what was asked: sent with another
request it is refused, instead of going on in the wrong place. It is no secret, and gives no rights.
"""

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode

from fendan.errors import Fault, refuse

__all__ = ["page_size_of", "position_of", "token_of"]

# Enough to list a region; few enough that a page of full-length ids fits gRPC's usual 4 MiB.
USUAL_PAGE = 1_000
LARGEST_PAGE = 10_000

TOKEN_HINT = "must be next_page_token of the page before, with the request otherwise unchanged"


def page_size_of(asked: int) -> int:
    """How many a page may have; 0 asks for the usual."""
    if not 0 <= asked <= LARGEST_PAGE:
        refuse(Fault.OUT_OF_RANGE, "page_size", asked, hint=f"must be 0 to {LARGEST_PAGE:,}")
    return asked or USUAL_PAGE


def token_of(position: int, asked: str) -> str:
    """The token to go on after `position`, 0 or more, in the answer to `asked`."""
    return urlsafe_b64encode(f"{position}:{zlib.crc32(asked.encode())}".encode()).decode()


def position_of(token: str, asked: str) -> int:
    """Where to go on; -1, before the first, for an empty token."""
    if not token:
        return -1
    try:
        position, _, _ = urlsafe_b64decode(token.encode()).decode("ascii").partition(":")
        if token == token_of(int(position), asked):
            return int(position)
    except (binascii.Error, ValueError):
        pass
    refuse(Fault.OUT_OF_RANGE, "page_token", token, hint=TOKEN_HINT)
