"""What commands and training share; never in a deployment package."""
