"""ResNet-18, -34 and -50."""
