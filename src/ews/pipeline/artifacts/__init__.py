"""The files of runs: their names, their contents, and whether they are whole."""
