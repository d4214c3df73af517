"""The doorbell between whoever commits messages and the workers that send them."""
