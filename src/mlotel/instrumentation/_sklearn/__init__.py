"""What the instrumentation of scikit-learn is made of."""
