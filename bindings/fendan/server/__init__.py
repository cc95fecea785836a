"""The gRPC server around one Engine."""
