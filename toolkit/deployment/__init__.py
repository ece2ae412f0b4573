"""What the packaging script and the deployment call."""
