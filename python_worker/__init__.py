"""A gRPC server that hosts DSPy programs for clients in any language."""
