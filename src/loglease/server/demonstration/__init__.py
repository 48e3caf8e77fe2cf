"""The demonstration: a small real shop that logs what shops log, traffic against it, and a walk through the product."""
