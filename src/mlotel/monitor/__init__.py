"""What a deployed model sees and says, as metrics and events."""
