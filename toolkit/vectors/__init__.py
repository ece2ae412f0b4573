"""Vector files, and the table seen from the side that writes it."""
