"""Attacks: functions from images to adversarial images, one module each, for training and for evaluation alike.

An attack knows nothing of networks: it is given a function from images to logits. Whoever calls it decides in which
mode the network is, and keeps its running statistics with :func:`ews.attacks.mode.frozen_statistics`.
"""

REGISTRY: dict[str, str] = {
    "pgd": "ews.attacks.pgd:pgd",
}
