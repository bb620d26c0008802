"""What everything else stands on: errors, files, random streams, code fingerprints; no science."""
