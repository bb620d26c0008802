"""What the workflow's rules compute: from the values of their wildcards to inputs, parameters and commands."""
