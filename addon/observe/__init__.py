"""What people get to see of the bridge's work, and what they never get to see."""
