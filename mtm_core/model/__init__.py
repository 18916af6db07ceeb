"""MTM itself: four networks, their objectives, and the model they make."""
