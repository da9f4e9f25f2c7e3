"""Domain values as the messages of python_worker.v1, both ways; what the server and the Python client share."""
