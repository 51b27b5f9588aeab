"""What is served as files: the dashboard and the client."""
