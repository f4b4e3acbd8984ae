"""What our tables may look like in a destination."""
