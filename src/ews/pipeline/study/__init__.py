"""From params.yaml to studies to cells: what is to be trained, under which name, with which parameters."""
