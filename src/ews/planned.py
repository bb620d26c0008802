"""Holding a job to the code that it was planned with."""

from ews.errors import EwsError


def check(planned: str | None, actual: str, *, where: str) -> None:
    """Refuse to run other code than the workflow planned with.

    Args:
        planned: fingerprint that the rule passed on; None where a person runs the step by hand.
        actual: fingerprint of the code that runs now.
        where: what is about to be made.

    Raises:
        EwsError: they differ; both stand in the message.
    """
    if planned is not None and planned != actual:
        raise EwsError(
            f"{where}: the code changed after this job was planned (fingerprint {planned} then, {actual} now). "
            "Run the same command again: it plans anew."
        )
