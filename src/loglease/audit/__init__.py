"""The audit log: what is recorded, in which form, and that it is durable before it takes effect."""
