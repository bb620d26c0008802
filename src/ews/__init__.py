"""Train robust image classifiers by enhancing weak subnets (EWS)."""
