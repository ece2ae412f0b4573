"""What stands in for AWS within a test's process."""
