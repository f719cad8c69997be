"""Models behind one interface: a checkpoint, an endpoint, a file of predictions, a fake."""
