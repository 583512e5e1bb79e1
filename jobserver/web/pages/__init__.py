"""The pages: what people see. Each reads the index only; each write goes through the gate, as everybody's do."""
