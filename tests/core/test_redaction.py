"""No secret of an address is shown."""

import pytest

from ews.core.console import finished
from ews.core.errors import EwsError
from ews.core.redaction import redacted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host/x", "http://***@host/x"),
        ("(https://secret@host:80/x)", "(https://***@host:80/x)"),
        ("ftp://u:se@cret@host and http://u:se/cret@host", "ftp://***@host and http://***@host"),
        ("http:/user:secret@host/x", "http:/***@host/x"),  # What a path makes of it.
        ("https://host/x?a=1&token=secret&b=2", "https://host/x?a=1&token=***&b=2"),
        ("https://host/x?X-Amz-Signature=secret", "https://host/x?X-Amz-Signature=***"),
        ("url: /x?api_key=secret (Caused by", "url: /x?api_key=*** (Caused by"),
        ('{"a": "http://u:secret@h", "mail": "me@host"}', '{"a": "http://***@h", "mail": "me@host"}'),
    ],
)
def test_secrets_of_addresses_are_masked(text: str, shown: str) -> None:
    assert redacted(text) == shown


@pytest.mark.parametrize(
    "text", ["https://example.org/a?b=c", "me@host", "a: /b/c@d", "methods.ews.width = 1.7: valid is 0 to 1", "C:/x"]
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redacted(text) == text


@pytest.mark.parametrize("name", ["EWS_MIRROR", "HTTPS_PROXY", "http_proxy"])
def test_a_password_of_the_environment_is_masked_without_its_address(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://user:hidden%2Fword@host/x")
    assert redacted("no such user (hidden/word), hidden%2Fword") == "no such user (***), ***"
    monkeypatch.setenv(name, "http://user:abc@host/x")
    assert redacted("abc: alphabet http://user:abc@host") == "abc: alphabet http://***@host"


@pytest.mark.parametrize("error", [EwsError("http://u:secret@h: no"), OSError(2, "no", "http:/u:secret@h")])
def test_commands_end_without_them(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def fails() -> None:
        raise error

    with pytest.raises(SystemExit, match="1"):
        finished(fails)
    assert "***@h: no" in capsys.readouterr().err
