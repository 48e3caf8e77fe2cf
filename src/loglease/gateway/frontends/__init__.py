"""Front ends: how an answer is written for a kind of client. They encode; they never see a line before redaction."""
