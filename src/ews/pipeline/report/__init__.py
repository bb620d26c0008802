"""Tables and figures as pure functions of the runs' result files."""
