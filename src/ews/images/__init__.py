"""What data, corruptions and perturbations share: reading pictures, random streams, filters, workers."""
