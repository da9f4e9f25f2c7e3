"""What calls cost: prices, the ledger of every call, and the report over it."""
