"""Secrets out of texts that are shown or kept: passwords and keys of addresses."""

import os
import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

MASK = "***"
ADDRESSES = ("EWS_MIRROR", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
"""Variables of the environment whose addresses may have a user's name and password in them."""
SHORTEST = 4
"""Characters of a password that is looked for by itself: a shorter one stands in words by chance."""

# To the last @ before a space or quote: a password may have @ and / in it where somebody forgot to quote them.
_USER = re.compile(r"(?P<scheme>\b[A-Za-z][A-Za-z0-9+.-]*:/{1,3})[^\s'\"<>]*@")
_KEY = re.compile(
    r"(?P<name>[?&;][^=&;\s'\"]*(?:token|key|sig|secret|passw|auth|credential)[^=&;\s'\"]*=)[^&;\s'\"<>)]+",
    re.IGNORECASE,
)


def redacted(text: object) -> str:
    """Return a text without the secrets of the addresses in it, for everything that is printed, logged or kept.

    ``http://user:password@host/x?token=abc`` becomes ``http://***@host/x?token=***``; and the password of an address
    in the environment (:data:`ADDRESSES`) is masked wherever it stands, as it is and as addresses spell it.
    """
    shown = _KEY.sub(rf"\g<name>{MASK}", _USER.sub(rf"\g<scheme>{MASK}@", str(text)))
    for secret in _known():
        shown = shown.replace(secret, MASK)
    return shown


def _known() -> Iterator[str]:
    """Yield the passwords in the environment, longest spellings first."""
    found: set[str] = set()
    for name in ADDRESSES:
        for address in re.finditer(r"//(?P<user>[^\s]*)@", os.environ.get(name, "")):
            _, _, password = address["user"].partition(":")
            found |= {password, unquote(password), quote(unquote(password)), quote(unquote(password), safe="")}
    yield from sorted((secret for secret in found if len(secret) >= SHORTEST), key=len, reverse=True)
