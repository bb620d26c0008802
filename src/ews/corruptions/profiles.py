"""Whose severity constants a corruption has: published for images of 32, 64 and 224 pixels."""

PROFILES: tuple[str, ...] = ("cifar", "tiny", "imagenet")


def profile_for(height: int, width: int) -> str:
    """Return the profile whose published image size is nearest (as a ratio) to an image's shorter side."""
    side = min(height, width)
    return "cifar" if side < 45 else "tiny" if side < 120 else "imagenet"
