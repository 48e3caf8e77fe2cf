"""What a process counts of itself, for Prometheus: numbers and closed sets of labels, never whom they are of."""
