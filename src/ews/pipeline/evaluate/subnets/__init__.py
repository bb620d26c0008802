"""The evaluation `subnets`."""
