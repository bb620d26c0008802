#!/usr/bin/env bash
# Written by tools/lock.py.
pip install --no-deps imagecorruptions-imaug==1.1.5
