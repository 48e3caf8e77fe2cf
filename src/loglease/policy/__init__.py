"""Policy as documents: load them strictly, decide with them, explain the decision, test them. No I/O, no clock."""
