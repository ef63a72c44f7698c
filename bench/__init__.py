"""What things cost, measured beside something known."""
