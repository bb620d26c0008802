"""AW-Net's network: a router, filters and normalisations that depend on the image."""
