"""Which key paths of params.yaml a study can set, in its overrides, its variants and the grid that it tunes over."""

from ews.core.errors import EwsError


def check_path(path: str, where: str) -> None:
    """Refuse key paths that a study cannot override."""
    section, _, rest = path.partition(".")
    if section in ("methods", "recipes", "augmentations", "architectures", "evaluation"):
        return
    # What images are stays what it is for all studies: not so their crop, nor which corrupted copies are measured.
    below = rest.split(".")[1:]
    if section == "datasets" and (below == ["corrupted", "source"] or below[:-1] == ["standard"]):
        return
    raise EwsError(
        f"{where}: {path!r} cannot be overridden. Valid: key paths that begin with methods, recipes, augmentations, "
        "architectures or evaluation, datasets.<name>.standard.<key> and datasets.<name>.corrupted.source. For other "
        "data define another dataset."
    )
