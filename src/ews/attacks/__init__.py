"""Attacks: functions from images to adversarial images, one module each, for training and for evaluation alike.

An attack is called with what it attacks, images and labels, and takes its parameters by keyword. It attacks a function
from images to logits, or the network itself where it looks inside (``adaptive``) or checks it (``ensemble``). Whoever
calls it decides in which mode the network is, and keeps its running statistics with
:func:`ews.attacks.mode.frozen_statistics`.
"""
